/** @file What the rows say: gains of scaling by depth, what controls do, and where it does not help. */
import { percent } from '../../base/index.ts'
import {
  type Claim,
  claim,
  control,
  type Estimate,
  type Findings,
  groupBy,
  mean,
  overReplicas,
  shownEstimate,
} from '../../lab/index.ts'
import { type MethodName, methodNames } from './config.ts'
import { type Found, rowsOf } from './rows.ts'
import type { Scheme } from './schedules.ts'

export const methodTitle: Readonly<Record<MethodName, string>> = {
  task_arithmetic: 'task arithmetic',
  ties_global: 'TIES',
  consensus: 'Consensus',
  isotropic: 'isotropic merging',
}

/** What counts as a gain: half a point of a share. A difference of 0 is none. */
const least = 0.005

type Merges = Readonly<ReturnType<typeof rowsOf<'merge'>>>
type Singles = Readonly<ReturnType<typeof rowsOf<'single'>>>

/** What the chosen merge of a schedule has on test pictures. */
const chosenOf = (
  rows: Merges,
  method: MethodName,
  scheme: Scheme,
  what: 'test' | 'control' | 'absolute',
): number =>
  rows.find((row) => row.method === method && row.scheme === scheme && row.isChosen)?.[what] ?? Number.NaN

export const merged = (
  rows: Merges,
  method: MethodName,
  scheme: Scheme,
  what: 'test' | 'control' | 'absolute' = 'test',
): Estimate => overReplicas(rows, (own) => chosenOf(own, method, scheme, what))

/** By how much LiNeS is above another schedule of the same merge, replica by replica. */
export const gainOver = (rows: Merges, method: MethodName, scheme: Scheme): Estimate =>
  overReplicas(rows, (own) => chosenOf(own, method, 'lines', 'test') - chosenOf(own, method, scheme, 'test'))

/** Mean over tasks of a chosen single model. */
const single = (rows: Singles, scheme: Scheme, what: 'target' | 'control'): number =>
  mean(rows.filter((row) => row.scheme === scheme && row.isChosen).map((row) => row[what]))

/** The fine-tuned model itself is `plain` at α = 1. */
const unscaled = (rows: Singles, what: 'target' | 'control'): number =>
  mean(rows.filter((row) => row.scheme === 'plain' && row.alpha === 1).map((row) => row[what]))

export const singles = (rows: Singles, scheme: Scheme | 'fine-tuned', what: 'target' | 'control'): Estimate =>
  overReplicas(rows, (own) => (scheme === 'fine-tuned' ? unscaled(own, what) : single(own, scheme, what)))

function singleClaims(rows: Singles): Claim[] {
  if (rows.length === 0) return []
  const worth = (own: Singles, scheme: Scheme): number =>
    (2 * single(own, scheme, 'target') + single(own, scheme, 'control')) / 3
  const over = (scheme: Scheme): Estimate =>
    overReplicas(rows, (own) => worth(own, 'lines') - worth(own, scheme))
  return [
    claim(
      'one task: LiNeS gives back some of the control that fine-tuning lost (difference of shares)',
      overReplicas(rows, (own) => single(own, 'lines', 'control') - unscaled(own, 'control')),
    ).atLeast(least),
    claim(
      'one task: what LiNeS leaves of the task, as a share of the fine-tuned model’s accuracy',
      singles(rows, 'lines', 'target'),
    ).atLeast(0.95),
    claim(
      'one task: LiNeS is above one factor for all blocks, (2 · target + control) / 3',
      over('plain'),
    ).atLeast(least),
    control(
      'one task: LiNeS is above the reversed slope, (2 · target + control) / 3',
      over('reversed'),
    ).atLeast(least),
    control(
      'one task: LiNeS is above a random order of blocks, (2 · target + control) / 3',
      over('shuffled'),
    ).atLeast(least),
  ]
}

const mergeClaims = (rows: Merges): Claim[] =>
  methodNames
    .filter((method) => rows.some((row) => row.method === method))
    .flatMap((method) => [
      claim(
        `${methodTitle[method]}: LiNeS gains over the plain merge (normalized accuracy)`,
        gainOver(rows, method, 'plain'),
      ).atLeast(least),
      control(
        `${methodTitle[method]}: the reversed slope does worse than LiNeS`,
        gainOver(rows, method, 'reversed'),
      ).atLeast(least),
      control(
        `${methodTitle[method]}: the same factor in every block does worse than LiNeS`,
        gainOver(rows, method, 'constant'),
      ).atLeast(least),
      control(
        `${methodTitle[method]}: a random order of blocks does worse than LiNeS`,
        gainOver(rows, method, 'shuffled'),
      ).atLeast(least),
    ])

/** How far the fine-tuned models are above the pretrained one. */
const lift = (rows: readonly Found[]): Estimate =>
  overReplicas(rowsOf(rows, 'tuned'), (own) => mean(own.map(({ accuracy, zeroShot }) => accuracy - zeroShot)))

export function scalingFindings(rows: readonly Found[]): Omit<Findings, 'charts' | 'tables'> {
  const merges = rowsOf(rows, 'merge')
  const alone = rowsOf(rows, 'single')
  const tuned = rowsOf(rows, 'tuned')
  const methods = methodNames.filter((method) => merges.some((row) => row.method === method))
  const gains = methods.map((method) => ({ method, gain: gainOver(merges, method, 'plain') }))
  const helped = gains.filter(({ gain }) => gain.value > 0).length
  const average = (what: 'zeroShot' | 'accuracy'): number => mean(tuned.map((row) => row[what]))
  return {
    headline: `LiNeS over the plain merge: ${gains.map(({ method, gain }) => `${methodTitle[method]} ${shownEstimate(gain)}`).join(', ')}`,
    paragraph: [
      `${groupBy(tuned, 'task').length} tasks of one pretrained encoder: zero-shot accuracy ${percent(average('zeroShot'), 0)}, fine-tuned ${percent(average('accuracy'), 0)}.`,
      `The control falls from ${percent(mean(tuned.map((row) => row.controlBefore)), 0)} to ${percent(mean(tuned.map((row) => row.control)), 0)} when one task is learned.`,
      `Scaling by depth has a higher mean than the plain merge with ${helped} of ${gains.length} methods.`,
      'The coefficient, β and α of single tasks are chosen on validation pictures; merges take α by the norm rule. Errors are over draws of pictures and their order, on one encoder.',
    ].join(' '),
    numbers: gains.map(({ method, gain }) => ({
      label: methodTitle[method],
      value: shownEstimate(merged(merges, method, 'lines')),
      note: `plain ${shownEstimate(merged(merges, method, 'plain'))}, gain ${shownEstimate(gain)}`,
    })),
    claims: [
      claim('fine-tuning lifts the accuracy of single tasks over zero-shot', lift(rows)).atLeast(0.05),
      ...singleClaims(alone),
      ...mergeClaims(merges),
    ],
    result: Object.fromEntries(
      gains.flatMap(({ method, gain }) => [
        [`${method}Plain`, merged(merges, method, 'plain').value],
        [`${method}Lines`, merged(merges, method, 'lines').value],
        [`${method}Gain`, gain.value],
      ]),
    ),
  }
}
