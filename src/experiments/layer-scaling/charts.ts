/** @file Figures: target against control of single models, merges by β, gains by schedule, rewards of soups; and the tables. */
import {
  type Drawn,
  distinct,
  type Figure,
  groupBy,
  lineChart,
  overReplicas,
  type ReportTable,
  shownEstimate,
} from '../../lab/index.ts'
import { methodNames } from './config.ts'
import { gainOver, merged, methodTitle, singles } from './findings.ts'
import { type Found, rowsOf } from './rows.ts'
import { schemes } from './schedules.ts'

const schemeTitle = {
  plain: 'one factor',
  lines: 'LiNeS',
  reversed: 'reversed',
  constant: 'mean factor',
  shuffled: 'random order',
} as const

/** Mean over draws of a column. */
const meanOf = <R extends Drawn>(rows: readonly R[], of: (row: R) => number): number =>
  overReplicas(rows, (own) => own.reduce((sum, row) => sum + of(row), 0) / own.length).value

function tradeOff(rows: readonly Found[], task: string): Figure {
  const own = rowsOf(rows, 'single').filter((row) => row.task === task)
  return lineChart({
    name: `single-${task.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`,
    title: `One task, scaled by depth: ${task}`,
    caption:
      'A fine-tuned model whose change is scaled. Control: accuracy on the pool as a share of the pretrained model’s. Target: accuracy on the task as a share of the fine-tuned model’s. Along each line α runs from 0 to 1; at 1 all lines meet in the fine-tuned model. One factor: α in every block. LiNeS: from α in the first block to 1 in the last. Reversed and random order: the same factors in other blocks.',
    xLabel: 'control, share of the pretrained model’s',
    yLabel: 'target, share of the fine-tuned model’s',
    height: 380,
    series: distinct(own, 'scheme').map((scheme, hue) => {
      const line = own.filter((row) => row.scheme === scheme)
      return {
        name: schemeTitle[scheme],
        hue,
        dots: true,
        points: groupBy(line, 'alpha').map(({ rows: at }) => ({
          x: meanOf(at, (row) => row.control),
          y: meanOf(at, (row) => row.target),
        })),
      }
    }),
  })
}

function overBeta(rows: readonly Found[], method: (typeof methodNames)[number]): Figure {
  const own = rowsOf(rows, 'merge').filter((row) => row.method === method && row.scheme !== 'plain')
  return lineChart({
    name: `beta-${method.replaceAll('_', '-')}`,
    title: `${methodTitle[method]}: normalized accuracy by β`,
    caption:
      'Mean over tasks of validation accuracy as a share of the fine-tuned models’, against β; α follows from norms. Dashed: the best plain merge. LiNeS: factors grow from α in the first block to α + β in the last. Reversed, mean factor and random order are its controls.',
    xLabel: 'β',
    yLabel: 'normalized accuracy, validation',
    references: [
      {
        axis: 'y',
        value: meanOf(
          rowsOf(rows, 'merge').filter(
            (row) => row.method === method && row.scheme === 'plain' && row.isChosen,
          ),
          (row) => row.validation,
        ),
        label: 'best plain',
      },
    ],
    series: distinct(own, 'scheme').map((scheme, hue) => ({
      name: schemeTitle[scheme],
      hue,
      dots: true,
      points: groupBy(
        own.filter((row) => row.scheme === scheme),
        'beta',
      ).map(({ key, rows: at }) => ({
        x: key.beta,
        y: meanOf(at, (row) => row.validation),
      })),
    })),
  })
}

