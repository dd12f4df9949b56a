/**
 * @file A counted layer under the product's files. Within a life every change of a file counts – made, written, renamed,
 * linked, cut or removed – and the life can end at the n-th: that change is not made, or only half of its bytes, and from then
 * on nothing changes any more, also not what a `finally` would tidy up. For the disk it is what `kill -9` is, at the same moment on every
 * machine, in this process. A life has a pid of its own, so that the next one meets the locks of a dead process.
 * The layer replaces functions of `node:fs`; the product knows nothing of it.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { cleared } from '../../src/base/temporaries.ts'

/** How a life ends at a change: the change is not made, or only half of its bytes arrive. */
export type Manner = 'before' | 'torn'

export interface Life<R> {
  /** Changes that were made, in order, in words. */
  readonly changes: readonly string[]
  /** Was it ended by the layer? */
  readonly isCut: boolean
  /** What the work returned, unless it threw. */
  readonly result?: R
  readonly error?: unknown
}

interface Current {
  readonly pid: number
  readonly at: number
  readonly manner: Manner
  readonly changes: string[]
  readonly onChange: () => void
  isCut: boolean
}

class Killed extends Error {
  constructor() {
    super('this life is over')
  }
}

let life: Current | undefined
/** No system has so many processes: the pids of lives are those of processes that have ended. */
let lastPid = 1 << 23

const real = { ...fs }
type Arguments = readonly unknown[]

/** True inside a function of the layer: Node makes some of these functions of others. */
let isInside = false
function inside<R>(action: () => R): R {
  isInside = true
  try {
    return action()
  } finally {
    isInside = false
  }
}

/** One change: made, or the end of the life. `half` does half of it. */
function change<R>(what: string, make: () => R, half?: () => void): R {
  if (life === undefined || isInside) return make()
  if (life.isCut) throw new Killed()
  life.changes.push(what)
  if (life.changes.length < life.at) {
    const made = inside(make)
    inside(life.onChange)
    return made
  }
  life.isCut = true
  if (life.manner === 'torn' && half) inside(half)
  throw new Killed()
}

const byDescriptor = new Map<number, string>()
const nameOf = (file: unknown): string =>
  typeof file === 'number' ? (byDescriptor.get(file) ?? `descriptor ${file}`) : String(file)

/** Is a file made or emptied when it is opened so? */
const isMaking = (flags: unknown): boolean => typeof flags === 'string' && /^[aw]/.test(flags)

type Text = string | Uint8Array
const firstHalf = (data: Text): Uint8Array => {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data
  return bytes.subarray(0, bytes.byteLength >> 1)
}

/** Remove everything below a path, one change each, in the order of the names. */
function removeAll(path: string): void {
  const status = real.lstatSync(path, { throwIfNoEntry: false })
  if (!status) return
  if (status.isDirectory()) {
    for (const name of real.readdirSync(path).sort()) removeAll(join(path, name))
    change(`remove ${path}`, () => real.rmdirSync(path))
  } else change(`remove ${path}`, () => real.unlinkSync(path))
}

