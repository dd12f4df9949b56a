/** @file One figure of each kind, of made-up data. */
import {
  barChart,
  confusionMatrix,
  type Figure,
  gallery,
  heatMap,
  layerMap,
  lineChart,
  markedText,
  planStop,
  smallMultiples,
  stopFigure,
  treeFigure,
} from '../../src/lab/index.ts'
import { synthetic } from '../lab/stopping/synthetic.ts'

const text = (name: string) => ({
  name: `kind-${name}`,
  title: `A figure: ${name}`,
  caption: 'What it shows.',
})

const powers = [1, 10, 100, 1000]
const lines = lineChart({
  ...text('lines'),
  ...{ xLabel: 'strings P', yLabel: 'C(r)·r^a', xScale: 'log', yScale: 'log' },
  series: [
    {
      name: 'm = 3',
      dots: true,
      points: powers.map((x) => ({ x, y: x ** -0.5, low: 0.8 * x ** -0.5, high: 1.2 * x ** -0.5 })),
    },
    { name: '', hue: 0, dashed: true, points: powers.map((x) => ({ x, y: 1.1 * x ** -0.5 })) },
    { name: 'stops early', points: powers.slice(0, 2).map((x) => ({ x, y: 0.1 })) },
    { name: 'settings', scatter: true, points: powers.map((x) => ({ x, y: 0.05, low: 0.03, high: 0.07 })) },
    { name: '', faint: true, points: powers.map((x) => ({ x, y: 0.3 })) },
    { name: 'at least', bounds: true, points: powers.slice(0, 2).map((x) => ({ x, y: 0.02 })) },
  ],
  references: [
    { axis: 'x', value: 30, label: 'P* = 30' },
    { axis: 'x', value: 33, label: 'P_1 = 33' },
    { axis: 'y', value: 0.5, label: 'a half' },
  ],
})

const legend = lineChart({
  ...text('long-names'),
  ...{ xLabel: 'noise process', yLabel: 'score', labels: 'beside' },
  xTicks: ['gaussian', 'masking'].map((label, value) => ({ value, label })),
  xDomain: [-0.4, 1.4],
  series: ['a name that has no room at the end of its line', 'another name of this kind'].map((name, i) => ({
    ...{ name, scatter: true },
    points: [0, 1].map((x) => ({ x: x + 0.1 * i, y: x + i, low: x + i - 0.2, high: x + i + 0.2 })),
  })),
})

const centres = [0, 0.5, 1]
const map = heatMap({
  ...text('heat-map'),
  ...{ xLabel: 'ε', yLabel: 'm', valueLabel: 'probability', x: centres, y: [1, 2, 4] },
  values: [1, 2, 4].map((m) => centres.map((x) => (x === 1 && m === 4 ? null : x / m))),
  overlays: [
    { name: 'theory', dashed: true, points: centres.map((x) => ({ x, y: 1 + 2 * x })) },
    {
      name: 'measured',
      dots: true,
      points: centres.map((x) => ({ x, y: 1 + x, low: 0.8 + x, high: 1.2 + x })),
    },
    { name: 'best', dots: true, points: [{ x: 0, y: 4 }] },
  ],
})

const bars = barChart({
  ...text('bars'),
  xLabel: 'score',
  bars: [
    { label: 'MEMOIR', value: 0.9, error: 0.05 },
    { label: 'fine-tuning', value: 0.4, hue: 1 },
  ],
})

const confusion = confusionMatrix({
  ...text('confusion'),
  labels: ['0', '1', '2'],
  counts: [
    [97, 3, 0],
    [1, 99, 0],
    [0, 12, 88],
  ],
})

const image = (size: number) => ({
  width: size,
  height: size,
  channels: 1 as const,
  pixels: Array.from({ length: size * size }, (_, i) => (37 * i) % 256),
})
const pictures = gallery({
  ...text('gallery'),
  items: [
    { image: image(4), title: '3, read as 8', subtitle: '61 % sure' },
    { image: image(3), title: '5, read as something with a long name' },
  ],
})

const layers = layerMap({
  ...text('layers'),
  rows: ['attention q', 'mlp down'],
  breaks: [0],
  panels: [
    {
      name: 'model.layers',
      columns: ['0', '1', '2'],
      values: [
        [0.1, 0.2, null],
        [0.9, undefined, 5],
      ],
    },
    { name: 'outside', columns: [''], values: [[0.3], [undefined]] },
  ],
  valueLabel: 'change',
})

const tree = treeFigure({
  ...text('tree'),
  levels: [[2], [0, 1], [3, 1, 0, 2]],
  levelNames: ['class', 'level 1', 'leaves'],
  posterior: [[0.9], [0.5, 0.06], [1, 0.25, 0.7, 0.1]],
  seen: [3, null, 1, 2],
  rules: [
    [
      {
        symbol: 2,
        tuples: [
          { symbols: [0, 1], used: true },
          { symbols: [3, 3], used: false },
        ],
      },
    ],
    [
      { symbol: 0, tuples: [{ symbols: [3, 1], used: true }] },
      { symbol: 1, tuples: [{ symbols: [0, 2], used: true }] },
    ],
  ],
})

const multiples = smallMultiples({
  ...text('small-multiples'),
  panels: [2, 3, 4].map((m) => ({
    name: `m = ${m}`,
    figure: lineChart({
      ...text(`panel-${m}`),
      ...{ width: 300, height: 220, xLabel: 'L', yLabel: 'loss', yDomain: [0, 16] },
      series: [
        {
          name: 'v = 8',
          bars: true,
          dots: true,
          points: [1, 2, 3].map((x) => ({ x, y: m * x, low: m * x - 1, high: m * x + 1 })),
        },
      ],
    }),
  })),
})

const stopping = {
  ...stopFigure(
    planStop(
      [32, 64, 128, 512].map((P) =>
        synthetic({ P, tau: 20 * P ** 1.2, last: P === 512 ? 10_000 : undefined }),
      ),
      { by: 'validation', share: 0.02, at: [256, 1024] },
    ),
  ),
  name: 'kind-stop',
}

const marked = markedText({
  ...text('marked'),
  items: ['it is a truth universally acknowledged', 'it is a  youth usually much acquainted with'].map(
    (words, i) => ({
      name: ['text', 't = 0.6'][i]!,
      text: words,
      marks: Array.from(words, (_, at) => i === 1 && (at === 8 || (at > 8 && at % 5 < 2))),
    }),
  ),
})

/** One figure of each kind. */
export const kinds: readonly Figure[] = [
  lines,
  legend,
  map,
  bars,
  confusion,
  pictures,
  layers,
  tree,
  multiples,
  marked,
  stopping,
]
