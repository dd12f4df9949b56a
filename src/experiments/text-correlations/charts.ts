/** @file Figures and tables of a text. */
import { count } from '../../base/index.ts'
import {
  type Estimate,
  type Findings,
  type LinePoint,
  type LineSeries,
  lineChart,
  meanAcross,
  pointOf,
  type ReportTable,
  replicasOf,
  shownEstimate,
} from '../../lab/index.ts'
import {
  contextCurves,
  decoderPoints,
  distancesOf,
  effectiveContextOf,
  leavingOneOut,
  type TextFacts,
  visible,
} from './estimates.ts'

const root = (square: number): number => Math.sqrt(Math.max(0, square))

/** A point of a square with its error, as its root; none where the square is not clear of 0. */
const rootPoint = (x: number, square: number, error: number): LinePoint =>
  square > 2 * error
    ? { x, y: root(square), low: root(square - error), high: root(square + error) }
    : { x, y: null }

/** A power law through a point. */
const power = (
  name: string,
  exponent: number,
  [x0, y0]: readonly [number, number],
  xs: readonly number[],
  hue: number,
): LineSeries => ({
  ...{ name, hue, dashed: true },
  points: xs.map((x) => ({ x, y: Number.isFinite(exponent) ? y0 * (x / x0) ** exponent : null })),
})

/** Geometric mean: a line through it in the middle of the points. */
const middle = (points: readonly (readonly [number, number])[]): readonly [number, number] => {
  const log = (i: 0 | 1): number => points.reduce((sum, point) => sum + Math.log(point[i]), 0) / points.length
  return [Math.exp(log(0)), Math.exp(log(1))]
}

function correlationChart({ distances, shuffled, beta, text }: TextFacts) {
  const seen = visible(distances)
  const at = seen.map(({ t, signal }) => [t, root(signal)] as const)
  const controls = replicasOf(shuffled).map(distancesOf)
  return lineChart({
    name: 'correlations',
    title: 'How far symbols know of each other',
    caption: `Root mean square over pairs of symbols of P(x_i = μ, x_{i+t} = ν) − P(μ) P(ν), of ${text.title}, without its noise, where it is more than two standard errors above 0; bands: one standard error, leaving out one block of the text at a time. Noise: what the same count has beside the signal. Shuffled: the same symbols in random order, ${controls.length} times. Dashed: the power law fitted where the covariance is above its noise.`,
    ...{ xLabel: 'distance t (symbols)', yLabel: 'C(t)', xScale: 'log', yScale: 'log', labels: 'beside' },
    series: [
      {
        ...{ name: 'the text', hue: 0, dots: true },
        points: distances.map(({ t, signal, error }) => rootPoint(t, signal, error)),
      },
      { name: 'its noise', hue: 1, points: distances.map(({ t, noise }) => ({ x: t, y: root(noise) })) },
      {
        ...{ name: 'shuffled, with noise', hue: 2, scatter: true },
        points: controls.flatMap((own) =>
          own.map(({ t, signal, noise }) => ({ x: t, y: root(signal + noise) })),
        ),
      },
      ...(at.length < 3 ? [] : [power('t^(−β)', -beta.value, middle(at), [at[0]![0], at.at(-1)![0]], 0)]),
    ],
  })
}

function contextChart({ contexts, settled, gamma, text }: TextFacts) {
  const { counted, n, groups, loss } = contexts
  const shown = n.filter((own) => own >= 1)
  const at = settled.map((own) => [own, loss(own, counted[0]!)] as const)
  return lineChart({
    name: 'contexts',
    title: 'What the symbols before tell of the next',
    caption: `Loss of an interpolated back-off model on held-out pieces of ${text.title} against the length of the context, with so many symbols counted: an upper bound of the entropy of the next symbol. Bands: one standard error, leaving out one of ${groups} groups of pieces at a time. Dashed: the power law fitted to the contexts whose loss more text hardly lowers.`,
    ...{ xLabel: 'symbols before', yLabel: 'loss (nats)', xScale: 'log', yScale: 'log', labels: 'beside' },
    series: [
      ...counted.map(
        (P, hue): LineSeries => ({
          ...{ name: `${count(P)} symbols`, hue, dots: true },
          points: shown.map((own) =>
            pointOf(
              own,
              leavingOneOut(groups, (left) => loss(own, P, left)),
            ),
          ),
        }),
      ),
      ...(at.length < 2 ? [] : [power('n^(−γ)', -gamma.value, middle(at), [at[0]![0], at.at(-1)![0]], 0)]),
    ],
  })
}

/** Symbols P = 2^10 … all of the text. */
function sizesOf(length: number): number[] {
  const sizes: number[] = []
  for (let P = 1024; P < length; P *= 2) sizes.push(P)
  return [...sizes, length]
}

