/** @file What the measured correlations say, and which claims they bear out. */
import { count } from '../../base/index.ts'
import { exponents, levelThreshold, plateauBound } from '../../grammar/index.ts'
import {
  type Conclusion,
  type Estimate,
  geometricMean,
  meanOf,
  powerOf,
  type RunView,
  shown,
  type Verdict,
} from '../../lab/index.ts'
import type { CorrelationConfig, CorrelationResult, CorrelationShape } from '../token-correlations.ts'
import { type Curve, decayOf, type HeightSummary, noiseAmplitude, summarizeHeights } from './analyse.ts'
import { fullShape } from './measure.ts'

export type View = RunView<CorrelationConfig, CorrelationResult>
type ShapeResult = CorrelationResult['shapes'][number]

/** `v = 16, m = 4, s = 2`. */
export const shapeName = ({ v, m, s }: CorrelationShape): string => `v = ${v}, m = ${m}, s = ${s}`

/** v m^{2ℓ−1}/(1 − f), ℓ the height of the lowest common ancestor. */
export const thresholdFormula = (shape: CorrelationShape, height: number): number =>
  levelThreshold(fullShape(shape), 'transformer', height)

/** β = ln m/ln s. */
export const betaOf = (shape: CorrelationShape): number => exponents(fullShape(shape)).beta

export const tokenHeights = ({ grammars }: ShapeResult): HeightSummary[] =>
  summarizeHeights(grammars.map(({ tokens }) => tokens))

export const tupleHeights = ({ grammars }: ShapeResult): HeightSummary[] =>
  summarizeHeights(grammars.map(({ tuples }) => tuples))

/** Heights at which every grammar's signal has left the noise: only there is a signal more than a guess. */
const clearHeights = (result: ShapeResult): HeightSummary[] =>
  tokenHeights(result).filter(({ reached }) => reached === result.grammars.length)

const near = ({ value, error }: Estimate, target: number, tolerance: number): boolean =>
  Math.abs(value - target) <= Math.max(tolerance, 3 * (error ?? 0))

function shapeVerdicts(result: ShapeResult): Verdict[] {
  const { shape, grammars } = result
  const clear = clearHeights(result).map(({ height }) => height)
  if (clear.length < 2) return []
  const ratio = meanOf(
    grammars.map(
      ({ tokens }) =>
        meanOf(
          tokens.filter(({ height }) => clear.includes(height)).map(({ signal, exact }) => signal / exact),
        ).value,
    ),
  )
  const decay = meanOf(grammars.map(({ tokens }) => decayOf(tokens, shape.s, clear)))
  const growth = meanOf(
    grammars.map(
      ({ tokens }) =>
        powerOf(
          tokens
            .filter(({ height }) => clear.includes(height))
            .map(({ height, threshold }) => [threshold!, shape.s ** height] as const),
        ).value,
    ),
  )
  const beta = betaOf(shape)
  const heights = `heights ${clear[0]} to ${clear.at(-1)}`
  return [
    {
      claim: `${shapeName(shape)}: squared covariance counted from data over the exact one of the same grammar, ${heights} (within 5 % or 3 errors)`,
      measured: ratio.value,
      error: ratio.error,
      predicted: 1,
      pass: near(ratio, 1, 0.05),
      control: false,
    },
    {
      claim: `${shapeName(shape)}: covariances fall as distance to the power −β, β = ln m/ln s, ${heights} (within 15 %)`,
      measured: decay.value,
      error: decay.error,
      predicted: beta,
      pass: Math.abs(decay.value / beta - 1) <= 0.15,
      control: false,
    },
    {
      claim: `${shapeName(shape)}: the visible context grows as P^(1/2β), ${heights} (within 15 %)`,
      measured: growth.value,
      error: growth.error,
      predicted: 1 / (2 * beta),
      pass: Math.abs(growth.value * 2 * beta - 1) <= 0.15,
      control: false,
    },
  ]
}

/** Thresholds of all shapes and heights, measured and by formula. */
export const thresholdPairs = (results: readonly ShapeResult[]): { formula: number; measured: number }[] =>
  results.flatMap((result) =>
    clearHeights(result).map(({ height, threshold }) => ({
      formula: thresholdFormula(result.shape, height),
      measured: threshold!.value,
    })),
  )

/** Token over tuple, at equal height, of the rms signal and of the rms noise, each over √m. */
function tupleFactors(results: readonly ShapeResult[]): { signal: Estimate; noise: Estimate } {
  const factors = results.flatMap(({ shape, grammars }) =>
    grammars.flatMap(({ tokens, tuples }) =>
      tuples.flatMap((tuple) => {
        const token = tokens.find(({ height }) => height === tuple.height)!
        if (token.threshold === null || tuple.threshold === null) return []
        return [
          {
            signal: Math.sqrt(token.signal / tuple.signal / shape.m),
            noise: Math.sqrt(noiseAmplitude(token) / noiseAmplitude(tuple) / shape.m),
          },
        ]
      }),
    ),
  )
  return {
    signal: geometricMean(factors.map(({ signal }) => signal)),
    noise: geometricMean(factors.map(({ noise }) => noise)),
  }
}

/** Exact plateau over its bound, and inference over entropy, both over heights from 1 and grammars. */
function plateauRatios(results: readonly ShapeResult[]): { bound: Estimate; routes: Estimate } {
  const ratios = results.flatMap(({ shape, grammars }) =>
    grammars.flatMap(({ plateaus: { exact, losses } }) =>
      exact.slice(1).map((value, i) => ({
        bound: value / plateauBound(fullShape(shape), i + 1),
        routes: losses[i + 1]! / value,
      })),
    ),
  )
  return {
    bound: meanOf(ratios.map(({ bound }) => bound)),
    routes: meanOf(ratios.map(({ routes }) => routes)),
  }
}

