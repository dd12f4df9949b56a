/** @file One replica of one cell, on whatever thread it is: finds the study, opens what it needs once, measures. */
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fail, toJson } from '../../base/index.ts'
import { importOwn, isOurs } from '../../base/ownModules.ts'
import type { Report, Task } from '../../base/workers.ts'
import { random } from '../../tensor/index.ts'
import { contentHash } from '../canonical.ts'
import type { BaseConfig } from '../experiment.ts'
import type { Advance } from '../jobs.ts'
import { returned } from './checkStudy.ts'
import type { AnyStudy } from './study.ts'

/** A measurement to do: plain data, for it crosses threads. */
export interface Order {
  /** The module that exports the study, as a file: URL. */
  readonly module: string
  readonly study: string
  readonly config: BaseConfig
  readonly cell: object
  readonly replica: number
  /** What the study prepared for the run. */
  readonly prepared?: unknown
  readonly threads: number
  /** Folder of this replica of this cell; made when it is needed. */
  readonly folder: string
  /** Folder of the run for what ends with it. */
  readonly scratch: string
}

const hasStudy = (value: unknown): value is { readonly study: AnyStudy } =>
  typeof value === 'object' && value !== null && 'study' in value

/** The study of an order, from its module. */
async function findStudy({ module, study: name }: Order): Promise<AnyStudy> {
  const exported = (await (isOurs(module) || module.endsWith('.ts')
    ? import(module)
    : importOwn(module, module))) as Record<string, unknown>
  const found = Object.values(exported).find((value) => hasStudy(value) && value.study.name === name)
  if (!hasStudy(found)) return fail('TL_MODULE', `${module}: exports no study "${name}"`)
  return found.study
}

interface Opened {
  readonly study: AnyStudy
  readonly resource: Promise<unknown>
}

/** What this thread holds: one resource, for a run has one study and one config. */
const held = new Map<string, Opened>()

/** Give back what this thread holds. */
export async function closeResources(): Promise<void> {
  const all = [...held.values()]
  held.clear()
  for (const { study, resource } of all) await study.close?.(await resource)
}

/** The resource of a study on this thread; that of another study or config is given back first. */
async function resourceOf(study: AnyStudy, { config, prepared }: Order): Promise<unknown> {
  if (!study.open) return undefined
  const name = `${study.name} ${contentHash(toJson({ config, prepared }))}`
  if (!held.has(name)) {
    await closeResources()
    held.set(name, { study, resource: Promise.resolve(study.open(config, prepared)) })
  }
  return await held.get(name)!.resource
}

/** Every number of a cell, in order, also within groups and lists: what randomness depends on by default. */
const numbersOf = (value: unknown): number[] => {
  if (typeof value === 'number') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(numbersOf) : []
}

/** A number as words that a key can take: itself, or the two halves of its float64. */
function wordsOf(value: number): number[] {
  if (Number.isInteger(value) && value >= 0 && value < 2 ** 32) return [value]
  return [...new Uint32Array(Float64Array.of(value).buffer)]
}

/** The key of a replica of a cell. */
export const keyOf = (study: AnyStudy, seed: number, cell: object, replica: number): random.Key =>
  [replica, ...(study.keyed?.(cell) ?? numbersOf(cell))]
    .flatMap(wordsOf)
    .reduce(random.foldIn, random.key(seed))

/** Do one order; its rows. */
export const measureCell = async (
  order: Order,
  signal: AbortSignal,
  report: Report,
): Promise<readonly object[]> => measureWith(await findStudy(order), order, signal, report)

/** Do one order of a study that is at hand. */
export async function measureWith(
  study: AnyStudy,
  order: Order,
  signal: AbortSignal,
  report: Report,
): Promise<readonly object[]> {
  const { config, prepared, cell, replica, threads, folder, scratch } = order
  const resource = await resourceOf(study, order)
  // what a process left half-written
  if (existsSync(folder))
    for (const name of readdirSync(folder)) if (name.endsWith('.tmp')) rmSync(join(folder, name))
  const key = keyOf(study, config.seed, cell, replica)
  const progress = (share: number, detail?: string) => report({ share, detail } satisfies Advance)
  const made = (path: string): string => {
    mkdirSync(path, { recursive: true })
    return path
  }
  const given = {
    ...{ key, config, prepared, replica, resource, signal, progress, threads },
    // made when they are asked for: most measurements need neither
    get folder() {
      return made(folder)
    },
    get scratch() {
      return made(scratch)
    },
  }
  const rows = await study.measure(cell, given)
  returned(study.name, 'measure', Array.isArray(rows), 'a list of rows', rows)
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder)
  return rows
}

export const measureTask: Task = { module: import.meta.url, name: 'measureCell' }

/** Where the folder of a replica of a cell lies in a run's; cells are counted in the order in which they were asked for. */
export const cellFolder = (folder: string, cell: number, replica: number): string =>
  join(folder, 'cells', `${cell}-${replica}`)

/** Whether a measurement of a run that was cut has left files to go on with. */
export function hasCellFiles(folder: string): boolean {
  const cells = join(folder, 'cells')
  return existsSync(cells) && readdirSync(cells).some((cell) => readdirSync(join(cells, cell)).length > 0)
}

/** Where resources keep files, which go with the end of the run. */
export const scratchFolder = (folder: string): string => join(folder, 'scratch.tmp')
