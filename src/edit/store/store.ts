/**
 * @file The store: a folder with settings, permutation and background, records, and the residual memory.
 *
 * What is on disk after n records (`edits.jsonl`): `memory-m.safetensors`, the whole memory after the first m ≤ n records, and
 * for each edit after it `delta-n.safetensors`, the rows it wrote as they were after it. Files of a record are written and
 * renamed before its line is appended and flushed; so whenever the process dies, every line's files are complete, and files
 * without a line are ignored and cleared away. A last line without its end is no record. The scope is in `scopeFiles.ts`.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { explainSystemError, writeAtomically } from '../../base/files.ts'
import { fail, prettyJson } from '../../base/index.ts'
import { journalLines } from '../../base/journal.ts'
import { readText } from '../../base/read.ts'
import { readSafetensors, writeSafetensors } from '../../checkpoint/index.ts'
import type { ScopeMap } from '../scope/scope.ts'
import { checkConfig, type ScopeSettings, type StoreConfig } from './config.ts'
import { recordLines, type StoreRecord } from './records.ts'
import { type Asks, clearScopes, mapTensors, readScope, writeAsks, writeScope } from './scopeFiles.ts'

/** Rows [places, width] of the memory as they are after an edit. */
export interface Rows {
  readonly places: Int32Array
  readonly values: Float32Array
}

/** What an edit reads the memory with. */
export interface Keys {
  /** The ones of its mask, ascending. */
  readonly places: Int32Array
  /** Inputs of the edited projection there while it was taught, token after token, [tokens, places]. */
  readonly activations: Float32Array
}

export interface Store {
  readonly path: string
  readonly config: StoreConfig
  readonly permutation: Uint32Array
  /** Mean feature of the background prompts, [hidden]. */
  readonly background: Float64Array
  readonly records: readonly StoreRecord[]
  /** The residual memory [hidden, width]; write it only through `append`. */
  readonly memory: Float32Array
  /** Of a store with a scope. */
  readonly scope: ScopeMap | undefined
  /** Append a record, with the rows that it changed or the whole memory after it. */
  append(
    record: StoreRecord,
    change?:
      | { readonly rows: Rows; readonly keys?: Keys; readonly asks?: Asks }
      | { readonly memory: Float32Array },
  ): Promise<void>
  /** The memory after the first `count` records, where it can still be had. */
  memoryAfter(count: number): Float32Array | undefined
  /** The keys that came with the record at this place; undefined where there were none. */
  keysAt(index: number): Keys | undefined
  /** What the edit asks whose record stands at this place; undefined where it is about no subject, or the store has no scope. */
  asksAt(index: number): Asks | undefined
  /** Other settings that do not touch the memory. */
  configure(changes: Partial<Pick<StoreConfig, 'threshold' | 'calibration' | 'gate' | 'scope'>>): void
  /** Put a scope in the place of the one there is, if any; `asks`: what each edit asks by it, in the order of the records. */
  replaceScope(
    scope: ScopeMap,
    settings: Omit<ScopeSettings, 'hash'>,
    asks: readonly (Asks | undefined)[],
  ): void
}

export interface Base {
  readonly permutation: Uint32Array
  readonly background: Float64Array
  /** Of a store with a scope. */
  readonly scope?: ScopeMap
}

const [configName, baseName, recordsName] = ['config.json', 'base.safetensors', 'edits.jsonl']
/** Deltas between two whole memories. */
const every = 32

const memoryFile = (path: string, count: number): string => join(path, `memory-${count}.safetensors`)
const keysFile = (path: string, count: number): string => join(path, `keys-${count}.safetensors`)
const deltaFile = (path: string, count: number): string => join(path, `delta-${count}.safetensors`)

export const isStore = (path: string): boolean => existsSync(join(path, configName))

