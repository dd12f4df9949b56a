/** @file Sweep files: which configs to run, as blocks of grid, zip, repeat and filter. Read strictly, explained by line. */
import { dirname, relative, resolve } from 'node:path'
import { didYouMean, fail, TreelineError } from '../../base/index.ts'
import { readWritten, type WrittenFile } from '../../base/written.ts'
import { type Assignment, assignmentsIn, isTree, type Tree } from '../config.ts'
import type { AnyExperiment } from '../experiment.ts'
import { importExperiment, isModule } from '../importExperiment.ts'
import { fieldSchema, leafFields } from '../schema.ts'
import { type Expression, parseExpression } from './expression.ts'

/** A field and the values it takes one after another. */
export interface Axis {
  readonly path: string
  readonly values: readonly unknown[]
  readonly where: string
}

/** A filter and its line. */
interface Filter extends Expression {
  readonly where: string
}

/** One block: some configs of one experiment. */
export interface Block {
  readonly experiment: AnyExperiment
  /** The experiment's module, as `treeline run` is given it; absent for Treeline's own. */
  readonly module?: string
  readonly preset?: string
  readonly set: readonly Assignment[]
  /** Every combination of these. */
  readonly grid: readonly Axis[]
  /** These advance together; all have the same length. */
  readonly zip: readonly Axis[]
  /** Seeds, or how many of them beginning with the config's own. */
  readonly repeat?: number | readonly number[]
  readonly filters: readonly Filter[]
  /** The line on which the block begins. */
  readonly where: string
}

const keys = ['experiment', 'preset', 'set', 'grid', 'zip', 'repeat', 'filter'] as const

/** Finds one of Treeline's experiments by name. Given from outside: loading all of them takes a while. */
export type FindExperiment = (name: string) => AnyExperiment | Promise<AnyExperiment>

type Step = string | number
const text = (value: unknown): string => JSON.stringify(value) ?? 'nothing'

/** Put the place before the message of whatever `action` refuses. */
function placed<T>(where: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (!(error instanceof TreelineError) || error.message.startsWith(where)) throw error
    return fail(error.code, `${where}: ${error.message}`, error)
  }
}

/** A module named in a sweep file lies beside the file, as imports do; its path from the working directory. */
function modulePath(sweepFile: string, word: string): string {
  const path = relative(process.cwd(), resolve(dirname(sweepFile), word))
  return path.startsWith('.') ? path : `./${path}`
}

function readAxes(
  experiment: AnyExperiment,
  file: WrittenFile,
  block: Tree,
  name: 'grid' | 'zip',
  at: Step[],
): Axis[] {
  if (!Object.hasOwn(block, name)) return []
  const place = [...at, name]
  const group = block[name]
  if (!isTree(group) || Object.keys(group).length === 0)
    fail(
      'TL_BAD_CONFIG',
      `${file.where(place)}: ${name}: expected fields with lists of values, such as \`m: [2, 3, 4]\`, got ${text(group)}`,
    )
  return assignmentsIn(experiment, file, group, place).map(({ path, value, where }) => {
    if (!Array.isArray(value))
      fail(
        'TL_BAD_CONFIG',
        `${where}: ${name}.${path}: expected a list of values, such as [2, 3, 4], got ${text(value)} (a single value belongs into set)`,
      )
    if (value.length === 0)
      fail('TL_BAD_CONFIG', `${where}: ${name}.${path}: expected at least one value, got an empty list`)
    return { path, values: value, where }
  })
}

function readRepeat(file: WrittenFile, block: Tree, at: Step[]): Block['repeat'] {
  if (!Object.hasOwn(block, 'repeat')) return undefined
  const { repeat } = block
  const whole = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 0
  if (whole(repeat) && repeat >= 1 && repeat <= 100_000) return repeat
  if (Array.isArray(repeat) && repeat.length > 0 && repeat.every(whole)) return repeat
  return fail(
    'TL_BAD_CONFIG',
    `${file.where([...at, 'repeat'])}: repeat: expected a number of seeds from 1 to 100000, or a list of seeds, got ${text(repeat)}`,
  )
}

function readFilters(experiment: AnyExperiment, file: WrittenFile, block: Tree, at: Step[]): Filter[] {
  if (!Object.hasOwn(block, 'filter')) return []
  const { filter } = block
  const fields = leafFields(fieldSchema(experiment.config)).map(([path]) => path)
  const list = Array.isArray(filter) ? filter : [filter]
  return list.map((expression: unknown, index) => {
    const where = file.where(Array.isArray(filter) ? [...at, 'filter', index] : [...at, 'filter'])
    if (typeof expression !== 'string')
      fail(
        'TL_BAD_CONFIG',
        `${where}: filter: expected an expression over fields, such as "m * v <= v ** s", got ${text(expression)}`,
      )
    return placed(`${where}: filter "${expression}"`, () => ({
      ...parseExpression(expression, fields),
      where,
    }))
  })
}

