/** @file Figures: the trade-off, the line, LiNeS over α and β, losses by time, images that the models draw. */
import { distinct, type Figure, gallery, heatMap, type LinePoint, lineChart } from '../../lab/index.ts'
import {
  bestCompromise,
  bothOf,
  isUniform,
  layerWise,
  lineOf,
  lossOf,
  type Measured,
  ofKind,
  onLine,
  ownEnd,
  quadraticAt,
} from './analyse.ts'
import { binCount, type TaskName, tasks, titleOf } from './losses.ts'
import { imageRows, type Rows } from './rows.ts'

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
  const w = (one: Measured): number => (1 - one.lambda!) / 2
  const line = lineOf(list)
    .filter(({ lambda }) => Math.abs(lambda!) <= 1)
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
  const axis = (name: 'alpha' | 'beta'): number[] =>
    distinct(cells, name)
      .map((value) => value!)
      .sort((a, b) => a - b)
  const [alphas, betas] = [axis('alpha'), axis('beta')]
  const value = (alpha: number, beta: number): number | null => {
    const one = cells.find((cell) => cell.alpha === alpha && cell.beta === beta)
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
    caption: `The MNIST task vector, measured from the mean, times α + β (ℓ − 1)/(L − 1) ${way}. At β = 0 it is scaled uniformly: (1, 0) is the MNIST model, (−1, 0) the Fashion-MNIST model, (0, 0) the mean. The task vector of Fashion-MNIST is the negative: its (α, β) is found at (−α, −β). Least: ${valuesOf[which]!(best).toFixed(4)} at α = ${best.alpha}, β = ${best.beta}.`,
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
      { name: 'least', dots: true, points: [{ x: best.alpha!, y: best.beta! }] },
    ],
  })
}

function byTime(list: readonly Measured[], task: TaskName): Figure {
  const best = bestCompromise(layerWise(list))!
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

/** All figures of losses, drawn when they are wanted. */
export const mergingCharts = (list: readonly Measured[]): (() => Figure)[] => [
  () => tradeOff(list),
  () => alongTheLine(list),
  ...(['both', ...tasks] as const).map((which) => () => overGrid(list, 'depth', which)),
  () => overGrid(list, 'inward', 'both'),
  ...tasks.map((task) => () => byTime(list, task)),
]

/** Images of some models, a line of the gallery for each model and seed. */
export const imagesDrawn =
  (rows: Rows, { samples, samplingSteps }: { readonly samples: number; readonly samplingSteps: number }) =>
  (): Figure => {
    const drawn = imageRows(rows)
    const named = [...new Set(drawn.map(({ title, name }) => `${title}: ${name}`))]
    const caution =
      samplingSteps < 100
        ? ' With so few steps the models before merging draw white blobs, too: compare models by their losses, and pictures with more samplingSteps.'
        : ''
    return gallery({
      name: 'samples',
      title: 'What the models draw',
      caption: `Images drawn with ${samplingSteps} steps of DDIM (η = 0), all rows of a seed from the same noise. ${named.join('; ')}.${caution}`,
      columns: samples,
      items: distinct(drawn, 'title').flatMap((title) =>
        drawn
          .filter((row) => row.title === title)
          .map(({ image: own }) => ({
            title,
            image: { width: 28, height: 28, channels: 1 as const, pixels: own },
          })),
      ),
    })
  }
