/** @file What the measured rows say, and which claims of the paper they bear out. */
import type { Interval } from '../../edit/index.ts'
import type { Conclusion, RunView, Verdict } from '../../lab/index.ts'
import type { EditingConfig, EditingResult, Row } from '../lifelong-editing.ts'

export type View = RunView<EditingConfig, EditingResult>

/** ZsRE on LLaMA-3-8B-Instruct, averages at T = 1, 100, 1000 (arXiv 2506.07899), by our names. */
export const published: Readonly<Record<string, readonly [one: number, hundred: number, thousand: number]>> =
  {
    'ft-l': [0.54, 0.09, 0.09],
    rome: [0.97, 0.06, 0.03],
    grace: [0.82, 0.8, 0.79],
    wise: [0.92, 0.74, 0.77],
    'memoir-published': [1.0, 0.95, 0.93],
  }

/** The same at T = 1000: reliability, generalization, locality. */
export const publishedParts: Readonly<Record<string, readonly [number, number, number]>> = {
  'memoir-published': [0.94, 0.85, 1.0],
  'memoir-no-permutation': [0.9, 0.81, 0.99],
  'memoir-random-masks': [0.96, 0.41, 1.0],
  'memoir-no-routing': [0.94, 0.79, 0.47],
}

export const sizesOf = ({ result }: View): number[] =>
  [...new Set(result.rows.map(({ edits }) => edits))].sort((a, b) => a - b)

const rowOf = ({ result }: View, method: string, edits: number): Row | undefined =>
  result.rows.find((row) => row.method === method && row.edits === edits)

/** Half the width of the interval over 1.96: about one standard error. */
export const errorOf = ({ low, high }: Interval): number => (high - low) / 2 / 1.96

const measuredBy = (
  claim: string,
  interval: Interval,
  predicted: number | null,
  pass: boolean,
  control = false,
): Verdict => ({ claim, measured: interval.mean, error: errorOf(interval), predicted, pass, control })

function memoirVerdicts(run: View, largest: number): Verdict[] {
  const memoir = rowOf(run, 'memoir', largest)
  if (!memoir) return []
  const { reliability, generalization, locality } = memoir.summary.forced
  const list: Verdict[] = []
  for (const [name, interval, least] of [
    ['reliability', reliability, 0.9],
    ['generalization', generalization, 0.82],
    ['locality', locality, 0.98],
  ] as const)
    if (interval)
      list.push(
        measuredBy(
          `MEMOIR, ${largest} edits: ${name} at least ${least}`,
          interval,
          least,
          interval.mean >= least,
        ),
      )
  list.push({
    claim: `MEMOIR, ${largest} edits: whenever no edit answers, log-probabilities have the bits of the unedited model`,
    measured: Number(memoir.summary.silentIsIdentical),
    error: null,
    predicted: 1,
    pass: memoir.summary.silentIsIdentical,
    control: false,
  })
  const grace = rowOf(run, 'grace', largest)?.summary.forced.generalization
  if (grace && generalization)
    list.push(
      measuredBy(
        `${largest} edits: GRACE generalizes less than MEMOIR (intervals apart)`,
        grace,
        null,
        grace.high < generalization.low,
      ),
    )
  return list
}

/** Fine-tuning and ROME: the average falls with T. */
function collapseVerdicts(run: View, sizes: readonly number[]): Verdict[] {
  const [first, last] = [sizes[0]!, sizes.at(-1)!]
  if (sizes.length < 2) return []
  return ['ft-l', 'ft-m', 'rome'].flatMap((method) => {
    const [early, late] = [rowOf(run, method, first), rowOf(run, method, last)]
    const [before, after] = [early?.summary.forced.average, late?.summary.forced.average]
    if (!before || !after) return []
    return measuredBy(
      `${late!.title} loses with T: its average after ${last} edits is below that after ${first} (intervals apart)`,
      after,
      null,
      after.high < before.low,
    )
  })
}

/** What each part of MEMOIR is worth, by the mean that the paper loses most of. */
function ablationVerdicts(run: View, largest: number): Verdict[] {
  const full = rowOf(run, 'memoir', largest)?.summary.forced
  const claims = [
    ['memoir-no-permutation', 'average', 'without the permutation the average is lower'],
    ['memoir-random-masks', 'generalization', 'with random masks the generalization is lower'],
    ['memoir-no-routing', 'locality', 'without routing the locality is lower'],
  ] as const
  return claims.flatMap(([method, what, claim]) => {
    const own = rowOf(run, method, largest)?.summary.forced[what]
    const whole = full?.[what]
    if (!own || !whole) return []
    return measuredBy(`MEMOIR, ${largest} edits: ${claim} (intervals apart)`, own, null, own.high < whole.low)
  })
}

export function verdictsOf(run: View): Verdict[] {
  const sizes = sizesOf(run)
  const largest = sizes.at(-1)!
  const untouched = run.result.rows.filter(({ method }) => method === 'none')
  return [
    ...memoirVerdicts(run, largest),
    ...collapseVerdicts(run, sizes),
    ...ablationVerdicts(run, largest),
    ...untouched.slice(-1).flatMap(({ summary, edits }) => {
      const { reliability } = summary.forced
      if (!reliability) return []
      return measuredBy(
        `before any edit few of the ${edits} targets are known (reliability below 0.5)`,
        reliability,
        null,
        reliability.mean < 0.5,
        true,
      )
    }),
  ]
}

export const cell = (interval: Interval | null): string => (interval ? interval.mean.toFixed(2) : '–')
export const cellWithInterval = (interval: Interval | null): string =>
  interval ? `${interval.mean.toFixed(3)} [${interval.low.toFixed(3)}, ${interval.high.toFixed(3)}]` : '–'

const triple = ({ summary: { forced } }: Row): string =>
  `${cell(forced.reliability)}/${cell(forced.generalization)}/${cell(forced.locality)}`

/** A sentence, where it was asked for. */
const hardLocality = ({ sameSubject, sameRelation }: Row['summary']['forced']): string =>
  sameSubject || sameRelation
    ? ` Something else said of the same subject stays as it was in ${cell(sameSubject)} of the places, the same wording about another subject in ${cell(sameRelation)}.`
    : ''

export function concludeEditing(run: View): Conclusion {
  const largest = sizesOf(run).at(-1)!
  const last = run.result.rows.filter(({ edits }) => edits === largest)
  const best = [...last].sort(
    (a, b) => (b.summary.forced.average?.mean ?? 0) - (a.summary.forced.average?.mean ?? 0),
  )[0]!
  const memoir = last.find(({ method }) => method === 'memoir') ?? best
  const { forced, generated, perplexity } = memoir.summary
  return {
    headline: `${largest} edits: ${memoir.title} reliability ${cell(forced.reliability)}, generalization ${cell(forced.generalization)}, locality ${cell(forced.locality)}; highest average: ${best.title} (${cell(best.summary.forced.average)})`,
    paragraph:
      `After ${largest} facts taught one after another, reliability/generalization/locality (teacher-forced): ` +
      `${last.map((row) => `${row.title} ${triple(row)}`).join('; ')}. ` +
      `By greedy generation ${memoir.title} gives the whole target after ${cell(generated.reliability)} of the prompts and ${cell(generated.generalization)} of the rephrasings; ` +
      `the perplexity of the target is ${perplexity.edit?.median.toPrecision(3) ?? '–'} (median).${hardLocality(forced)}`,
    numbers: last.map((row) => ({
      label: row.title,
      value: triple(row),
      note: `average ${cell(row.summary.forced.average)}`,
    })),
    verdicts: verdictsOf(run),
  }
}
