/** @file Exponents of a text from its rows, each with an error from leaving parts of the text, or networks, out. */
import { type BlockProducts, squaresOf } from '../../data/index.ts'
import {
  column,
  distinct,
  type Estimate,
  fallsBelow,
  groupBy,
  logSpread,
  mean,
  overReplicas,
  powerOf,
  ratio,
  where,
} from '../../lab/index.ts'
import type { Config } from './config.ts'
import type { DecoderRow } from './decoder.ts'
import type { ContextRow, Found, PairRow, Row, TextRow } from './measure.ts'

/** A statistic of all of n parts, and its error from leaving one out at a time. (Efron 1982, eq. 3.1) */
export function leavingOneOut(n: number, statistic: (left?: number) => number): Estimate {
  const value = statistic()
  const without = Array.from({ length: n }, (_, left) => statistic(left))
  const centre = mean(without)
  const error = Math.sqrt((without.reduce((sum, x) => sum + (x - centre) ** 2, 0) * (n - 1)) / n)
  return { value, error: Number.isFinite(error) ? error : null, n }
}

const isOf =
  <K extends Row['of']>(kind: K) =>
  (row: Found): row is Found<Extract<Row, { of: K }>> =>
    row.of === kind

/** Rows of the text itself: every seed has the same. */
const ofText = <R extends Found>(rows: readonly R[]): R[] => {
  const own = rows.filter((row) => 'shuffled' in row && !row.shuffled)
  const [first] = own
  return own.filter(({ seed, replica }) => seed === first?.seed && replica === first?.replica)
}

/** What is known of one distance. */
interface AtDistance {
  readonly t: number
  readonly products: BlockProducts
  readonly signal: number
  readonly noise: number
  /** Standard error of `signal`, over blocks. */
  readonly error: number
  /** Noise that as many independent pairs would have. */
  readonly independent: number
}

export function distancesOf(rows: readonly Found<PairRow>[]): AtDistance[] {
  return groupBy(rows, 't').map(({ key: { t }, rows: own }) => {
    const [{ pairs, size, varied }] = own as [Found<PairRow>]
    const products = { pairs, size, varied, norms: column(own, 'norm'), inners: column(own, 'inner') }
    const { error } = leavingOneOut(own.length, (left) => squaresOf(products, left).signal)
    const independent = varied / size / (pairs * own.length)
    return { t, products, ...squaresOf(products), error: error ?? Number.NaN, independent }
  })
}

/** The distances, from the nearest on, at which the covariance is above its noise. */
export function visible(distances: readonly AtDistance[]): AtDistance[] {
  const end = distances.findIndex(({ signal, noise }) => !(signal > noise))
  return distances.slice(0, end < 0 ? distances.length : end)
}

const decay = (distances: readonly AtDistance[], left?: number): number =>
  -powerOf(distances.map(({ t, products }) => [t, Math.sqrt(squaresOf(products, left).signal)] as const))
    .value

const none: Estimate = { value: Number.NaN, error: null }

/** Power of the decay of C̃, and that of its farther half over that of its nearer half. */
function decayOf(distances: readonly AtDistance[]): {
  readonly beta: Estimate
  readonly bend: Estimate
} {
  const seen = visible(distances)
  if (seen.length < 3) return { beta: none, bend: none }
  const blocks = seen[0]!.products.norms.length
  const beta = leavingOneOut(blocks, (left) => decay(seen, left))
  if (seen.length < 4) return { beta, bend: none }
  const middle = Math.ceil(seen.length / 2)
  // both halves hold the point between them
  const [near, far] = [seen.slice(0, middle), seen.slice(middle - 1)]
  return { beta, bend: leavingOneOut(blocks, (left) => decay(far, left) / decay(near, left)) }
}

/** Noise far from all correlations over that of independent pairs: a mean over the farther half of the distances. */
export function farNoise(distances: readonly AtDistance[]): Estimate {
  const far = distances.slice(Math.floor(distances.length / 2))
  const blocks = far[0]!.products.norms.length
  return leavingOneOut(blocks, (left) => {
    const n = blocks - (left === undefined ? 0 : 1)
    return mean(
      far.map(({ products, independent }) => (squaresOf(products, left).noise * n) / (independent * blocks)),
    )
  })
}

/** Distance at which P symbols still show the covariance: where it is as large as the noise of so many. */
export function effectiveContextOf(distances: readonly AtDistance[], P: number): number {
  const { products, independent } = distances.at(-1)!
  const noise = (independent * products.pairs * products.norms.length) / P
  return fallsBelow(
    distances.map(({ t, signal }) => ({ x: t, y: signal })),
    noise,
  )
}

/** Mean loss over groups of test pieces, all or without one. */
const lossOf = (rows: readonly ContextRow[], left?: number): number =>
  mean(rows.filter(({ group }) => group !== left).map(({ loss }) => loss))

/** The counting model: its losses by context and by how much was counted. */
interface Contexts {
  /** Symbols counted, the most first. */
  readonly counted: readonly number[]
  readonly n: readonly number[]
  readonly groups: number
  readonly loss: (n: number, counted: number, left?: number) => number
}

