/** @file `treeline evaluate-captions`: which objects of captions are not on the pictures. */
import { Command } from 'commander'
import { fail, parseRecords, percent, prettyJson } from '../../base/index.ts'
import { readJson, readText } from '../../base/read.ts'
import type { CaptionRecord, Chair, ChairComparison, ObjectTable, Share } from '../../vlm/index.ts'
import { columnsText } from '../columns.ts'
import type { Io } from '../io.ts'
import { collect, examples, jsonOption } from '../options.ts'

interface Flags {
  annotations: string[]
  objects?: string
  against?: string
  json?: boolean
}

interface Evaluated extends Chair {
  readonly against?: ChairComparison
}

async function readCaptions(path: string): Promise<CaptionRecord[]> {
  const { captionRecord } = await import('../../vlm/index.ts')
  return parseRecords(readText(path), path).map(({ value, line }) => captionRecord(value, `${path}:${line}`))
}

/** Captions of other pictures, or in another order, cannot be compared one by one. */
function paired(old: readonly CaptionRecord[], now: readonly CaptionRecord[], path: string): CaptionRecord[] {
  const byImage = new Map(old.map((one) => [one.image, one]))
  if (byImage.size !== old.length || new Set(now.map(({ image }) => image)).size !== now.length)
    fail('TL_BAD_ARGUMENT', `${path}: a picture has several captions: expected one of each`)
  return now.map(
    ({ image }) =>
      byImage.get(image) ??
      fail('TL_BAD_ARGUMENT', `${path}: no caption of picture ${image}: expected the same pictures`),
  )
}

async function evaluate(path: string, flags: Flags): Promise<Evaluated> {
  const vlm = await import('../../vlm/index.ts')
  const { cocoObjects: objects, cocoOthers: others, cocoModifiers: modifiers } = vlm
  const table: ObjectTable =
    flags.objects === undefined
      ? { objects, others, modifiers }
      : { objects: vlm.objectWords(readJson(flags.objects), flags.objects) }
  const find = vlm.mentionFinder(table)
  const classes = new Set(Object.keys(table.objects))
  const captions = await readCaptions(path)
  const truths: Map<string, Set<string>> = new Map()
  for (const file of flags.annotations) vlm.addAnnotations(truths, readJson(file), file, { classes, find })
  const judged = vlm.judge(captions, truths, find)
  const found = vlm.chair(judged)
  if (flags.against === undefined) return found
  const old = paired(await readCaptions(flags.against), captions, flags.against)
  return { ...found, against: vlm.compareChair(vlm.judge(old, truths, find), judged) }
}

const shown = ({ value, low, high }: Share): string => `${percent(value)} [${percent(low)}, ${percent(high)}]`

function show(found: Evaluated): string {
  const { chairI, chairS, chairD, cover, captions, mentions, length, hallucinated, byMention, against } =
    found
  const rows = [
    ['CHAIR_i', shown(chairI), 'mentions of what is not there'],
    ['CHAIR_s', shown(chairS), 'captions with such a mention'],
    ['CHAIR_d', shown(chairD), 'the same with each object once a caption'],
    ['cover', shown(cover), 'of what is there'],
    [
      'mentions',
      byMention
        .slice(0, 6)
        .map(({ share }) => percent(share))
        .join(' '),
      'not there, by number',
    ],
  ]
  const most = hallucinated.slice(0, 8).map(({ object, mentions: n }) => `${object} ${n}`)
  const changes = against && [
    ['CHAIR_i', shown(against.cut.chairI), 'less than in the others'],
    ['CHAIR_s', shown(against.cut.chairS), ''],
    ['CHAIR_d', shown(against.cut.chairD), ''],
    ['cover', shown(against.cover), 'more'],
  ]
  return [
    `${captions} captions of ${length.toFixed(1)} words, ${mentions} mentions of objects\n`,
    columnsText(rows, { firstIsText: true }),
    most.length > 0 ? `not there: ${most.join(', ')}\n` : '',
    changes ? `\n${columnsText(changes, { firstIsText: true })}` : '',
  ].join('')
}

/** The command. */
export const evaluateCaptionsCommand = (io: Io): Command =>
  new Command('evaluate-captions')
    .description('which objects of captions are not on the pictures: CHAIR, beside what is covered')
    .argument('<captions>', 'JSON: image_id and caption of each, or what caption --json writes')
    .requiredOption(
      '--annotations <file>',
      'COCO’s instances_*.json or captions_*.json; repeated, what either knows is there',
      collect,
    )
    .option('--objects <file>', 'JSON of your own classes, each with other words for it (default: COCO’s 80)')
    .option('--against <captions>', 'other captions of the same pictures: what has changed, in pairs')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        [
          'treeline evaluate-captions m3id.json --annotations instances_val2014.json --annotations captions_val2014.json',
          'as the literature does it',
        ],
        [
          'treeline evaluate-captions m3id.json --against greedy.json --annotations instances_val2014.json',
          'fewer mistakes, and at what price',
        ],
        [
          'treeline evaluate-captions said.json --annotations mine.json --objects words.json',
          'your own classes',
        ],
      ),
    )
    .action(async (path: string, flags: Flags) => {
      const found = await evaluate(path, flags)
      io.out(flags.json ? prettyJson(found) : show(found))
    })
