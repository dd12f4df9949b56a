/** @file What the lines say, and which claims of the paper they bear out. */
import type { Interval } from '../../edit/index.ts'
import {
  type Claim,
  claim,
  control,
  difference,
  type Estimate,
  exact,
  type Findings,
} from '../../lab/index.ts'
import { type Line, sizesOf } from './rows.ts'

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

const lineOf = (lines: readonly Line[], method: string, edits: number): Line | undefined =>
  lines.find((line) => line.method === method && line.edits === edits)

/** A mean over facts with its 95 % score interval. */
const estimateOf = ({ mean, low, high, count }: Interval): Estimate => ({
  value: mean,
  error: (high - low) / 2 / 1.96,
  n: count,
  interval: [low, high],
})

/** That one mean is below another; nothing where one of them is missing. */
const below = (
  text: string,
  less: Interval | null | undefined,
  more: Interval | null | undefined,
): Claim[] => (less && more ? [claim(text, difference(estimateOf(less), estimateOf(more))).atMost(0)] : [])

function memoirClaims(lines: readonly Line[], largest: number): Claim[] {
  const memoir = lineOf(lines, 'memoir', largest)
  if (!memoir) return []
  const { forced, silentIsIdentical } = memoir.summary
  const least = { reliability: 0.9, generalization: 0.82, locality: 0.98 }
  return [
    ...(Object.keys(least) as (keyof typeof least)[]).flatMap((name) => {
      const own = forced[name]
      return own ? claim(`MEMOIR, ${largest} edits: ${name}`, estimateOf(own)).atLeast(least[name]) : []
    }),
    claim(
      `MEMOIR, ${largest} edits: whenever no edit answers, log-probabilities have the bits of the unedited model, 1 for yes`,
      exact(Number(silentIsIdentical)),
    ).atLeast(1),
    ...below(
      `${largest} edits: GRACE generalizes less than MEMOIR, difference`,
      lineOf(lines, 'grace', largest)?.summary.forced.generalization,
      forced.generalization,
    ),
  ]
}

/** Fine-tuning and ROME: the average falls with T. */
function collapseClaims(lines: readonly Line[], sizes: readonly number[]): Claim[] {
  const [first, last] = [sizes[0]!, sizes.at(-1)!]
  if (sizes.length < 2) return []
  return ['ft-l', 'ft-m', 'rome'].flatMap((method) => {
    const [early, late] = [lineOf(lines, method, first), lineOf(lines, method, last)]
    return below(
      `${late?.title} loses with T: its average after ${last} edits minus that after ${first}`,
      late?.summary.forced.average,
      early?.summary.forced.average,
    )
  })
}

/** What each part of MEMOIR is worth, by the mean that the paper loses most of. */
function ablationClaims(lines: readonly Line[], largest: number): Claim[] {
  const parts = [
    ['memoir-no-permutation', 'average', 'without the permutation the average is lower'],
    ['memoir-random-masks', 'generalization', 'with random masks the generalization is lower'],
    ['memoir-no-routing', 'locality', 'without routing the locality is lower'],
  ] as const
  return parts.flatMap(([method, what, text]) =>
    below(
      `MEMOIR, ${largest} edits: ${text}, difference`,
      lineOf(lines, method, largest)?.summary.forced[what],
      lineOf(lines, 'memoir', largest)?.summary.forced[what],
    ),
  )
}

export function claimsOf(lines: readonly Line[]): Claim[] {
  const sizes = sizesOf(lines)
  const largest = sizes.at(-1)!
  const known = lineOf(lines, 'none', largest)?.summary.forced.reliability
  return [
    ...memoirClaims(lines, largest),
    ...collapseClaims(lines, sizes),
    ...ablationClaims(lines, largest),
    ...(known
      ? [
          control(
            `before any edit few of the ${largest} targets are known, reliability`,
            estimateOf(known),
          ).atMost(0.5),
        ]
      : []),
  ]
}

export const cell = (interval: Interval | null): string => (interval ? interval.mean.toFixed(2) : '–')

const triple = ({ summary: { forced } }: Line): string =>
  `${cell(forced.reliability)}/${cell(forced.generalization)}/${cell(forced.locality)}`

/** A sentence, where it was asked for. */
const hardLocality = ({ sameSubject, sameRelation }: Line['summary']['forced']): string =>
  sameSubject || sameRelation
    ? ` Something else said of the same subject stays as it was in ${cell(sameSubject)} of the places, the same wording about another subject in ${cell(sameRelation)}.`
    : ''

/** Headline, paragraph and key numbers. */
export function editingFindings(
  lines: readonly Line[],
): Pick<Findings, 'headline' | 'paragraph' | 'numbers' | 'result'> {
  const largest = sizesOf(lines).at(-1)!
  const last = lines.filter(({ edits }) => edits === largest)
  const best = last.toSorted(
    (a, b) => (b.summary.forced.average?.mean ?? 0) - (a.summary.forced.average?.mean ?? 0),
  )[0]!
  const memoir = last.find(({ method }) => method === 'memoir') ?? best
  const { forced, generated, perplexity } = memoir.summary
  const { reliability, generalization, locality, average } = forced
  return {
    headline: `${largest} edits: ${memoir.title} reliability ${cell(reliability)}, generalization ${cell(generalization)}, locality ${cell(locality)}; highest average: ${best.title} (${cell(best.summary.forced.average)})`,
    paragraph:
      `After ${largest} facts taught one after another, reliability/generalization/locality (teacher-forced): ` +
      `${last.map((line) => `${line.title} ${triple(line)}`).join('; ')}. ` +
      `By greedy generation ${memoir.title} gives the whole target after ${cell(generated.reliability)} of the prompts and ${cell(generated.generalization)} of the rephrasings; ` +
      `the perplexity of the target is ${perplexity.edit?.median.toPrecision(3) ?? '–'} (median).${hardLocality(forced)}`,
    numbers: last.map((line) => ({
      label: line.title,
      value: triple(line),
      note: `average ${cell(line.summary.forced.average)}`,
    })),
    result: {
      method: memoir.method,
      reliability: reliability?.mean ?? null,
      generalization: generalization?.mean ?? null,
      locality: locality?.mean ?? null,
      average: average?.mean ?? null,
    },
  }
}
