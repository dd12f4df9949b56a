/** @file `treeline edit … undo | replay | scope | calibrate`. */
import { fail, namedOf } from '../../../base/index.ts'
import { ifEnded } from '../../interrupt.ts'
import { readTexts } from '../../jsonFiles.ts'
import { makeDisplay } from '../../progress.ts'
import { type Call, numberOf } from './flags.ts'
import { editNumber, withEditor, withModel } from './open.ts'
import { json } from './texts.ts'

/** An editor of a store that must be there, for writing. */
const existing = { mustExist: true } as const

export async function undo(call: Call): Promise<void> {
  const { io, flags, what } = call
  const number = editNumber(what!)
  await withEditor(call, existing, async (editor) => {
    const undone = await editor.undo(number)
    if (flags.json) return json(io, undone)
    io.out(
      undone.memory === 'restored'
        ? `edit ${number} undone, the memory is as before it\n`
        : `edit ${number} undone: it answers no longer; later edits were trained on top of it, so replay to clear the memory of it\n`,
    )
  })
}

export async function replay(call: Call): Promise<void> {
  const { io, flags } = call
  const display = makeDisplay('replay', io, flags.quiet)
  try {
    const done = await withEditor(call, existing, (editor) =>
      editor.replay((n, total) => display.update({ done: n, total })),
    )
    display.end()
    if (flags.json) return json(io, done)
    io.out(
      `${done.edits.length} edits trained anew: ${done.identical ? 'the same bits' : 'the memory is another one now'}\n`,
    )
  } finally {
    display.end()
  }
}

/** Change the level of a store's scope. */
export async function scope(call: Call): Promise<void> {
  const { io, flags, what } = call
  const { scopeLevels } = await import('../../../edit/index.ts')
  const level = namedOf(
    'scope',
    scopeLevels.map((name) => ({ name })),
    what!,
    'TL_USAGE',
  ).name
  await withEditor(call, existing, (editor) => {
    const before = editor.config.scope?.level ?? 'wide'
    editor.rescope(level)
    if (flags.json) return json(io, { scope: level, before })
    io.out(`scope ${level} (before ${before})\n`)
  })
}

/** Learn the scope of a store on the relations of a file, and ours. */
async function learnScope(call: Call, path: string): Promise<void> {
  const { io, flags, store } = call
  const { learnRelations, readRelations } = await import('../../../edit/index.ts')
  const relations = readRelations(path)
  const display = makeDisplay('calibrate', io, flags.quiet)
  const say = (detail: string) => (done: number, total: number) => display.update({ done, total, detail })
  const release = ifEnded(() => `interrupted; ${store} is as it was`)
  try {
    const { level, thresholds, prompts, questions } = await withModel(call, (model, tokenizer, cache) =>
      learnRelations(model, store, relations, {
        ...{ tokenizer, cache, onPrompt: say('prompts of relations'), onEdit: say('what the edits ask') },
        ...(flags.scope !== undefined && { level: flags.scope }),
      }),
    )
    display.end()
    if (flags.json) return json(io, { scope: level, thresholds, prompts, questions })
    const least = Object.entries(thresholds).map(([name, value]) => `${name} from ${value.toFixed(4)}`)
    io.out(
      `scope ${level}, learned on ${prompts} prompts of ${questions} relations, ours and yours: a prompt asks the same, ${least.join(', ')} on\n`,
    )
  } finally {
    release()
    display.end()
  }
}

/** The threshold by prompts, or the scope by relations. */
export async function calibrate(call: Call): Promise<void> {
  const { io, flags, what } = call
  const { relations } = flags
  if (relations !== undefined) {
    if (what !== undefined)
      fail(
        'TL_USAGE',
        `edit calibrate: expected either ${what} (the threshold) or --relations (the scope), not both: call it once for each`,
      )
    if (flags.falsePositives !== undefined)
      fail('TL_USAGE', 'edit calibrate: --false-positives has no effect with --relations: leave it out')
    return learnScope(call, relations)
  }
  if (what === undefined) fail('TL_USAGE', 'edit calibrate: expected PROMPTS.json, or --relations FILE')
  if (flags.scope !== undefined)
    fail('TL_USAGE', `edit calibrate: --scope goes with --relations; without them: scope ${flags.scope}`)
  const rate = numberOf(flags.falsePositives ?? '0.01', '--false-positives', 0, 0.99)
  const prompts = readTexts(what)
  if (prompts.length === 0) fail('TL_BAD_FILE', `${what}: it is empty; expected a JSON list of texts`)
  const empty = prompts.findIndex((prompt) => prompt.trim() === '')
  if (empty >= 0) fail('TL_BAD_FILE', `${what}: item ${empty + 1} is empty; expected a prompt`)
  await withEditor(call, existing, async (editor) => {
    const before = editor.config.threshold
    const { threshold, overlaps } = await editor.calibrate(prompts, rate)
    const answered = overlaps.filter((r) => r >= threshold).length
    if (flags.json) return json(io, { threshold, falsePositives: answered / overlaps.length, overlaps })
    io.out(
      `threshold ${threshold.toFixed(4)} (before ${before.toFixed(4)}): ${answered} of ${overlaps.length} prompts would be answered\n`,
    )
  })
}
