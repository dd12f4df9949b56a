/** @file The grammars that a run's replicas drew, named by their hashes: two laboratories can speak of the same ones. */
import { grammarName } from '../../grammar/index.ts'
import type { BaseConfig, ReportTable, RunView } from '../experiment.ts'
import { keyOf } from './measure.ts'
import type { Measured } from './rows.ts'
import type { AnyStudy } from './study.ts'

type View = RunView<BaseConfig, { readonly rows: unknown; readonly prepared?: unknown }>

interface Named {
  readonly shape: readonly number[]
  readonly seed: number
  readonly replica: number
}

/** Every grammar of some runs, once each, in the order in which cells ask for them; none where a study draws none. */
export function grammarTables(study: AnyStudy, runs: readonly View[]): ReportTable[] {
  const { grammarsOf } = study
  if (!grammarsOf) return []
  const named = new Map<string, Named>()
  for (const { config, result } of runs) {
    const rows = result.rows as readonly Measured<object, object>[]
    // cells that follow from rows, too
    const asked = [[], rows].flatMap((known) => study.cells(config, known, result.prepared))
    const cells = new Map(asked.map((cell) => [JSON.stringify(cell), cell]))
    for (const cell of cells.values())
      for (let replica = 0; replica < study.replicas(config, cell); replica++)
        for (const grammar of grammarsOf(cell, {
          key: keyOf(study, config.seed, cell, replica),
          config,
          replica,
        })) {
          const { v, classes, m, s, L } = grammar
          const name = grammarName(grammar)
          if (!named.has(name)) named.set(name, { shape: [v, classes, m, s, L], seed: config.seed, replica })
        }
  }
  if (named.size === 0) return []
  return [
    {
      title: 'Grammars, named by the first digits of their hashes (treeline grammar show)',
      columns: ['grammar', 'v', 'classes', 'm', 's', 'L', 'seed', 'draw'],
      rows: [...named].map(([name, { shape, seed, replica }]) => [name, ...shape, seed, replica + 1]),
    },
  ]
}
