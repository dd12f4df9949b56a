/** @file Figures and tables: the trade-off, the line, LiNeS over α and β, losses by time, samples. */
import {
  type Figure,
  gallery,
  heatMap,
  type LinePoint,
  lineChart,
  type ReportTable,
  shown,
} from '../../lab/index.ts'
import {
  barrierOf,
  bestCompromise,
  bestGain,
  bothOf,
  cubicAtMean,
  isUniform,
  lineOf,
  lossOf,
  type Measured,
  ofKind,
  onLine,
  ownEnd,
  quadraticAt,
} from './analyse.ts'
import { measuredOf, referenceAt, titleOf, type View } from './verdicts.ts'
import { binCount, type TaskName, tasks } from './work.ts'

const unit = 'error of the predicted noise'

/** A model in the plane of both losses. */
const inPlane = (one: Measured): LinePoint => ({
  x: lossOf(one, 'mnist').value,
  y: lossOf(one, 'fashion').value,
})

/** The largest loss that the trade-off shows: merges beyond have unlearned both. */
const roof = 0.5

function tradeOff(list: readonly Measured[]): Figure {
  const visible = (points: readonly LinePoint[]): LinePoint[] =>
    points.filter(({ x, y }) => x <= roof && y! <= roof)
  const of = (some: readonly Measured[]): LinePoint[] => visible(some.map(inPlane))
  const least = (task: TaskName): number => Math.min(...list.map((one) => lossOf(one, task).value))
  const depth = (kind: 'growing' | 'falling' | 'crossing') => of(ofKind(list, 'depth', kind))
  return lineChart({
    name: 'trade-off',
    title: 'What a merge costs on either task',
    caption: `Every merged model by its loss on MNIST and on Fashion-MNIST. Line: uniform scaling, from the MNIST model over the mean to the Fashion-MNIST model and beyond both. Points: LiNeS with factors that grow with depth, that fall, and that change sign on the way (shallow blocks of one model, deep ones of the other); the same counted towards the middle of the U-Net; other merge methods. Dotted: the lowest loss of any model on each task; the ideal is where they cross. Losses above ${roof} are left out.`,
    xLabel: 'loss on MNIST',
    yLabel: 'loss on Fashion-MNIST',
    xScale: 'log',
    yScale: 'log',
    height: 420,
    labels: 'beside',
    references: [
      { axis: 'x', value: least('mnist'), label: '' },
      { axis: 'y', value: least('fashion'), label: 'ideal' },
    ],
    series: [
      { name: 'crossing', hue: 6, scatter: true, points: depth('crossing') },
      {
        name: 'towards the middle',
        hue: 4,
        scatter: true,
        points: of(list.filter((one) => one.family === 'inward' && !isUniform(one))),
      },
      { name: 'falling', hue: 5, scatter: true, points: depth('falling') },
      { name: 'growing (LiNeS)', hue: 2, scatter: true, points: depth('growing') },
      {
        name: 'other merges',
        hue: 3,
        scatter: true,
        points: of(list.filter(({ family }) => family === 'other')),
      },
      { name: 'slerp', hue: 7, dashed: true, points: of(list.filter(({ family }) => family === 'slerp')) },
      { name: 'uniform', hue: 0, points: of(lineOf(list)) },
      { name: 'MNIST model', hue: 1, scatter: true, points: [inPlane(onLine(list, 1))] },
      { name: 'Fashion model', hue: 1, scatter: true, points: [inPlane(onLine(list, -1))] },
    ],
  })
}