function rewards(rows: readonly Found[]): Figure {
  const own = rowsOf(rows, 'reward')
  return lineChart({
    name: 'rewards',
    title: 'Soups of two policies',
    caption: `Two policies that name the classes of ${own[0]!.task}, trained from one start for two rewards, and their interpolations: both rewards on test pictures. Scaled: the change from the start, by depth or twice everywhere.`,
    xLabel: 'first reward',
    yLabel: 'second reward',
    height: 380,
    series: distinct(own, 'scheme').map((scheme, hue) => ({
      name: scheme,
      hue,
      dots: true,
      points: groupBy(
        own.filter((row) => row.scheme === scheme),
        'share',
      ).map(({ rows: at }) => ({
        x: meanOf(at, (row) => row.first),
        y: meanOf(at, (row) => row.second),
      })),
    })),
  })
}

export const scalingCharts = (rows: readonly Found[]): (() => Figure)[] => [
  ...distinct(rowsOf(rows, 'single'), 'task').map((task) => () => tradeOff(rows, task)),
  ...distinct(rowsOf(rows, 'merge'), 'method').map((method) => () => overBeta(rows, method)),
  ...(rowsOf(rows, 'reward').length > 0 ? [() => rewards(rows)] : []),
]

export function scalingTables(rows: readonly Found[]): ReportTable[] {
  const [merges, alone] = [rowsOf(rows, 'merge'), rowsOf(rows, 'single')]
  const methods = methodNames.filter((method) => merges.some((row) => row.method === method))
  const over = <R extends Drawn>(own: readonly R[], of: (row: R) => number): string =>
    shownEstimate(overReplicas(own, (some) => some.reduce((sum, row) => sum + of(row), 0) / some.length))
  return [
    {
      title: 'Merges of all tasks, test pictures',
      columns: ['method', 'schedule', 'normalized', 'absolute', 'control', 'LiNeS minus this'],
      rows: methods.flatMap((method) =>
        schemes.map((scheme) => [
          methodTitle[method],
          schemeTitle[scheme],
          shownEstimate(merged(merges, method, scheme)),
          shownEstimate(merged(merges, method, scheme, 'absolute')),
          shownEstimate(merged(merges, method, scheme, 'control')),
          scheme === 'lines' ? '' : shownEstimate(gainOver(merges, method, scheme)),
        ]),
      ),
    },
    ...(alone.length > 0
      ? [
          {
            title: 'One task, scaled alone (shares of the fine-tuned and of the pretrained model)',
            columns: ['schedule', 'target', 'control'],
            rows: (['fine-tuned', 'plain', 'lines', 'reversed', 'shuffled'] as const).map((scheme) => [
              scheme === 'fine-tuned' ? 'as fine-tuned' : schemeTitle[scheme],
              shownEstimate(singles(alone, scheme, 'target')),
              shownEstimate(singles(alone, scheme, 'control')),
            ]),
          },
        ]
      : []),
    {
      title: 'Single tasks, test pictures',
      columns: ['task', 'zero-shot', 'fine-tuned', 'control before', 'control after'],
      rows: groupBy(rowsOf(rows, 'tuned'), 'task').map(({ key, rows: own }) => [
        key.task,
        over(own, (row) => row.zeroShot),
        over(own, (row) => row.accuracy),
        over(own, (row) => row.controlBefore),
        over(own, (row) => row.control),
      ]),
    },
    {
      title: 'Averages of one task’s models, test pictures',
      columns: ['model', 'target', 'shifted', 'control'],
      rows: groupBy(rowsOf(rows, 'robust'), 'model').map(({ key, rows: own }) => [
        key.model,
        over(own, (row) => row.target),
        over(own, (row) => row.shifted ?? Number.NaN),
        over(own, (row) => row.control),
      ]),
    },
    ...(rowsOf(rows, 'reward').length > 0
      ? [
          {
            title: 'Soups of two policies, test pictures',
            columns: ['schedule', 'share of the first', 'first reward', 'second reward'],
            rows: groupBy(rowsOf(rows, 'reward'), 'scheme', 'share').map(({ key, rows: own }) => [
              key.scheme,
              key.share,
              over(own, (row) => row.first),
              over(own, (row) => row.second),
            ]),
          },
        ]
      : []),
  ]
}