/** Two rules for one field would leave one of them without effect: refused. */
function checkOnce(block: Omit<Block, 'where'>, repeatPlace: string): void {
  const seen = new Map<string, string>()
  const rules = [
    ...block.grid.map(({ path, where }) => ({ path, where, rule: 'grid' })),
    ...block.zip.map(({ path, where }) => ({ path, where, rule: 'zip' })),
    ...(block.repeat === undefined ? [] : [{ path: 'seed', where: repeatPlace, rule: 'repeat' }]),
  ]
  for (const { path, where, rule } of rules) {
    const other = seen.get(path)
    if (other)
      fail('TL_BAD_CONFIG', `${where}: ${rule}: ${path} is given by ${other} already; keep one of them`)
    seen.set(path, rule)
  }
  // a number of repeats counts from the seed that is set
  const varied = rules.filter(({ rule }) => rule !== 'repeat' || typeof block.repeat !== 'number')
  for (const { path, where } of block.set) {
    const other = varied.find((one) => path === one.path || path.startsWith(`${one.path}.`))
    if (other)
      fail(
        'TL_BAD_CONFIG',
        `${where}: set: ${path} is given by ${other.rule} already, so that this value has no effect; keep one of them`,
      )
  }
}

async function readBlock(
  file: WrittenFile,
  block: unknown,
  at: Step[],
  find: FindExperiment,
): Promise<Block> {
  const where = file.where(at)
  if (!isTree(block))
    fail(
      'TL_BAD_CONFIG',
      `${where}: expected a sweep: fields such as experiment and grid, got ${text(block)}`,
    )
  for (const key of Object.keys(block))
    if (!keys.some((known) => known === key) && !(at.length === 0 && file.isAside(key)))
      fail(
        'TL_BAD_CONFIG',
        `${file.where([...at, key])}: ${key}: a sweep has no such entry: ${didYouMean(key, keys)}`,
      )
  const { experiment: word, preset } = block
  if (typeof word !== 'string' || word === '')
    fail(
      'TL_BAD_CONFIG',
      `${word === undefined ? where : file.where([...at, 'experiment'])}: experiment: expected a name (see treeline list) or a module of your own, got ${text(word)}`,
    )
  const wordPlace = file.where([...at, 'experiment'])
  const module = isModule(word) ? modulePath(file.path, word) : undefined
  const experiment = await (async () => (module ? await importExperiment(module) : await find(word)))().catch(
    (error: unknown) =>
      placed(wordPlace, () => {
        throw error
      }),
  )
  if (preset !== undefined && (typeof preset !== 'string' || !Object.hasOwn(experiment.presets, preset)))
    fail(
      'TL_BAD_CONFIG',
      `${file.where([...at, 'preset'])}: preset ${text(preset)}: ${experiment.name} has no such preset: ${didYouMean(String(preset), Object.keys(experiment.presets))}`,
    )
  const read = {
    experiment,
    module,
    preset: preset as string | undefined,
    set: Object.hasOwn(block, 'set') ? assignmentsIn(experiment, file, block['set'], [...at, 'set']) : [],
    grid: readAxes(experiment, file, block, 'grid', at),
    zip: readAxes(experiment, file, block, 'zip', at),
    repeat: readRepeat(file, block, at),
    filters: readFilters(experiment, file, block, at),
  }
  checkOnce(read, file.where([...at, 'repeat']))
  const [first, ...others] = read.zip
  for (const { path, values, where: line } of others)
    if (values.length !== first!.values.length)
      fail(
        'TL_BAD_CONFIG',
        `${line}: zip.${path}: expected ${first!.values.length} values, as many as ${first!.path} has, got ${values.length}`,
      )
  return { ...read, where }
}

/** Read a sweep file: one block, or a list of them. Throws TL_BAD_FILE or TL_BAD_CONFIG naming the line. */
export async function readSweepFile(path: string, find: FindExperiment): Promise<Block[]> {
  const file = readWritten(path)
  if (file.value === null)
    fail('TL_BAD_CONFIG', `${path}: expected a sweep with experiment and grid; the file is empty`)
  if (!Array.isArray(file.value)) return [await readBlock(file, file.value, [], find)]
  if (file.value.length === 0)
    fail('TL_BAD_CONFIG', `${path}: expected at least one sweep; the list is empty`)
  const blocks: Block[] = []
  for (const [index, block] of file.value.entries()) blocks.push(await readBlock(file, block, [index], find))
  return blocks
}
