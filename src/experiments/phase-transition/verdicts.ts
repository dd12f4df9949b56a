/** @file The claims put to the test, and the run in words. */
import type { Conclusion, Verdict } from '../../lab/index.ts'
import { type Comparison, deviation } from './acceptance.ts'
import type { ChannelResult } from './channelCurves.ts'
import type { Config } from './config.ts'
import type { Estimate } from './curves.ts'
import type { LostPhase } from './lost.ts'
import type { Result } from './measure.ts'
import type { MixtureResult } from './mixture.ts'
import type { Threshold } from './thresholds.ts'
import { plusMinus, words } from './words.ts'

/** Measured and predicted differ by no more than `tolerance`. */
const close = ({ value }: Estimate, predicted: number | null, tolerance: number): boolean =>
  value !== null && predicted !== null && Math.abs(value - predicted) <= tolerance

/** A verdict whose claim is that the prediction is met within a tolerance that the claim names. */
const meets = (claim: string, measured: Estimate, predicted: number | null, tolerance: number): Verdict => ({
  claim,
  measured: measured.value,
  error: measured.error,
  predicted,
  pass: close(measured, predicted, tolerance),
  control: false,
})

const grammarName = ({ v, m, s }: Pick<Threshold, 'v' | 'm' | 's'>): string => `v=${v}, m=${m}, s=${s}`

function thresholdVerdict(threshold: Threshold): Verdict {
  const { depths, measured, theory } = threshold
  return meets(
    `class lost at ε* of the closed form, within 0.01 or three errors (${grammarName(threshold)}; where the curves of L = ${depths.join(' and ')} cross)`,
    measured,
    theory,
    Math.max(0.01, 3 * (measured.error ?? 0)),
  )
}

function epsilonVerdicts({ depths, rootGrowth, leafGrowth, rootLeaf, meanField }: ChannelResult): Verdict[] {
  const theory = meanField!.estimates
  const span = `L = ${depths[0]} … ${depths.at(-1)}`
  const nearer = rootLeaf.at(-1)!
  const found = [
    meets(
      `ε-process: the class falls more steeply with every level, by the factor of mean field within 10 % (${span})`,
      rootGrowth,
      theory.rootGrowth.value,
      0.1 * (theory.rootGrowth.value ?? 0),
    ),
    meets(
      `ε-process: leaves stay smooth, steeper with every level by no more than in mean field within 10 % (${span})`,
      leafGrowth,
      theory.leafGrowth.value,
      0.1 * (theory.leafGrowth.value ?? 0),
    ),
  ]
  // shallow trees never know their class better than their leaves: nothing crosses, in theory either
  if (theory.rootLeaf.at(-1)!.value !== null)
    found.push(
      meets(
        `ε-process: root and leaf curves cross where mean field says for L = ${depths.at(-1)}, within 0.02`,
        nearer,
        theory.rootLeaf.at(-1)!.value,
        0.02,
      ),
    )
  return found
}

const channelVerdict = ({ channel, depths, rootGrowth: { value, error } }: ChannelResult): Verdict => ({
  claim: `${words[channel].title}: the class falls more steeply with every level, growth above 1 by two errors (L = ${depths[0]} … ${depths.at(-1)})`,
  measured: value,
  error,
  predicted: null,
  pass: value !== null && value - 2 * (error ?? 0) > 1,
  control: false,
})

/** The largest amount by which depth helps the class at any noise. */
const bestGain = ({ root }: LostPhase): number =>
  Math.max(...root.at(-1)!.map((deep, i) => deep - root[0]![i]!))

const lostVerdicts = (lost: LostPhase): Verdict[] => [
  meets(
    `s·f = ${lost.ratio.toFixed(2)}: the noise that costs half of the class shrinks with every level as in mean field, within 0.03`,
    lost.shrink,
    lost.shrinkTheory,
    0.03,
  ),
  {
    claim: `s·f = ${lost.ratio.toFixed(2)}, no transition: at no noise does a deeper tree know its class better (gain at most 0.01)`,
    measured: bestGain(lost),
    error: null,
    predicted: 0,
    pass: bestGain(lost) <= 0.01,
    control: true,
  },
]

/** Where the mode is known worst in comparison with a coordinate. */
function worstGap({ mode, coordinate }: MixtureResult): { value: number; error: number } {
  const gaps = mode.mean.map((value, i) => ({
    value: value - coordinate.mean[i]!,
    error: Math.hypot(mode.error[i] ?? 0, coordinate.error[i] ?? 0),
  }))
  // without noise both are 1
  return gaps.slice(1).reduce((worst, gap) => (gap.value < worst.value ? gap : worst))
}

