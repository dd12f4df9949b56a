/** @file `treeline classify`: the class whose words lie nearest to a picture, by a CLIP model. */
import { availableParallelism } from 'node:os'
import { Command, Option } from 'commander'
import { fail, percent, prettyJson } from '../../base/index.ts'
import { columnsText } from '../columns.ts'
import type { Io } from '../io.ts'
import { collect, examples, jsonOption, threadsOption } from '../options.ts'

interface Flags {
  labels: string[]
  template?: string[]
  threads?: number
  json?: boolean
}

interface Classified {
  readonly image: string
  readonly probabilities: Readonly<Record<string, number>>
}

const labelsOption = (): Option =>
  new Option('--labels <a,b,c>', 'the classes, with commas between')
    .makeOptionMandatory()
    .argParser((word: string) => {
      const labels = word.split(',').map((label) => label.trim())
      if (labels.includes('')) fail('TL_USAGE', `--labels ${word}: expected words with commas between`)
      return labels
    })

/** softmax of a row. */
function softmax(logits: Float32Array): number[] {
  const most = Math.max(...logits)
  const weights = Array.from(logits, (x) => Math.exp(x - most))
  const total = weights.reduce((sum, x) => sum + x, 0)
  return weights.map((x) => x / total)
}

async function classify(folder: string, images: readonly string[], flags: Flags): Promise<Classified[]> {
  const { openClip, zeroShotClassifier } = await import('../../vision/index.ts')
  const clip = await openClip(folder, { threads: flags.threads ?? availableParallelism() })
  try {
    const { labels, logits } = await zeroShotClassifier(clip, flags.labels, flags.template)
    const found: Classified[] = []
    for (const image of images) {
      const shares = softmax(await logits(clip.preprocess(image)))
      found.push({ image, probabilities: Object.fromEntries(labels.map((label, i) => [label, shares[i]!])) })
    }
    return found
  } finally {
    clip.dispose()
  }
}

function show(found: readonly Classified[]): string {
  const inOrder = ({ image, probabilities }: Classified): string[] => [
    image,
    ...Object.entries(probabilities)
      .sort(([, a], [, b]) => b - a)
      .map(([label, share]) => `${label} ${percent(share)}`),
  ]
  return columnsText(found.map(inOrder), { firstIsText: true })
}

/** The command. */
export const classifyCommand = (io: Io): Command =>
  new Command('classify')
    .description('which of some words fits a picture best, by a CLIP model; nothing is trained')
    .argument('<model>', 'a folder of a CLIPModel as Transformers writes it')
    .argument('<image...>', 'PNG and JPEG files')
    .addOption(labelsOption())
    .option(
      '--template <text>',
      'words around a label, {} in its place; may be repeated (default: "a photo of a {}")',
      collect,
    )
    .addOption(threadsOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['treeline classify clip-vit-base-patch32 dog.jpg --labels dog,cat,horse', 'one picture'],
        [
          'treeline classify clip *.png --labels 1,2,3 --template "the digit {}" --json',
          'many, for a script',
        ],
      ),
    )
    .action(async (folder: string, images: string[], flags: Flags) => {
      const found = await classify(folder, images, flags)
      io.out(flags.json ? prettyJson(found) : show(found))
    })
