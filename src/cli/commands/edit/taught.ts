/** @file Which facts a store holds already: how `edit add FILE` goes on after an interruption. */
import type { EditRequest, Listed } from '../../../edit/index.ts'

/** What makes two edits the same. */
type Request = EditRequest

const keyOf = ({ prompt, target, subject }: Request): string => JSON.stringify([prompt, target, subject])

/**
 * The places of facts that need not be taught, with the edits that hold them: an edit of the same prompt, target and subject answers, or another of these
 * facts has taken its place. Facts and edits are matched in order, so a fact that stands twice in a list is taught twice.
 */
export function alreadyTaught(facts: readonly Request[], listed: readonly Listed[]): Map<number, Listed> {
  const standing = listed.filter(({ status }) => status.state !== 'undone')
  const matched = new Map<number, Listed>()
  let from = 0
  for (const [i, fact] of facts.entries()) {
    const key = keyOf(fact)
    const at = standing.findIndex(({ record }, place) => place >= from && keyOf(record) === key)
    if (at < 0) continue
    matched.set(i, standing[at]!)
    from = at + 1
  }
  const own = new Set([...matched.values()].map(({ record }) => record.number))
  const holds = ({ status }: Listed): boolean =>
    status.state === 'active' || (status.state === 'superseded' && own.has(status.by))
  return new Map([...matched].filter(([, edit]) => holds(edit)))
}
