/** @file How edits are shown. */
import { percent, prettyJson } from '../../../base/index.ts'
import type { Audit, Listed, StoreConfig } from '../../../edit/index.ts'
import type { Io } from '../../io.ts'

/** A text in quotes, its end where it is long. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > 60 ? `…${text.slice(-59)}` : text)

export const json = (io: Io, value: unknown): void => io.out(prettyJson(value))

/** What an audit found amiss, in a few words each. */
export const flawsOf = ({ isLearned, keepsSubject, keepsRest }: Audit): string[] => [
  ...(isLearned ? [] : ['not learned']),
  ...(keepsSubject === false ? ['also answers another question about its subject'] : []),
  ...(keepsRest ? [] : ['also answers a prompt that it is not about']),
]

/** All that an audit found. */
export const auditText = (audit: Audit): string => {
  const { answered, of } = audit.otherWords
  const flaws = flawsOf(audit)
  return [
    ...(audit.isLearned ? ['learned'] : []),
    ...flaws,
    `${answered} of ${of} other wordings answered`,
  ].join(', ')
}

export function stateText({ status, audit }: Listed): string {
  if (status.state === 'superseded') return `superseded by ${status.by}`
  if (status.state === 'undone')
    return status.memory === 'kept' ? 'undone (replay clears the memory)' : 'undone'
  return ['active', ...(audit ? flawsOf(audit) : [])].join(', ')
}

/** Settings of a store in one line. */
export function settingsText({
  layer,
  ones,
  hidden,
  gate,
  threshold,
  calibration,
  scope,
}: StoreConfig): string {
  const rate = calibration && percent(calibration.falsePositives)
  const what = gate === 'subject' ? 'of the pairs of' : 'of'
  const rule = calibration
    ? ` (so that ${rate} ${what} ${calibration.prompts} prompts that no edit is about would pass)`
    : ''
  const own = scope && scope.level !== 'wide' ? scope.falsePositives[scope.level] : undefined
  const asks =
    own === undefined
      ? ''
      : ` and ask the same of it (scope ${scope!.level}: ${percent(own)} of held-out questions that ask something else would pass)`
  const names = gate === 'subject' ? `; a prompt must name the subject of the edit${asks}` : ''
  return `block ${layer}, ${ones} of ${hidden} features, threshold ${threshold.toFixed(3)}${rule}${names}`
}
