/** @file Tables: regimes, single tasks, negation by task. */
import { overReplicas, type ReportTable, shown, where } from '../../lab/index.ts'
import { added, alpha, area, kept, left, meanError, normalized, single, width } from './analyse.ts'
import { controlName, type Found, partOf, type Regime, regimesIn, regimeTitles } from './rows.ts'

type Rows = readonly Found[]

export function arithmeticTables(rows: Rows): ReportTable[] {
  const cell = (value: { value: number; error: number | null }): string =>
    Number.isFinite(value.value) ? shown(value, 3) : '–'
  const starts = (['pretrained', 'random'] as const).filter(
    (start) => partOf(rows, 'added', start).length > 0,
  )
  const accuracy = (part: 'zero' | 'single' | 'added' | 'forgotten', task: string, regime?: Regime) =>
    cell(
      overReplicas(
        where(partOf(rows, part) as readonly Found<'single'>[], { task, ...(regime && { regime }) }),
        ([row]) => row?.accuracy ?? Number.NaN,
      ),
    )
  const regimes = regimesIn(rows)
  const tasks = [...new Set(partOf(rows, 'single').map(({ task }) => task))]
  const hasNegation = partOf(rows, 'forgotten').length > 0
  return [
    {
      title: 'Adding all task vectors',
      columns: [
        'start',
        'regime',
        'α',
        'accuracy',
        'own vectors',
        'normalized',
        'width of 95 %',
        'mean ξ',
        'area of ξ ≤ 0.2',
      ],
      rows: starts.flatMap((start) =>
        regimes.map((regime) => [
          start,
          regimeTitles[regime],
          ...[alpha, added, single, normalized, width, meanError, area].map((one) =>
            cell(one.of(rows, regime, start)),
          ),
        ]),
      ),
    },
    {
      title: 'Tasks, test accuracy',
      columns: [
        'task',
        'before',
        ...regimes.map((regime) => `own vector, ${regimeTitles[regime]}`),
        ...regimes.map((regime) => `sum, ${regimeTitles[regime]}`),
        ...(hasNegation ? regimes.map((regime) => `taken away, ${regimeTitles[regime]}`) : []),
      ],
      rows: tasks.map((task) => [
        task,
        accuracy('zero', task),
        ...regimes.map((regime) => accuracy('single', task, regime)),
        ...regimes.map((regime) => accuracy('added', task, regime)),
        ...(hasNegation ? regimes.map((regime) => accuracy('forgotten', task, regime)) : []),
      ]),
    },
    ...(hasNegation
      ? [
          {
            title: 'Taking a task vector away, mean over tasks',
            columns: ['regime', 'accuracy left', 'control kept', 'control before'],
            rows: regimes.map((regime) => [
              regimeTitles[regime],
              cell(left.of(rows, regime)),
              cell(kept.of(rows, regime)),
              accuracy('zero', controlName),
            ]),
          },
        ]
      : []),
  ]
}
