/** @file From a study to an experiment: cells × replicas become jobs, jobs rows, rows findings. */
import { rmSync } from 'node:fs'
import { fail } from '../../base/index.ts'
import type { RunContext } from '../context.ts'
import {
  type AnyExperiment,
  type BaseConfig,
  type Conclusion,
  defineExperiment,
  type Experiment,
  type RunView,
} from '../experiment.ts'
import { runJobs } from '../jobs.ts'
import { checkedStudy } from './checkStudy.ts'
import { grammarTables } from './grammars.ts'
import { cellFolder, closeResources, measureTask, type Order, scratchFolder } from './measure.ts'
import type { Measured } from './rows.ts'
import type { AnyStudy, Findings, Study } from './study.ts'

/** An experiment that was written as a study. */
export interface StudyExperiment extends AnyExperiment {
  readonly study: AnyStudy
}

type Rows = readonly Measured<object, object>[]
type Result = { readonly rows: Rows; readonly [name: string]: unknown }
type View = RunView<BaseConfig, Result>

/** The rows of some runs. */
const rowsOf = (runs: readonly View[]): Rows =>
  runs.flatMap(({ result, folder }) =>
    Array.isArray(result.rows)
      ? (result.rows as Rows)
      : fail('TL_BAD_FILE', `${folder}: a run from before its experiment was a study; run it again`),
  )

/**
 * Findings of runs that differ only in their seed: more replicas of the same. A report asks for them several times – for claims,
 * figures, tables –, so those of the same results are made once.
 */
function rememberFindings(study: AnyStudy): (runs: readonly View[]) => Findings {
  const made = new WeakMap<object, { readonly results: readonly object[]; readonly findings: Findings }[]>()
  return (runs) => {
    const results = runs.map(({ result }) => result)
    const before = made.get(results[0]!) ?? []
    const known = before.find(
      (one) =>
        one.results.length === results.length && one.results.every((result, i) => result === results[i]),
    )
    if (known) return known.findings
    const findings = study.findings(rowsOf(runs), runs[0]!.config)
    made.set(results[0]!, [...before, { results, findings }])
    return findings
  }
}

const conclusionOf = ({ headline, paragraph, numbers, claims }: Findings): Conclusion => ({
  ...{ headline, paragraph, claims },
  ...(numbers && { numbers }),
})

/** The result of findings; an estimate that nothing was measured for is null, not a number that went wrong. */
const knownOf = ({ result = {} }: Findings) =>
  Object.fromEntries(
    Object.entries(result).map(([name, value]) => [name, Number.isNaN(value) ? null : value]),
  )

/** Cells that are asked for and not known yet; from then on they are known. */
const freshCells = (known: Map<string, object>, asked: readonly object[]): object[] =>
  asked.filter((cell) => {
    const name = JSON.stringify(cell)
    const isNew = !known.has(name)
    known.set(name, cell)
    return isNew
  })

/** The rows of a replica of a cell as findings see them. */
const drawnRows = (rows: readonly object[], cell: object, seed: number, replica: number): Rows =>
  rows.map((row) => ({ ...cell, ...row, seed, replica }))

/** Cells, also those that rows will ask for where the study supposes some, with their replicas and seconds on one core. */
export function expectedJobs(
  study: AnyStudy,
  config: BaseConfig,
): { readonly cell: object; readonly replicas: number; readonly seconds: number }[] {
  const known = new Map<string, object>()
  const rows: Measured<object, object>[] = []
  const jobs: { cell: object; replicas: number; seconds: number }[] = []
  for (;;) {
    const fresh = freshCells(known, study.cells(config, rows, undefined))
    if (fresh.length === 0) return jobs
    for (const cell of fresh) {
      const replicas: number = study.replicas(config, cell)
      jobs.push({ cell, replicas, seconds: study.cost?.(cell, config) ?? 1 })
      const supposed = study.suppose?.(cell, config) ?? []
      for (let replica = 0; replica < replicas; replica++)
        rows.push(...drawnRows(supposed, cell, config.seed, replica))
    }
    if (!study.suppose) return jobs
  }
}

/** Seconds of all cells on one core. */
const expectedCost = (study: AnyStudy, config: BaseConfig): number =>
  expectedJobs(study, config).reduce((sum, { replicas, seconds }) => sum + replicas * seconds, 0)

