/** @file From a sweep file to the list of its runs: every config complete, valid and once, before any of them starts. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fail, TreelineError } from '../../base/index.ts'
import {
  type Assignment,
  completeConfig,
  configHash,
  configRows,
  mergeConfig,
  requestedFields,
  type Tree,
} from '../config.ts'
import type { AnyExperiment, BaseConfig } from '../experiment.ts'
import { isFinished, runFolder } from '../runFolder.ts'
import { type Axis, type Block, type FindExperiment, readSweepFile } from './sweepFile.ts'

/** One run of a sweep. */
export interface PlannedRun {
  readonly experiment: AnyExperiment
  /** See `ConfigFile`. */
  readonly module?: string
  readonly config: BaseConfig
  readonly hash: string
  readonly folder: string
  /** `partial`: begun, and cut or failed; it will go on from what is kept. */
  readonly state: 'done' | 'partial' | 'new'
  /** What varies: `m=3 L=4 seed=1`. */
  readonly label: string
}

/** A config that cannot be, and why. */
export interface Refusal {
  readonly label: string
  readonly reason: string
}

/** What a sweep will do. */
export interface Plan {
  readonly runs: readonly PlannedRun[]
  readonly refused: readonly Refusal[]
  /** Configs that another one of the sweep equals. */
  readonly duplicates: number
  /** Configs that a filter left out. */
  readonly filtered: number
}

/** How to plan. */
export interface PlanOptions {
  /** The folder that holds all runs. */
  readonly root: string
  /** Assignments from the command line; they win over the file. */
  readonly set?: readonly string[]
  readonly findExperiment: FindExperiment
}

/** More are a mistake in the file rather than a plan. */
const mostConfigs = 100_000

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
const label = (assignments: readonly Assignment[]): string =>
  assignments.map(({ path, value }) => `${path}=${shown(value)}`).join(' ')

const chosen = ({ path, values, where }: Axis, index: number): Assignment => ({
  path,
  value: values[index],
  where,
})

/** Every combination of the axes, the last one fastest. */
function product(axes: readonly Axis[]): Assignment[][] {
  return axes.reduce<Assignment[][]>(
    (rows, axis) => rows.flatMap((row) => axis.values.map((_, i) => [...row, chosen(axis, i)])),
    [[]],
  )
}

/** The seeds of a block: those in its list, or so many from the config's own on. */
function seedAxis({ experiment, preset, set, repeat, where }: Block): Axis[] {
  if (repeat === undefined) return []
  const { tree } = requestedFields(experiment, { preset, assignments: set })
  const first = typeof tree['seed'] === 'number' ? tree['seed'] : experiment.config.parse({}).seed
  const values = typeof repeat === 'number' ? Array.from({ length: repeat }, (_, i) => first + i) : repeat
  return [{ path: 'seed', values, where }]
}

/** What varies in a block, one list of assignments for each config, before filters. */
function variations(block: Block): Assignment[][] {
  const seeds = seedAxis(block)
  const zipped = block.zip[0]?.values.map((_, i) => block.zip.map((axis) => chosen(axis, i))) ?? [[]]
  const size = [...block.grid, ...seeds].reduce((total, { values }) => total * values.length, zipped.length)
  if (size > mostConfigs)
    fail(
      'TL_BAD_CONFIG',
      `${block.where}: makes ${size} configs; expected at most ${mostConfigs}: shorten the lists`,
    )
  return product(block.grid).flatMap((row) =>
    zipped.flatMap((zip) => product(seeds).map((seed) => [...row, ...zip, ...seed])),
  )
}

/** True when all filters of the block hold. Fields are checked later: filters are there to keep bad ones away. */
function passes({ experiment, filters }: Block, tree: Tree, complete: () => unknown): boolean {
  const whole = mergeConfig(experiment.config.parse({}) as unknown as Tree, tree)
  return filters.every(({ text, where, evaluate }) => {
    let value: unknown
    try {
      value = evaluate(whole)
    } catch (error) {
      // a field of the wrong kind is the better reason
      complete()
      return fail('TL_BAD_CONFIG', `${where}: filter "${text}": ${(error as Error).message}`, error)
    }
    if (typeof value === 'boolean') return value
    return fail(
      'TL_BAD_CONFIG',
      `${where}: filter "${text}": expected true or false, got ${JSON.stringify(value)}`,
    )
  })
}

function stateOf(folder: string): PlannedRun['state'] {
  if (isFinished(folder)) return 'done'
  return existsSync(join(folder, 'config.json')) ? 'partial' : 'new'
}

/** Runs that differ in nothing that varies, such as those of a block without grid, are told by what is not default. */
const labelOr = (text: string, experiment: AnyExperiment, config: BaseConfig): string =>
  text !== ''
    ? text
    : label(
        configRows(experiment, config)
          .slice(0, 1)
          .map((row) => ({ ...row, where: '' })),
      )

/** All configs of some blocks: filtered, validated, each once. Nothing is written. */
export function planBlocks(
  blocks: readonly Block[],
  { root, set = [] }: Omit<PlanOptions, 'findExperiment'>,
): Plan {
  const runs = new Map<string, PlannedRun>()
  const refused: Refusal[] = []
  let [duplicates, filtered] = [0, 0]
  for (const block of blocks) {
    const { experiment, module, preset } = block
    for (const varied of variations(block)) {
      const { tree, locate } = requestedFields(experiment, {
        preset,
        assignments: [...block.set, ...varied],
        set,
      })
      const complete = () => completeConfig(experiment, tree, locate)
      let config: BaseConfig
      try {
        if (!passes(block, tree, complete)) {
          filtered++
          continue
        }
        config = complete()
      } catch (error) {
        if (!(error instanceof TreelineError)) throw error
        refused.push({ label: label(varied), reason: error.message })
        continue
      }
      const hash = configHash(experiment, config)
      if (runs.has(hash)) {
        duplicates++
        continue
      }
      const folder = runFolder(root, experiment.name, hash)
      const state = stateOf(folder)
      runs.set(hash, {
        experiment,
        module,
        config,
        hash,
        folder,
        state,
        label: labelOr(label(varied), experiment, config),
      })
    }
  }
  return { runs: [...runs.values()], refused, duplicates, filtered }
}

/** Read a sweep file and plan it. Throws TL_BAD_FILE or TL_BAD_CONFIG naming the line; TL_BAD_CONFIG when nothing is left. */
export async function planSweep(path: string, options: PlanOptions): Promise<Plan> {
  const plan = planBlocks(await readSweepFile(path, options.findExperiment), options)
  if (plan.runs.length === 0 && plan.refused.length === 0)
    fail('TL_BAD_CONFIG', `${path}: the filters leave none of ${plan.filtered} configs; loosen one of them`)
  return plan
}
