/** @file How edits are shown. */
import { percent, prettyJson } from '../../../base/index.ts'
import type { Listed, StoreConfig } from '../../../edit/index.ts'
import type { Io } from '../../io.ts'

/** A text in quotes, its end where it is long. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > 60 ? `…${text.slice(-59)}` : text)

export const json = (io: Io, value: unknown): void => io.out(prettyJson(value))

export function stateText({ status }: Listed): string {
  if (status.state === 'superseded') return `superseded by ${status.by}`
  if (status.state === 'undone')
    return status.memory === 'kept' ? 'undone (replay clears the memory)' : 'undone'
  return 'active'
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