function effectiveChart({ distances, beta, text }: TextFacts) {
  const points = sizesOf(text.length)
    .map((P) => [P, effectiveContextOf(distances, P)] as const)
    .filter(([, t]) => Number.isFinite(t))
  return lineChart({
    name: 'effective-context',
    title: 'How far P symbols let one see',
    caption: `Distance t* at which the covariance of ${text.title} is as large as the noise of P symbols. Dashed: P^(1/2β) with the fitted β.`,
    ...{ xLabel: 'symbols P', yLabel: 't* (symbols)', xScale: 'log', yScale: 'log' },
    series: [
      { name: 't*(P)', hue: 0, dots: true, points: points.map(([x, y]) => ({ x, y })) },
      ...(points.length < 2
        ? []
        : [power('P^(1/2β)', 1 / (2 * beta.value), middle(points), [points[0]![0], points.at(-1)![0]], 1)]),
    ],
  })
}

function learningChart({ contexts, decoders, predicted, text }: TextFacts) {
  const { counted, n, groups, loss } = contexts
  const longest = n.at(-1)!
  const counts = [...counted].reverse()
  const byP = new Map<number, Estimate>()
  for (const P of new Set(decoderPoints(decoders).map((point) => point.P)))
    byP.set(
      P,
      meanAcross(
        decoders.filter((row) => 'P' in row && row.P === P),
        (row) => row.loss,
      ),
    )
  const network = [...byP].map(([P, estimate]) => pointOf(P, estimate))
  const law = (points: readonly (readonly [number, number])[], hue: number): LineSeries[] =>
    points.length < 2
      ? []
      : [power('', -predicted.value, middle(points), [points[0]![0], points.at(-1)![0]], hue)]
  return lineChart({
    name: 'learning',
    title: 'What more text is worth',
    caption: `Loss on held-out pieces of ${text.title} against the number of symbols learned from: the back-off model with contexts of up to ${longest} symbols${network.length > 0 ? ', and small decoders stopped at their best; bands: one standard error over test pieces, and over networks' : '; band: one standard error over test pieces'}. Dashed: the predicted power P^(−γ/(2β)).`,
    ...{ xLabel: 'symbols P', yLabel: 'loss (nats)', xScale: 'log', yScale: 'log' },
    series: [
      {
        ...{ name: 'back-off model', hue: 0, dots: true },
        points: counts.map((P) =>
          pointOf(
            P,
            leavingOneOut(groups, (left) => loss(longest, P, left)),
          ),
        ),
      },
      ...law(
        counts.map((P) => [P, loss(longest, P)] as const),
        0,
      ),
      ...(network.length === 0
        ? []
        : [
            { name: 'decoders', hue: 1, dots: true, points: network },
            ...law(
              network.map(({ x, y }) => [x, y!] as const),
              1,
            ),
          ]),
    ],
  })
}

function collapseChart({ decoders, beta, gamma, text }: TextFacts) {
  const curves = contextCurves(decoders, { gamma: gamma.value, z: 2 * beta.value })
  return lineChart({
    name: 'collapse',
    title: 'Contexts laid on each other',
    caption: `Loss of decoders on ${text.title} that have seen t symbols of their window, as t^γ L against P/t^(2β), the measured γ and β. They lie on each other where L = t^(−γ) Φ(P/t^(2β)) (Cagnetta and Wyart 2024, Fig. 5).`,
    ...{ xLabel: 'P/t^(2β)', yLabel: 't^γ L (nats)', xScale: 'log', yScale: 'log', labels: 'beside' },
    series: curves.map(({ t, x, y }, hue) => ({
      ...{ name: `t = ${t}`, hue, dots: true },
      points: x.map((at, i) => ({ x: at, y: y[i]! })),
    })),
  })
}

export const chartsOf = (facts: TextFacts): Findings['charts'] => [
  () => correlationChart(facts),
  () => contextChart(facts),
  () => effectiveChart(facts),
  () => learningChart(facts),
  ...(facts.decoders.length > 0 ? [() => collapseChart(facts)] : []),
]

export function tablesOf({ text, distances, contexts, decoders }: TextFacts): ReportTable[] {
  const { counted, n, groups, loss } = contexts
  return [
    {
      title: 'Correlations by distance',
      columns: ['t', 'C(t)', 'noise', 'noise of independent pairs'],
      rows: distances.map(({ t, signal, error, noise, independent }) => [
        t,
        signal > 0 ? shownEstimate({ value: root(signal), error: error / (2 * root(signal)) }) : '–',
        root(noise).toExponential(2),
        root(independent).toExponential(2),
      ]),
    },
    {
      title: 'Loss by context, in nats',
      columns: ['symbols before', ...counted.map((P) => `${count(P)} counted`)],
      rows: n.map((own) => [
        own,
        ...counted.map((P) => shownEstimate(leavingOneOut(groups, (left) => loss(own, P, left)))),
      ]),
    },
    {
      title: 'Effective context',
      columns: ['symbols P', 't*'],
      rows: sizesOf(text.length).map((P) => {
        const t = effectiveContextOf(distances, P)
        return [P, Number.isFinite(t) ? t.toPrecision(3) : '–']
      }),
    },
    ...(decoders.length === 0
      ? []
      : [
          {
            title: 'Decoders',
            columns: ['symbols P', 'loss (nats)', 'best step'],
            rows: decoderPoints(decoders).map(({ P }) => {
              const own = decoders.filter((row) => 'P' in row && row.P === P)
              return [
                P,
                shownEstimate(meanAcross(own, (row) => row.loss)),
                Math.round(meanAcross(own, (row) => row.best).value),
              ]
            }),
          },
        ]),
  ]
}
