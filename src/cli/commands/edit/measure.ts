/** @file `treeline edit … evaluate | export`. */
import { bytes, fail, inSteps } from '../../../base/index.ts'
import type { MeanInterval } from '../../../edit/index.ts'
import { ifEnded } from '../../interrupt.ts'
import { tellNotes } from '../../languageModel.ts'
import { makeDisplay } from '../../progress.ts'
import { type Call, factsOf } from './flags.ts'
import { withEditor } from './open.ts'
import { json } from './texts.ts'

const shown = (i: MeanInterval | null): string =>
  i ? `${i.mean.toFixed(3)} [${i.low.toFixed(3)}, ${i.high.toFixed(3)}]` : '–'

export async function evaluate(call: Call): Promise<void> {
  const { io, flags } = call
  const facts = await factsOf(call)
  const { evaluateFacts, evaluationJournal } = await import('../../../edit/index.ts')
  const display = makeDisplay('evaluate', io, flags.quiet)
  let kept = 0
  const release = ifEnded(
    () => `interrupted; answers to ${kept} of ${facts.length} facts are kept, and the same command goes on`,
  )
  try {
    const result = await withEditor(call, { readOnly: true }, async (editor) => {
      const journal = evaluationJournal(call.store, facts)
      const found = await evaluateFacts(editor, editor.unedited, facts, {
        onItem: (done, total) => {
          kept = done
          display.update({ done, total })
        },
        journal,
      })
      journal.remove()
      return found
    })
    display.end()
    if (flags.json) return json(io, result)
    io.out(
      `${facts.length} facts, 95 % intervals\n${''.padEnd(15)} teacher-forced          generated as asked      as taught\n`,
    )
    for (const kind of ['reliability', 'generalization', 'locality'] as const)
      io.out(
        `${kind.padEnd(15)} ${[result, result.generated, result.asTaught]
          .map((own) => shown(own[kind]).padEnd(23))
          .join(' ')
          .trimEnd()}\n`,
      )
  } finally {
    release()
    display.end()
  }
}

export async function exportStore({ io, model, store, flags, what }: Call): Promise<void> {
  const force = flags.force === true
  const { exportingEdits, exportProgram } = await import('../../../edit/index.ts')
  if (what!.endsWith('.safetensors')) {
    const edits = await inSteps(exportingEdits(store, what!, { inputs: [model], force }))
    if (flags.json) json(io, { out: what, edits })
    else io.out(`${what}: ${edits} edits\n`)
    return
  }
  if (!what!.endsWith('.onnx'))
    fail('TL_USAGE', `${what}: expected a name that ends in .safetensors (the store) or .onnx (a program)`)
  const { loadModel } = await import('../../../lm/index.ts')
  const opened = loadModel(model, { precision: 'f32' })
  tellNotes(opened)
  try {
    const written = await exportProgram(opened, store, what!, undefined, { force })
    if (flags.json) json(io, { out: what, ...written })
    else io.out(`${what} (${bytes(written.bytes)}): ${written.edits} edits; ${written.about}\n`)
  } finally {
    opened.dispose()
  }
}