function alongTheLine(list: readonly Measured[]): Figure {
  const w = (one: Measured): number => (1 - one.at[0]!) / 2
  const line = lineOf(list)
    .filter(({ at }) => Math.abs(at[0]!) <= 1)
    .reverse()
  const top = 1.25 * Math.max(...line.flatMap((one) => tasks.map((task) => lossOf(one, task).value)))
  return lineChart({
    name: 'line',
    title: 'From one model to the other',
    caption:
      'Loss on both test sets of (1 − w) θ_MNIST + w θ_Fashion; bands: one standard error over groups of images, which all models share. Dashed: second-order expansions around each task’s own model.',
    xLabel: 'w',
    yLabel: unit,
    yDomain: [0, top],
    references: [{ axis: 'x', value: 0.5, label: 'mean' }],
    series: tasks.flatMap((task, hue) => [
      {
        name: titleOf[task],
        hue,
        dots: true,
        points: line.map((one) => {
          const { value, error } = lossOf(one, task)
          return { x: w(one), y: value, low: value - (error ?? 0), high: value + (error ?? 0) }
        }),
      },
      {
        name: '',
        hue,
        dashed: true,
        points: Array.from({ length: 33 }, (_, i) => {
          const distance = i / 16
          const y = quadraticAt(list, task, distance).value
          return { x: (1 - ownEnd(task) * (1 - distance)) / 2, y: y <= top && y >= 0 ? y : null }
        }),
      },
    ]),
  })
}

const valuesOf: Record<string, (one: Measured) => number> = {
  both: bothOf,
  mnist: (one) => lossOf(one, 'mnist').value,
  fashion: (one) => lossOf(one, 'fashion').value,
}

function overGrid(list: readonly Measured[], order: 'depth' | 'inward', which: 'both' | TaskName): Figure {
  const cells = list.filter(({ family }) => family === order)
  const axis = (place: 0 | 1): number[] =>
    [...new Set(cells.map(({ at }) => at[place]!))].sort((a, b) => a - b)
  const [alphas, betas] = [axis(0), axis(1)]
  const value = (alpha: number, beta: number): number | null => {
    const one = cells.find(({ at }) => at[0] === alpha && at[1] === beta)
    return one ? valuesOf[which]!(one) : null
  }
  const best = cells.reduce((a, b) => (valuesOf[which]!(b) < valuesOf[which]!(a) ? b : a))
  const what = which === 'both' ? 'mean of both losses' : `loss on ${titleOf[which]}`
  const way =
    order === 'depth'
      ? 'from the first block to the last'
      : 'from the outer blocks of the U-Net to its middle'
  return heatMap({
    name: `lines-${order}-${which}`,
    title: `LiNeS ${way}: ${what}`,
    caption: `The MNIST task vector, measured from the mean, times α + β (ℓ − 1)/(L − 1) ${way}. At β = 0 it is scaled uniformly: (1, 0) is the MNIST model, (−1, 0) the Fashion-MNIST model, (0, 0) the mean. The task vector of Fashion-MNIST is the negative: its (α, β) is found at (−α, −β). Least: ${valuesOf[which]!(best).toFixed(4)} at α = ${best.at[0]}, β = ${best.at[1]}.`,
    x: alphas,
    y: betas,
    values: betas.map((beta) => alphas.map((alpha) => value(alpha, beta))),
    xLabel: 'α, factor of the first block',
    yLabel: 'β',
    valueLabel: 'loss',
    domain: [
      Math.min(...cells.map(valuesOf[which]!)),
      Math.min(roof, Math.max(...cells.map(valuesOf[which]!))),
    ],
    overlays: [
      { name: 'uniform', dashed: true, points: [-1, 1].map((x) => ({ x, y: 0 })) },
      { name: 'least', dots: true, points: [{ x: best.at[0]!, y: best.at[1]! }] },
    ],
  })
}

function byTime(list: readonly Measured[], task: TaskName): Figure {
  const best = bestCompromise(list.filter((one) => one.family === 'depth' && !isUniform(one)))!
  const lines = [
    ['MNIST model', onLine(list, 1)],
    ['Fashion model', onLine(list, -1)],
    ['mean', onLine(list, 0)],
    ['best LiNeS', best],
  ] as const
  return lineChart({
    name: `times-${task}`,
    title: `Where merging hurts: ${titleOf[task]} by time`,
    caption: `Loss on ${titleOf[task]} in each tenth of the times, from little noise (left) to nothing but noise (right). Predicting no noise at all gives 1. Best LiNeS: ${best.name}.`,
    xLabel: 'time t',
    yLabel: unit,
    yScale: 'log',
    series: lines.map(([name, one], hue) => ({
      name,
      hue,
      dots: true,
      dashed: name === 'mean',
      points: one.loss[task].bins.map((y, b) => ({ x: ((b + 0.5) * 1000) / binCount, y })),
    })),
  })
}