/** A new store takes an empty folder, or what is left of one that was being made. Throws `TL_BAD_ARGUMENT`. */
export function requireEmpty(path: string): void {
  if (
    existsSync(path) &&
    readdirSync(path).some((name) => name !== baseName && name !== 'lock' && !name.endsWith('.tmp'))
  )
    fail('TL_BAD_ARGUMENT', `${path}: not empty and not a store of edits: choose another folder`)
}

/** Make an empty store. `config.json` comes last: without it there is none. */
export async function createStore(path: string, config: StoreConfig, base: Base): Promise<void> {
  if (isStore(path)) fail('TL_BAD_ARGUMENT', `${path}: there is a store already`)
  requireEmpty(path)
  const { hidden } = config
  const { permutation, background, scope } = base
  await writeAtomicallyTensors(join(path, baseName), {
    permutation: { dtype: 'U32', shape: [hidden], data: permutation },
    background: { dtype: 'F64', shape: [hidden], data: background },
    ...(scope && mapTensors(scope)),
  })
  writeAtomically(join(path, configName), prettyJson(config))
}

const writeAtomicallyTensors = async (path: string, tensors: Record<string, object>): Promise<void> => {
  await writeSafetensors(path, tensors as never)
}

/** One tensor of a file, with its shape checked. */
function array<A extends ArrayLike<number>>(path: string, name: string, length?: number): A {
  const found = readSafetensors(path).tensors.get(name)
  if (!found || (length !== undefined && found.data.length !== length))
    return fail(
      'TL_BAD_FILE',
      `${path}: expected "${name}"${length === undefined ? '' : ` of ${length} numbers`}; the store is damaged`,
    )
  return found.data as unknown as A
}