function contextsOf(rows: readonly Found<ContextRow>[]): Contexts {
  const byCell = new Map(
    groupBy(rows, 'n', 'counted').map(({ key, rows: own }) => [`${key.n},${key.counted}`, own]),
  )
  return {
    counted: [...distinct(rows, 'counted')].sort((a, b) => b - a),
    n: [...distinct(rows, 'n')].sort((a, b) => a - b),
    groups: distinct(rows, 'group').length,
    loss: (n, counted, left) => lossOf(byCell.get(`${n},${counted}`) ?? [], left),
  }
}

/** Contexts whose loss more text would hardly lower: up to the first at which half of the text loses more than that share. */
function settledContexts({ counted: [all, half], n, loss }: Contexts, share: number): number[] {
  const from1 = n.filter((own) => own >= 1)
  const end = from1.findIndex((own) => loss(own, half!) / loss(own, all!) - 1 > share)
  return from1.slice(0, end < 0 ? from1.length : end)
}

/** γ: how the loss falls with the length of the context. */
function gammaOf(contexts: Contexts, share: number): Estimate {
  const settled = settledContexts(contexts, share)
  if (settled.length < 2) return none
  const { counted, groups, loss } = contexts
  return leavingOneOut(
    groups,
    (left) => -powerOf(settled.map((n) => [n, loss(n, counted[0]!, left)] as const)).value,
  )
}

/** α of the counting model: how its loss, with the longest context, falls with what was counted. */
function alphaOfCounts({ counted, n, groups, loss }: Contexts): Estimate {
  const longest = n.at(-1)!
  return leavingOneOut(
    groups,
    (left) => -powerOf(counted.map((P) => [P, loss(longest, P, left)] as const)).value,
  )
}

/** Mean over the window of a decoder's loss, in its place in the rows of one P. */
const windowLoss = (rows: readonly DecoderRow[]): number => mean(column(rows, 'loss'))

export const decoderPoints = (rows: readonly Found<DecoderRow>[]): { P: number; loss: number }[] =>
  groupBy(rows as readonly (Found<DecoderRow> & { P: number })[], 'P')
    .map(({ key: { P }, rows: own }) => ({ P, loss: windowLoss(own) }))
    .sort((a, b) => a.P - b.P)

/** Contexts whose curves are laid on each other. */
const collapsed = [1, 2, 3, 4, 6, 8, 11, 15]

/** Loss against P of each of these contexts, as it is or as t^γ L against P/t^z. */
export function contextCurves(
  rows: readonly Found<DecoderRow>[],
  scaling?: { readonly gamma: number; readonly z: number },
): { readonly t: number; readonly x: number[]; readonly y: number[] }[] {
  const { gamma, z } = scaling ?? { gamma: 0, z: 0 }
  return collapsed.flatMap((t) => {
    const points = decoderPoints(where(rows, { context: t }))
    if (points.length === 0) return []
    return [{ t, x: points.map(({ P }) => P / t ** z), y: points.map(({ loss }) => loss * t ** gamma) }]
  })
}

/** Everything that is said of a text. */
export interface TextFacts {
  readonly text: Found<TextRow>
  readonly distances: readonly AtDistance[]
  readonly shuffled: readonly Found<PairRow>[]
  readonly contexts: Contexts
  readonly shuffledContexts: Contexts
  readonly decoders: readonly Found<DecoderRow>[]
  readonly beta: Estimate
  readonly bend: Estimate
  readonly gamma: Estimate
  readonly settled: readonly number[]
  /** γ/(2β). */
  readonly predicted: Estimate
  readonly alphaCounts: Estimate
  /** Undefined without decoders. */
  readonly alphaDecoders: Estimate | undefined
  /** Spread of the curves of the contexts after the collapse over that before. */
  readonly collapse: Estimate | undefined
}

export function factsOf(rows: readonly Found[], { settled: share }: Config): TextFacts {
  const pairs = rows.filter(isOf('pairs'))
  const counted = rows.filter(isOf('contexts'))
  const decoders = rows.filter(isOf('decoder'))
  const shuffledRows = <R extends Found>(all: readonly R[]): R[] =>
    all.filter((row) => 'shuffled' in row && row.shuffled)
  const distances = distancesOf(ofText(pairs))
  const contexts = contextsOf(ofText(counted))
  const { beta, bend } = decayOf(distances)
  const gamma = gammaOf(contexts, share)
  const twice: Estimate = {
    ...beta,
    value: 2 * beta.value,
    error: beta.error === null ? null : 2 * beta.error,
  }
  const scaling = { gamma: gamma.value, z: twice.value }
  return {
    text: rows.filter(isOf('text'))[0]!,
    ...{ distances, contexts, decoders, beta, bend, gamma },
    shuffled: shuffledRows(pairs),
    shuffledContexts: contextsOf(shuffledRows(counted)),
    settled: settledContexts(contexts, share),
    predicted: ratio(gamma, twice),
    alphaCounts: alphaOfCounts(contexts),
    alphaDecoders:
      decoders.length === 0
        ? undefined
        : overReplicas(
            decoders,
            (own) => -powerOf(decoderPoints(own).map(({ P, loss }) => [P, loss] as const)).value,
          ),
    collapse:
      decoders.length === 0
        ? undefined
        : overReplicas(
            decoders,
            (own) => logSpread(contextCurves(own, scaling)) / logSpread(contextCurves(own)),
          ),
  }
}