function mixtureVerdict(mixture: MixtureResult): Verdict {
  const { value, error } = worstGap(mixture)
  return {
    claim:
      'two-mode Gaussian mixture: its class is never known worse than its coordinates, no crossing (within three errors)',
    measured: value,
    error,
    predicted: 0,
    pass: value >= -3 * error,
    control: true,
  }
}

function acceptanceVerdict(all: readonly Comparison[]): Verdict {
  const met = all.filter((comparison) => Math.abs(deviation(comparison)) <= 3).length
  return {
    claim: `${all.length} reference values at v=32, m=8, s=2 are met within three errors, each that of a single grammar`,
    measured: met,
    error: null,
    predicted: all.length,
    pass: met === all.length,
    control: false,
  }
}

/** Mean distance between measured boundary and theory line of the phase diagram. */
function diagramVerdict({ boundary, theory }: NonNullable<Result['diagram']>): Verdict {
  const gaps = boundary.flatMap(({ value }, i) =>
    value === null || theory[i] == null ? [] : [Math.abs(value - theory[i])],
  )
  const average = gaps.length === 0 ? null : gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
  return {
    claim: `phase diagram: the class is recovered below the line of theory, mean distance of ${gaps.length} columns at most 0.02`,
    measured: average,
    error: null,
    predicted: 0,
    pass: average !== null && average <= 0.02,
    control: false,
  }
}

/** Every claim of the run. */
export function verdictsOf({ thresholds, channels, diagram, lost, mixture, acceptance }: Result): Verdict[] {
  const [epsilon, ...others] = channels as [ChannelResult, ...ChannelResult[]]
  return [
    ...thresholds.filter(({ theory }) => theory !== null).map(thresholdVerdict),
    ...epsilonVerdicts(epsilon),
    ...others.map(channelVerdict),
    ...(diagram ? [diagramVerdict(diagram)] : []),
    ...(acceptance.length > 0 ? [acceptanceVerdict(acceptance)] : []),
    ...(lost ? lostVerdicts(lost) : []),
    mixtureVerdict(mixture),
  ]
}

/** The run in words. */
export function conclude(config: Config, result: Result): Conclusion {
  const { thresholds, channels, epsStarTheory, mixture } = result
  const [own] = thresholds as [Threshold, ...Threshold[]]
  const epsilon = channels[0]!
  const verdicts = verdictsOf(result)
  const passed = verdicts.filter(({ pass }) => pass).length
  const measured = plusMinus(own.measured)
  const theory = epsStarTheory === null ? 'no transition in theory' : `theory ${epsStarTheory.toFixed(4)}`
  const headline =
    own.measured.value === null
      ? `no noise at which the class is lost at once (${theory})`
      : // `thresholds` has depths of its own: those of `depths` do not move it
        `class lost at ε = ${measured}, where the curves of L = ${own.depths.join(' and ')} cross (${theory})`
  const deepest = epsilon.depths.at(-1)!
  const last = epsilon.rootLeaf.at(-1)!
  return {
    headline,
    paragraph:
      `Leaves of grammars with v = ${config.grammar.v} symbols and m = ${config.grammar.m} rules of s = ${config.grammar.s} for each are blurred, ` +
      'and exact inference says how probable the true symbol of every node still is. ' +
      (own.measured.value === null
        ? 'At no noise does depth begin to hurt the class. '
        : `Below ε = ${measured} deeper trees know their class better, above it worse; ${theory}. `) +
      (epsilon.rootGrowth.value === null
        ? ''
        : `The fall of the class is ${plusMinus(epsilon.rootGrowth)} times as steep with every level, that of the leaves ${plusMinus(epsilon.leafGrowth)} times. `) +
      (last.value === null
        ? ''
        : `At L = ${deepest} the two curves cross at ε = ${plusMinus(last)}: with more noise the leaves survive better than what they mean. `) +
      `${passed} of ${verdicts.length} claims hold.`,
    numbers: [
      { label: 'class lost at ε', value: measured, note: theory },
      {
        label: 'root and leaf cross at ε',
        value: plusMinus(last),
        note: `L = ${deepest}; mean field ${plusMinus(epsilon.meanField!.estimates.rootLeaf.at(-1)!)}`,
      },
      {
        label: 'steeper with every level',
        value: plusMinus(epsilon.rootGrowth),
        note: `mean field ${plusMinus(epsilon.meanField!.estimates.rootGrowth, 3)}`,
      },
      {
        label: 'mixture: half of the class lost at',
        value: mixture.half === null ? '–' : `${mixture.half.toFixed(2)} T`,
        note: 'the control crosses nothing',
      },
    ],
    verdicts,
  }
}
