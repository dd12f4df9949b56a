/** @file `treeline edit … audit`. */
import { fail } from '../../../base/index.ts'
import type { Audit } from '../../../edit/index.ts'
import { ifEnded } from '../../interrupt.ts'
import { makeDisplay } from '../../progress.ts'
import type { Call } from './flags.ts'
import { editNumber, withEditor } from './open.ts'
import { auditText, flawsOf, json, quoted } from './texts.ts'

/** Ask every edit that stands, or one. */
export async function audit(call: Call): Promise<void> {
  const { io, flags, what, store } = call
  const only = what === undefined ? undefined : editNumber(what)
  const display = makeDisplay('audit', io, flags.quiet)
  const found: Audit[] = []
  const release = ifEnded(() => `interrupted; the audits of ${found.length} edits are kept in ${store}`)
  try {
    await withEditor(call, { mustExist: true }, async (editor) => {
      const standing = editor.list().filter(({ status }) => status.state === 'active')
      const asked = only === undefined ? standing : standing.filter(({ record }) => record.number === only)
      if (only !== undefined && asked.length === 0)
        fail('TL_BAD_ARGUMENT', `there is no active edit ${only} (active: ${standing.length})`)
      for (const [i, { record }] of asked.entries()) {
        display.update({ done: i, total: asked.length, detail: quoted(record.prompt) })
        const own = await editor.audit(record.number)
        found.push(own)
        if (!flags.json && (only !== undefined || flawsOf(own).length > 0))
          io.out(`edit ${own.number}: ${auditText(own)}: ${quoted(record.prompt)}\n`)
      }
      display.update({ done: asked.length, total: asked.length })
    })
  } finally {
    release()
    display.end()
  }
  if (flags.json) return json(io, found)
  if (only !== undefined) return
  const count = (is: (own: Audit) => boolean): number => found.filter(is).length
  const [answered, of] = (['answered', 'of'] as const).map((name) =>
    found.reduce((sum, { otherWords }) => sum + otherWords[name], 0),
  )
  io.out(
    `${found.length} edits asked: ${count(({ isLearned }) => isLearned)} say their targets, ${answered} of ${of} other wordings are answered; ` +
      `${count(({ keepsSubject }) => keepsSubject === false)} answer another question about their subjects, ${count(({ keepsRest }) => !keepsRest)} a prompt that they are not about\n`,
  )
}
