/** @file `treeline edit … audit`. */
import { fail } from '../../../base/index.ts'
import type { Audit, Editor, EditRecord } from '../../../edit/index.ts'
import { ifEnded } from '../../interrupt.ts'
import { makeDisplay } from '../../progress.ts'
import type { Call } from './flags.ts'
import { editNumber, withEditor } from './open.ts'
import { auditText, flawsOf, json, quoted } from './texts.ts'

/** What was found of an edit, and of the one that has taken its place. */
interface Asked extends Audit {
  readonly taughtAgain?: Audit
}

/** The edits that stand, or the one of a number. */
function standing(editor: Editor, only: number | undefined): EditRecord[] {
  const all = editor.list().flatMap(({ record, status }) => (status.state === 'active' ? [record] : []))
  const asked = only === undefined ? all : all.filter(({ number }) => number === only)
  if (only !== undefined && asked.length === 0)
    fail('TL_BAD_ARGUMENT', `there is no active edit ${only} (active: ${all.length})`)
  return asked
}

/** Teach an edit again: a new one of the same texts, which takes its place, asked as well. */
async function teachAgain(editor: Editor, { prompt, target, subject }: EditRecord): Promise<Audit> {
  const { number } = await editor.add({ prompt, target, ...(subject !== undefined && { subject }) })
  return editor.audit(number)
}

/** All audits in a line or two. */
function summaryOf(found: readonly Asked[]): string {
  const count = (is: (own: Asked) => boolean): number => found.filter(is).length
  const [answered, of] = (['answered', 'of'] as const).map((name) =>
    found.reduce((sum, { otherWords }) => sum + otherWords[name], 0),
  )
  const [again, said] = [
    count(({ taughtAgain }) => taughtAgain !== undefined),
    count(({ taughtAgain }) => taughtAgain?.isLearned === true),
  ]
  return (
    `${found.length} edits asked: ${count(({ isLearned }) => isLearned)} say their targets, ${answered} of ${of} other wordings are answered; ` +
    `${count(({ keepsSubject }) => keepsSubject === false)} answer another question about their subjects, ${count(({ keepsRest }) => !keepsRest)} a prompt that they are not about\n` +
    (again > 0 ? `${again} taught again: ${said} say their targets now\n` : '')
  )
}

/** Ask every edit that stands, or one. */
export async function audit(call: Call): Promise<void> {
  const { io, flags, what, store } = call
  const only = what === undefined ? undefined : editNumber(what)
  const display = makeDisplay('audit', io, flags.quiet)
  const found: Asked[] = []
  const release = ifEnded(() => `interrupted; the audits of ${found.length} edits are kept in ${store}`)
  const say = (text: string): void => {
    if (!flags.json) io.out(text)
  }
  try {
    await withEditor(call, { mustExist: true }, async (editor) => {
      const asked = standing(editor, only)
      const show = (done: number, detail?: string): void =>
        display.update({ done, total: asked.length, ...(detail !== undefined && { detail }) })
      for (const [i, record] of asked.entries()) {
        show(i, quoted(record.prompt))
        const own = await editor.audit(record.number)
        found.push(own)
        if (only !== undefined || flawsOf(own).length > 0)
          say(`edit ${own.number}: ${auditText(own)}: ${quoted(record.prompt)}\n`)
      }
      // when all have been asked: what is taught again may disturb what was asked before
      for (const [i, record] of asked.entries()) {
        if (!flags.reteach || found[i]!.isLearned) continue
        show(i, `again: ${quoted(record.prompt)}`)
        const taughtAgain = await teachAgain(editor, record)
        found[i] = { ...found[i]!, taughtAgain }
        say(
          `edit ${record.number} taught again as ${taughtAgain.number}: ${auditText(taughtAgain)}: ${quoted(record.prompt)}\n`,
        )
      }
      show(asked.length)
    })
  } finally {
    release()
    display.end()
  }
  if (flags.json) json(io, found)
  else if (only === undefined) io.out(summaryOf(found))
}