/** Measure cells until the study asks for no other; every replica of a cell is a job. */
async function measureAll(
  module: string,
  study: AnyStudy,
  context: RunContext<BaseConfig>,
): Promise<{ rows: Measured<object, object>[]; prepared: unknown }> {
  const { config, folder } = context
  const prepared: unknown = await study.prepare?.(config, context)
  const known = new Map<string, object>()
  const rows: Measured<object, object>[] = []
  // one bar for all rounds of cells
  const expected = expectedCost(study, config)
  let [before, last] = [0, 0]
  const progress: typeof context.progress = ({ done, total, detail }) => {
    last = before + total
    context.progress({ done: before + done, total: Math.max(expected, last), detail })
  }
  for (;;) {
    const fresh = freshCells(known, study.cells(config, rows, prepared))
    if (fresh.length === 0) {
      context.progress({ done: last, total: last })
      return { rows, prepared }
    }
    const draws = fresh.flatMap((cell) =>
      Array.from({ length: study.replicas(config, cell) }, (_, replica) => ({ cell, replica })),
    )
    // elsewhere each has as many as were asked for
    const threads = context.away ? context.threads : Math.max(1, Math.floor(context.threads / draws.length))
    const scratch = scratchFolder(folder)
    const orders = draws.map(({ cell, replica }): Order => {
      const own = cellFolder(folder, [...known.values()].indexOf(cell), replica)
      return { module, study: study.name, config, prepared, cell, replica, threads, folder: own, scratch }
    })
    const answers = await runJobs<Order, Rows>({ ...context, progress }, measureTask, orders, {
      label: ({ cell, replica }) => `${study.label?.(cell) ?? labelOf(cell)}, draw ${replica + 1}`,
      cost: ({ cell }) => study.cost?.(cell, config) ?? 1,
      identity: ({ cell, replica }) => ({ cell, replica, ...(prepared !== undefined && { prepared }) }),
      away: context.away,
      lines: ({ cell, replica }, found) =>
        (found as unknown as Rows).map((row) => ({ ...cell, ...row, replica })),
    })
    before = last
    for (const [i, { cell, replica }] of orders.entries())
      rows.push(...drawnRows(answers[i]!, cell, config.seed, replica))
  }
}

const labelOf = (cell: object): string =>
  Object.entries(cell)
    .map(([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
    .join(', ')

/**
 * A study as an experiment of the lab. `module` is `import.meta.url` of the module that exports the result: threads find the
 * study there. Throws TL_BAD_CONFIG for a definition that cannot work.
 */
export function defineStudy<
  Config extends BaseConfig,
  Cell extends object,
  Row extends object,
  Resource = void,
  Prepared extends object | undefined = undefined,
>(module: string, study: Study<Config, Cell, Row, Resource, Prepared>): StudyExperiment {
  const untyped = checkedStudy(module, study as unknown as AnyStudy)
  const findingsOf = rememberFindings(untyped)
  const { name, title, question, version, config, presets, requires, network, resultNames } = study
  const experiment = defineExperiment<BaseConfig, Result>({
    ...{ name, title, description: question, config: config as never, presets: presets as never },
    ...(version !== undefined && { version }),
    ...(resultNames && { resultNames }),
    ...(requires && { requires: requires as readonly 'seed'[] }),
    cost: (given) => expectedCost(untyped, given),
    async run(context) {
      untyped.check?.(context.config)
      try {
        const { rows, prepared } = await measureAll(module, untyped, context)
        const known = knownOf(untyped.findings(rows, context.config))
        return { ...known, ...(prepared !== undefined && { prepared }), rows }
      } finally {
        // other threads end with the run; this one stays
        await closeResources()
        rmSync(scratchFolder(context.folder), { recursive: true, force: true })
      }
    },
    summary: (run) => conclusionOf(findingsOf([run])),
    together: (runs) => conclusionOf(findingsOf(runs)),
    draws: 'config',
    figures: (runs) => findingsOf(runs).charts.map((draw) => draw()),
    tables: (runs) => [...(findingsOf(runs).tables ?? []), ...grammarTables(untyped, runs)],
    ...(network && { network: network as unknown as Experiment<BaseConfig, Result>['network'] }),
  })
  return { ...experiment, study: untyped }
}
