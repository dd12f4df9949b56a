/** @file `treeline edit … list | show | why`. */
import { fail } from '../../../base/index.ts'
import type { Call } from './flags.ts'
import { editNumber, withEditor } from './open.ts'
import { auditText, json, quoted, stateText } from './texts.ts'

export const list = (call: Call): Promise<void> =>
  withEditor(call, { readOnly: true }, (editor) => {
    const { io } = call
    const all = editor.list()
    if (call.flags.json)
      return json(
        io,
        all.map(({ record, ...rest }) => ({ ...record, ...rest })),
      )
    for (const one of all)
      io.out(
        `${one.record.number}  ${quoted(one.record.prompt)} → ${quoted(one.record.target)}  ${stateText(one)}\n`,
      )
    if (all.length === 0) io.out('no edits\n')
  })

export async function show(call: Call): Promise<void> {
  const { io, flags, what } = call
  const number = editNumber(what!)
  await withEditor(call, { readOnly: true }, (editor) => {
    const one =
      editor.list().find(({ record }) => record.number === number) ??
      fail('TL_BAD_ARGUMENT', `there is no edit ${number} (edits: ${editor.list().length})`)
    const { record, ...rest } = one
    if (flags.json) return json(io, { ...record, ...rest })
    const { prompt, target, subject, steps, losses, stopped, at } = record
    io.out(`edit ${number}: ${stateText(one)}\nprompt   ${prompt}\ntarget   ${target}\n`)
    if (subject !== undefined) io.out(`subject  ${subject}\n`)
    io.out(
      `steps    ${steps}${stopped === 'steps' ? ' (all it was allowed)' : ''}, loss ${losses.first.toFixed(3)} → ${losses.last.toFixed(3)}\nadded    ${at}\n`,
    )
    if (one.audit) io.out(`audited  ${one.audit.at}: ${auditText(one.audit)}\n`)
  })
}

export const why = (call: Call): Promise<void> =>
  withEditor(call, { readOnly: true }, async (editor) => {
    const { io, flags, what } = call
    const found = await editor.why(what!)
    if (flags.json) return json(io, found)
    io.out(
      found.answer === null ? 'no edit answers: the model as it was\n' : `edit ${found.answer} answers\n`,
    )
    for (const {
      number,
      overlap,
      isAbove,
      threshold,
      passes,
      prompt,
      target,
      subject,
      scope,
    } of found.nearest) {
      const held = passes ? '' : `  (does not name ${quoted(subject ?? '')})`
      const asks =
        scope === undefined
          ? ''
          : `  (asks ${scope.isSame ? 'the same' : 'something else'}: ${scope.score.toFixed(2)} ${scope.isSame ? '≥' : '<'} ${scope.need.toFixed(2)})`
      io.out(
        `  ${overlap.toFixed(3)} ${isAbove ? '≥' : '<'} ${threshold.toFixed(3)}  ${number}  ${quoted(prompt)} → ${quoted(target)}${held}${asks}\n`,
      )
    }
  })
