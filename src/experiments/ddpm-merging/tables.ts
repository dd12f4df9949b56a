/** @file Tables: models by their losses, gains of schedules along depth, the mean beside expansions, errors at single times. */
import { type ReportTable, shown } from '../../lab/index.ts'
import {
  barrierOf,
  bestGain,
  bothOf,
  cubicAtMean,
  lineOf,
  lossOf,
  type Measured,
  ofKind,
  onLine,
  quadraticAt,
} from './analyse.ts'
import { tasks, titleOf } from './losses.ts'
import { errorAt, type Rows, references } from './rows.ts'

const row = (one: Measured): string[] => [
  one.name,
  shown(lossOf(one, 'mnist'), 4),
  shown(lossOf(one, 'fashion'), 4),
  bothOf(one).toFixed(4),
]

const losses = ['model', 'MNIST', 'Fashion-MNIST', 'mean of both']

export function mergingTables(list: readonly Measured[], rows: Rows): ReportTable[] {
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
        references[task].map(({ t, error }) => [titleOf[task], t, shown(errorAt(rows, task, t), 4), error]),
      ),
    },
  ]
}