const layer: Record<string, (...given: never[]) => unknown> = {
  openSync(path: string, flags: unknown = 'r', mode?: fs.Mode) {
    const open = (): number => real.openSync(path, flags as string, mode)
    const descriptor = isMaking(flags) ? change(`open ${path}`, open) : open()
    byDescriptor.set(descriptor, String(path))
    return descriptor
  },
  writeSync(descriptor: number, data: Text, ...rest: unknown[]) {
    const write = real.writeSync as (...all: Arguments) => number
    return change(
      `write ${nameOf(descriptor)}`,
      () => write(descriptor, data, ...rest),
      () => {
        if (typeof data === 'string') return write(descriptor, firstHalf(data))
        const [offset = 0, length = data.byteLength - Number(offset), position = null] = rest
        return write(descriptor, data, offset, Number(length) >> 1, position)
      },
    )
  },
  writeFileSync(file: string | number, data: Text, options?: fs.WriteFileOptions) {
    return change(
      `write ${nameOf(file)}`,
      () => real.writeFileSync(file, data, options),
      () => real.writeFileSync(file, firstHalf(data), options),
    )
  },
  appendFileSync(file: string | number, data: Text, options?: fs.WriteFileOptions) {
    return change(
      `append ${nameOf(file)}`,
      () => real.appendFileSync(file, data, options),
      () => real.appendFileSync(file, firstHalf(data), options),
    )
  },
  rmSync(path: string, options?: fs.RmOptions) {
    if (life === undefined || isInside) return real.rmSync(path, options)
    if (!real.lstatSync(path, { throwIfNoEntry: false })) return real.rmSync(path, options)
    if (options?.recursive) return removeAll(String(path))
    return change(`remove ${path}`, () => real.rmSync(path, options))
  },
  // what a power cut would lose is not played
  fsyncSync: (descriptor: number) => (life ? undefined : real.fsyncSync(descriptor)),
  fdatasyncSync: (descriptor: number) => (life ? undefined : real.fdatasyncSync(descriptor)),
}
for (const name of [
  'renameSync',
  'linkSync',
  'symlinkSync',
  'mkdirSync',
  'mkdtempSync',
  'rmdirSync',
  'unlinkSync',
  'truncateSync',
  'ftruncateSync',
] as const) {
  const own = real[name] as (...all: Arguments) => unknown
  layer[name] = (...given: unknown[]) =>
    change(`${name.slice(0, -4)} ${nameOf(given[0])}`, () => own(...given))
}
/** Changes in ways that the layer does not count: a life refuses them, so that none goes unseen. */
const unseen = ['cpSync', 'copyFileSync', 'writevSync', 'utimesSync', 'chmodSync', 'createWriteStream']
  .concat([
    'writeFile',
    'appendFile',
    'write',
    'rename',
    'rm',
    'mkdir',
    'unlink',
    'truncate',
    'copyFile',
    'cp',
  ])
  .filter((name) => Object.hasOwn(real, name)) as (keyof typeof real)[]
for (const name of unseen) {
  const own = real[name] as (...all: Arguments) => unknown
  layer[name] = (...given: unknown[]) => {
    if (life && !isInside) throw new Error(`fs.${name} is not counted: add it to the layer`)
    return own(...given)
  }
}

const underneath = Object.fromEntries(
  Object.keys(layer).map((name) => [name, real[name as keyof typeof real]]),
)

/** Put the layer under everything that writes, or take it away. */
function use(functions: object): void {
  Object.assign(fs, functions)
  syncBuiltinESMExports()
}

const own = { pid: process.pid, kill: process.kill.bind(process) }
function usePid(pid: number): void {
  Object.defineProperty(process, 'pid', { value: pid, configurable: true, enumerable: true, writable: false })
  // the process of the life that is lived is there, those of others are not
  process.kill = (asked, signal) => (asked === life?.pid && signal === 0 ? true : own.kill(asked, signal))
}

/**
 * Do `work` as a process of its own that ends at its change number `at` (from 1); without a number it lives on. `onChange` is
 * called after each change that was made.
 */
export async function live<R>(
  work: () => Promise<R> | R,
  at = Number.POSITIVE_INFINITY,
  manner: Manner = 'before',
  onChange: () => void = () => {},
): Promise<Life<R>> {
  if (life) throw new Error('one life at a time')
  const current: Current = { pid: ++lastPid, at, manner, changes: [], onChange, isCut: false }
  life = current
  // what a process remembers of folders
  cleared.clear()
  usePid(current.pid)
  use(layer)
  try {
    const result = await work()
    return { changes: current.changes, isCut: current.isCut, result }
  } catch (error) {
    return { changes: current.changes, isCut: current.isCut, error }
  } finally {
    life = undefined
    use(underneath)
    byDescriptor.clear()
    usePid(own.pid)
    process.kill = own.kill
  }
}