/** Mean square over noise, minus 1, above height 1 with the most data: how far a signal stands out. */
const excess = (tokens: readonly Curve[]): number =>
  meanOf(
    tokens
      .filter(({ height }) => height > 1)
      .map(({ squares }) => squares.at(-1)!.within / squares.at(-1)!.between - 1),
  ).value

function generalVerdicts({ shapes, uncorrelated, random }: CorrelationResult): Verdict[] {
  const pairs = thresholdPairs(shapes)
  const slope = powerOf(pairs.map(({ formula, measured }) => [formula, measured] as const))
  const factor = geometricMean(pairs.map(({ formula, measured }) => measured / formula))
  const floor = meanOf(
    shapes.flatMap(({ shape, grammars }) =>
      grammars.map(
        ({ tokens }) => Math.sqrt(meanOf(tokens.map(noiseAmplitude)).value) * (shape.v / (1 - 1 / shape.v)),
      ),
    ),
  )
  const tuple = tupleFactors(shapes)
  const plateau = plateauRatios(shapes)
  const control = meanOf(uncorrelated.map(({ tokens }) => excess(tokens)))
  const beside = meanOf(random.map(({ tokens }) => excess(tokens)))
  return [
    {
      claim: `power of the data at which signal equals noise in v m^(2ℓ−1)/(1 − f), ${pairs.length} shapes and heights (within 0.1 or 3 errors)`,
      measured: slope.value,
      error: slope.error,
      predicted: 1,
      pass: near(slope, 1, 0.1) && pairs.length > 2,
      control: false,
    },
    {
      claim: 'the same data over v m^(2ℓ−1)/(1 − f), geometric mean (within a factor of 1.5)',
      measured: factor.value,
      error: factor.error,
      predicted: 1,
      pass: factor.value <= 1.5 && factor.value >= 1 / 1.5,
      control: false,
    },
    {
      claim: 'noise of the covariance over (1 − 1/v)(v² P)^(−1/2) (within 5 % or 3 errors)',
      measured: floor.value,
      error: floor.error,
      predicted: 1,
      pass: near(floor, 1, 0.05),
      control: false,
    },
    {
      claim: 'token–token covariance over tuple–token covariance, over √m (within 10 % or 3 errors)',
      measured: tuple.signal.value,
      error: tuple.signal.error,
      predicted: 1,
      pass: near(tuple.signal, 1, 0.1),
      control: false,
    },
    {
      claim: 'the same for their noise (within 10 % or 3 errors)',
      measured: tuple.noise.value,
      error: tuple.noise.error,
      predicted: 1,
      pass: near(tuple.noise, 1, 0.1),
      control: false,
    },
    {
      claim: 'exact loss of the last token over its bound ln N̄_ℓ, mean over ℓ ≥ 1 and grammars (at most 1)',
      measured: plateau.bound.value,
      error: plateau.bound.error,
      predicted: null,
      pass: plateau.bound.value <= 1,
      control: false,
    },
    {
      claim: 'the same loss from inference on strings over that from the rules (within 5 % or 3 errors)',
      measured: plateau.routes.value,
      error: plateau.routes.error,
      predicted: 1,
      pass: near(plateau.routes, 1, 0.05),
      control: false,
    },
    {
      claim: `uncorrelated grammars: squared covariance over noise, minus 1, beyond neighbours, with the most data (less than 2 % of that of random grammars of the same shape, ${shown(beside, 1)})`,
      measured: control.value,
      error: control.error,
      predicted: 0,
      pass: Math.abs(control.value) < 0.02 * beside.value,
      control: true,
    },
  ]
}

/** Headline, paragraph and verdicts of one run. */
export function concludeCorrelations({ config, result }: View): Conclusion {
  const pairs = thresholdPairs(result.shapes)
  const slope = powerOf(pairs.map(({ formula, measured }) => [formula, measured] as const))
  const verdicts = [...generalVerdicts(result), ...result.shapes.flatMap(shapeVerdicts)]
  const first = result.shapes[0]!
  const clear = clearHeights(first)
  const listed = clear
    .map(({ height, threshold }) => `height ${height}: ${count(threshold!.value)}`)
    .join(', ')
  return {
    headline: `correlations at height ℓ leave the noise at P ∝ (v m^(2ℓ−1)/(1 − f))^${shown(slope)}`,
    paragraph:
      `Of each of ${result.shapes.length} shapes ${config.grammars} grammars were drawn, and up to ${config.most.toLocaleString('en')} strings of each were counted: ` +
      'how often does one token stand before the last one, beyond chance? ' +
      `Every level between two tokens takes a factor m from their covariance, so that it falls as a power of their distance, ` +
      `and takes m² times more data to be seen. With ${shapeName(first.shape)} the signal equals the noise at ${listed} strings. ` +
      'Nothing in the counting knows of the formula: the noise is the same count between strings that have nothing to do with each other. ' +
      'Grammars whose symbols stand equally often in every place have no such correlations, however many data there are.',
    numbers: [
      { label: 'power of the thresholds', value: shown(slope), note: 'of v m^(2ℓ−1)/(1 − f), predicted 1' },
      {
        label: 'claims borne out',
        value: `${verdicts.filter(({ pass }) => pass).length} of ${verdicts.length}`,
      },
    ],
    verdicts,
  }
}