/** Open a store. Throws `TL_BAD_FILE`, `TL_IO`. */
export function openStore(path: string): Store {
  if (!isStore(path)) fail('TL_BAD_FILE', `${path}: no store of edits (there is no ${configName})`)
  let config = checkConfig(readText(join(path, configName)), join(path, configName))
  const { hidden, width } = config
  const recordsPath = join(path, recordsName)
  const { lines: records, length } = existsSync(recordsPath)
    ? journalLines(readFileSync(recordsPath), recordsPath, recordLines)
    : { lines: [], length: 0 }
  let end = length

  const counts = (kind: string): number[] =>
    readdirSync(path)
      .map((name) => new RegExp(`^${kind}-(\\d+)\\.safetensors$`).exec(name)?.[1])
      .filter((n) => n !== undefined)
      .map(Number)
      .sort((a, b) => a - b)

  /** Files of records that were never finished. */
  function clear(): void {
    for (const n of counts('memory')) if (n > records.length) rmSync(memoryFile(path, n), { force: true })
    for (const n of counts('delta')) if (n > records.length) rmSync(deltaFile(path, n), { force: true })
    for (const n of counts('keys')) if (n > records.length) rmSync(keysFile(path, n), { force: true })
    clearScopes(path, config.scope, records.length)
  }

  function memoryAfter(count: number): Float32Array | undefined {
    const from = counts('memory').findLast((n) => n <= count) ?? 0
    const memory =
      from === 0
        ? new Float32Array(hidden * width)
        : array<Float32Array>(memoryFile(path, from), 'memory', hidden * width).slice()
    for (let n = from + 1; n <= count; n++) {
      const record = records[n - 1]!
      if (record.event === 'undo' && record.memory === 'kept') continue
      const file = deltaFile(path, n)
      if (record.event !== 'edit' || !existsSync(file)) return undefined
      const places = array<Int32Array>(file, 'places')
      const values = array<Float32Array>(file, 'values', places.length * width)
      for (const [i, place] of places.entries()) {
        if (!(place >= 0 && place < hidden)) fail('TL_BAD_FILE', `${file}: row ${place} of ${hidden}`)
        memory.set(values.subarray(i * width, (i + 1) * width), place * width)
      }
    }
    return memory
  }

  const base = join(path, baseName)
  // read whole: another process may put another scope in its place
  let scoped = config.scope && readScope({ path, base, width, records: records.length }, config.scope)
  const memory =
    memoryAfter(records.length) ??
    fail(
      'TL_BAD_FILE',
      `${path}: the memory after ${records.length} records is not there; the store is damaged`,
    )

  /** Keep two whole memories and what lies after the elder: the last edits can be taken back exactly. */
  function prune(): void {
    const whole = counts('memory')
    const oldest = whole.at(-2)
    if (oldest === undefined) return
    for (const n of whole) if (n < oldest) rmSync(memoryFile(path, n), { force: true })
    for (const n of counts('delta')) if (n <= oldest) rmSync(deltaFile(path, n), { force: true })
  }

  function appendLine(record: StoreRecord): void {
    const descriptor = openSync(recordsPath, existsSync(recordsPath) ? 'r+' : 'w')
    try {
      // what a killed process left of a line
      ftruncateSync(descriptor, end)
      const bytes = new TextEncoder().encode(`${JSON.stringify(record)}\n`)
      for (let offset = 0; offset < bytes.length; )
        offset += writeSync(descriptor, bytes, offset, bytes.length - offset, end + offset)
      fsyncSync(descriptor)
      end += bytes.length
    } finally {
      closeSync(descriptor)
    }
  }

  const configure: Store['configure'] = (changes) => {
    config = { ...config, ...changes }
    writeAtomically(join(path, configName), prettyJson(config))
  }

  return {
    path,
    get config() {
      return config
    },
    permutation: array<Uint32Array>(base, 'permutation', hidden),
    background: array<Float64Array>(base, 'background', hidden),
    records,
    memory,
    memoryAfter,
    get scope() {
      return scoped?.scope
    },
    asksAt: (index) => scoped?.asks.get(index + 1),
    keysAt(index) {
      const file = keysFile(path, index + 1)
      if (!existsSync(file)) return undefined
      const places = array<Int32Array>(file, 'places')
      const activations = array<Float32Array>(file, 'activations')
      if (activations.length === 0 || activations.length % places.length !== 0)
        fail('TL_BAD_FILE', `${file}: ${activations.length} numbers for ${places.length} places`)
      return { places, activations }
    },
    async append(record, change) {
      const count = records.length + 1
      const next = memory.slice()
      const asks = change && 'rows' in change ? change.asks : undefined
      if (change && 'rows' in change)
        for (const [i, place] of change.rows.places.entries())
          next.set(change.rows.values.subarray(i * width, (i + 1) * width), place * width)
      else if (change) next.set(change.memory)
      try {
        clear()
        if (change && 'rows' in change)
          await writeAtomicallyTensors(deltaFile(path, count), {
            places: { dtype: 'I32', shape: [change.rows.places.length], data: change.rows.places },
            values: { dtype: 'F32', shape: [change.rows.places.length, width], data: change.rows.values },
          })
        if (change && 'rows' in change && change.keys) {
          const { places, activations } = change.keys
          const k = places.length
          await writeAtomicallyTensors(keysFile(path, count), {
            places: { dtype: 'I32', shape: [k], data: places },
            activations: { dtype: 'F32', shape: [activations.length / k, k], data: activations },
          })
        }
        if (asks) writeAsks(path, config.scope, count, asks)
        if ((change && 'memory' in change) || count % every === 0)
          await writeAtomicallyTensors(memoryFile(path, count), {
            memory: { dtype: 'F32', shape: [hidden, width], data: next },
          })
        appendLine(record)
      } catch (error) {
        explainSystemError(error, `cannot write ${path}`)
      }
      records.push(record)
      if (asks) scoped?.asks.set(count, asks)
      memory.set(next)
      prune()
    },
    configure,
    replaceScope(scope, settings, asks) {
      const next = { scope, asks: new Map(asks.flatMap((own, i) => (own ? [[i + 1, own] as const] : []))) }
      const hash = writeScope(path, next)
      configure({ scope: { ...settings, hash } })
      scoped = next
      clear()
    },
  }
}
