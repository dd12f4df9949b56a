/** @file The grammars that a run's replicas drew, named by their hashes: two laboratories can speak of the same ones. */
import { grammarName } from '../../grammar/index.ts'
import type { BaseConfig, ReportTable, RunView } from '../experiment.ts'
import { keyOf } from './measure.ts'
import type { Measured } from './rows.ts'
import type { AnyStudy } from './study.ts'

/** More rows are unfolded by who wants them. */
const mostRows = 6

type View = RunView<BaseConfig, { readonly rows: unknown; readonly prepared?: unknown }>

/** Every grammar of some runs, in the order in which cells ask for them; none where a study draws none. A row is a shape and a seed. */
export function grammarTables(study: AnyStudy, runs: readonly View[]): ReportTable[] {
  const { grammarsOf } = study
  if (!grammarsOf) return []
  const names = new Map<string, { readonly numbers: readonly number[]; readonly own: Set<string> }>()
  for (const { config, result } of runs) {
    const rows = result.rows as readonly Measured<object, object>[]
    // cells that follow from rows, too
    const asked = [[], rows].flatMap((known) => study.cells(config, known, result.prepared))
    const cells = new Map(asked.map((cell) => [JSON.stringify(cell), cell]))
    for (const cell of cells.values())
      for (let replica = 0; replica < study.replicas(config, cell); replica++) {
        const key = keyOf(study, config.seed, cell, replica)
        for (const grammar of grammarsOf(cell, { key, config, replica })) {
          const { v, classes, m, s, L } = grammar
          const numbers = [v, classes, m, s, L, config.seed]
          const row = names.get(numbers.join()) ?? { numbers, own: new Set() }
          names.set(numbers.join(), row)
          row.own.add(grammarName(grammar))
        }
      }
  }
  if (names.size === 0) return []
  const rows = [...names.values()].map(({ numbers, own }) => [...numbers, [...own].join(', ')])
  return [
    {
      title: 'Grammars, by the first digits of their hashes',
      columns: ['v', 'classes', 'm', 's', 'L', 'seed', 'names'],
      rows,
      folded: rows.length > mostRows,
    },
  ]
}