interface Drawn {
  readonly title: string
  readonly name: string
  readonly images: readonly (readonly number[])[]
}

function samples(run: View): Figure {
  const drawn = run.read('samples.json') as unknown as Drawn[]
  return gallery({
    name: 'samples',
    title: 'What the models draw',
    caption: `Images drawn with ${run.config.samplingSteps} steps of DDIM (η = 0), all rows from the same noise. ${drawn
      .map(({ title, name }) => `${title}: ${name}`)
      .join('; ')}.${
      run.config.samplingSteps < 100
        ? ' With so few steps the models before merging draw white blobs, too: compare models by their losses, and pictures with more samplingSteps.'
        : ''
    }`,
    columns: run.config.samples,
    items: drawn.flatMap(({ title, images }) =>
      images.map((pixels) => ({ title, image: { width: 28, height: 28, channels: 1 as const, pixels } })),
    ),
  })
}

/** All figures; of several runs the first is drawn. */
export function mergingFigures([run]: readonly View[]): Figure[] {
  const list = measuredOf(run!)
  return [
    tradeOff(list),
    alongTheLine(list),
    ...(['both', ...tasks] as const).map((which) => overGrid(list, 'depth', which)),
    overGrid(list, 'inward', 'both'),
    ...tasks.map((task) => byTime(list, task)),
    samples(run!),
  ]
}

const row = (one: Measured): string[] => [
  one.name,
  shown(lossOf(one, 'mnist'), 4),
  shown(lossOf(one, 'fashion'), 4),
  bothOf(one).toFixed(4),
]

const losses = ['model', 'MNIST', 'Fashion-MNIST', 'mean of both']

export function mergingTables([run]: readonly View[]): ReportTable[] {
  const list = measuredOf(run!)
  const gains = (['depth', 'inward'] as const).flatMap((order) =>
    (['growing', 'falling', 'crossing'] as const).flatMap((kind) =>
      tasks.flatMap((task) => {
        const found = bestGain(list, ofKind(list, order, kind), task)
        if (!found) return []
        return [
          [`${order}, ${kind}`, titleOf[task], found.chosen.name, shown(found.gain, 4), shown(found.held, 4)],
        ]
      }),
    ),
  )
  return [
    {
      title: 'The line',
      columns: losses,
      rows: lineOf(list)
        .filter((_, i) => i % 4 === 3)
        .map(row),
    },
    {
      title: 'The ten best compromises',
      columns: losses,
      rows: list
        .toSorted((a, b) => bothOf(a) - bothOf(b))
        .slice(0, 10)
        .map(row),
    },
    {
      title: 'Other merges',
      columns: losses,
      rows: list.filter(({ family }) => family === 'other' || family === 'slerp').map(row),
    },
    {
      title: 'Gain over uniform scaling at equal loss on the other task',
      columns: ['schedules', 'lower loss on', 'chosen', 'gain', 'change of the other loss'],
      rows: gains,
    },
    {
      title: 'At the mean',
      columns: ['task', 'loss', 'barrier', 'expansion of second order', 'cubic through both ends'],
      rows: tasks.map((task) => [
        titleOf[task],
        shown(lossOf(onLine(list, 0), task), 4),
        shown(barrierOf(list, task), 4),
        shown(quadraticAt(list, task, 1), 4),
        shown(cubicAtMean(list, task), 4),
      ]),
    },
    {
      title: 'Errors at single times, on the model’s own images',
      columns: ['task', 't', 'error', 'PyTorch'],
      rows: tasks.flatMap((task) =>
        run!.result.times[task].map(({ t, value, error }) => [
          titleOf[task],
          t,
          shown({ value, error }, 4),
          referenceAt(task, t),
        ]),
      ),
    },
  ]
}
