/** @file `treeline edit … undo | replay | scope | calibrate`. */
import { fail, namedOf } from '../../../base/index.ts'
import { readTexts } from '../../jsonFiles.ts'
import { makeDisplay } from '../../progress.ts'
import { type Call, numberOf } from './flags.ts'
import { editNumber, withEditor } from './open.ts'
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

export async function calibrate(call: Call): Promise<void> {
  const { io, flags, what } = call
  const rate = numberOf(flags.falsePositives ?? '0.01', '--false-positives', 0, 0.99)
  const prompts = readTexts(what!)
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
