/** @file A tiny assembler: the parts of a WebAssembly module that loops over memory need. (Core specification 2.0) */

/** Bytes of code or of a part of a module. */
export type Code = readonly number[]

export const unsigned = (value: number): number[] => {
  const out: number[] = []
  let rest = value >>> 0
  do {
    const low = rest & 127
    rest >>>= 7
    out.push(rest ? low | 128 : low)
  } while (rest)
  return out
}
const signed = (value: number): number[] => {
  const out: number[] = []
  let rest = value | 0
  for (;;) {
    const low = rest & 127
    rest >>= 7
    if ((rest === 0 && !(low & 64)) || (rest === -1 && low & 64)) return [...out, low]
    out.push(low | 128)
  }
}
export const vector = (items: readonly Code[]): number[] => [...unsigned(items.length), ...items.flat()]
export const section = (id: number, body: Code): number[] => [id, ...unsigned(body.length), ...body]
export const name = (text: string): number[] => [
  ...unsigned(text.length),
  ...Array.from(text, (c) => c.charCodeAt(0)),
]

export const i32 = 0x7f
export const f32 = 0x7d
export const f64 = 0x7c
export const v128 = 0x7b
export const get = (local: number): Code => [0x20, ...unsigned(local)]
export const set = (local: number): Code => [0x21, ...unsigned(local)]
/** Sets a local and leaves its value on the stack. */
export const tee = (local: number): Code => [0x22, ...unsigned(local)]
export const constant = (value: number): Code => [0x41, ...signed(value)]
export const add: Code = [0x6a]
export const mul: Code = [0x6c]
export const below: Code = [0x49]
export const subtract: Code = [0x6b]
export const and: Code = [0x71]
export const xor: Code = [0x73]
export const shiftLeft: Code = [0x74]
export const shiftRight: Code = [0x76]
/** Less than 0, of an integer with a sign. */
export const negative: Code = [0x41, 0, 0x48]
export const notEqual: Code = [0x47]
export const popcount: Code = [0x69]
export const store: Code = [0x36, 2, 0]
/** Two words of memory at once. */
export const loadPairAt = (offset: number): Code => [0x29, 2, offset]
export const storePairAt = (offset: number): Code => [0x37, 2, offset]

export const number = (value: number): Code => [0x44, ...new Uint8Array(Float64Array.of(value).buffer)]
export const addDouble: Code = [0xa0]
export const multiplyDouble: Code = [0xa2]
export const divideDouble: Code = [0xa3]
export const maxDouble: Code = [0xa5]
export const storeDouble: Code = [0x39, 3, 0]
export const loadDouble: Code = [0x2b, 3, 0]
/** A number in single precision, as a double. */
export const loadSingle: Code = [0x2a, 2, 0, 0xbb]
export const loadAt = (offset: number): Code => [0x28, 2, offset]

/** `body` again and again while the condition at its end holds: a loop that runs at least once. */
export const repeat = (body: Code, again: Code): Code => [0x03, 0x40, ...body, ...again, 0x0d, 0, 0x0b]
/** `body` once, and again when a branch in it goes to the loop. */
export const loop = (body: Code): Code => [0x03, 0x40, ...body, 0x0b]
/** Go to the block this many blocks further out. */
export const branchIf = (depth: number): Code => [0x0d, depth]
export const when = (condition: Code, then: Code): Code => [...condition, 0x04, 0x40, ...then, 0x0b]
export const either = (condition: Code, then: Code, otherwise: Code): Code => [
  ...[...condition, 0x04, 0x40],
  ...then,
  0x05,
  ...otherwise,
  0x0b,
]
/** local += amount */
export const advance = (local: number, amount: Code): Code => [
  ...get(local),
  ...amount,
  ...add,
  ...set(local),
]

/** Locals of one type. */
export const locals = (count: number, type: number): Code => [...unsigned(count), type]

/** A function's code: locals beyond its parameters by type, then its body. */
export const functionCode = (locals: readonly Code[], body: Code): number[] => {
  const all = [...vector(locals), ...body, 0x0b]
  return [...unsigned(all.length), ...all]
}

/** Pages of 64 KiB: at most 4 GiB of memory. */
export const mostPages = 65536

/**
 * A module of functions over an imported memory m.m, which may be shared between threads and then says how far it grows; a
 * function's type is [parameters, results], all of it bytes.
 */
export function encodeModule(
  functions: readonly { name: string; parameters: Code; results: Code; code: Code }[],
  isShared = false,
): Uint8Array<ArrayBuffer> {
  const limits = isShared ? [3, 0, ...unsigned(mostPages)] : [0, 0]
  const types = functions.map(({ parameters, results }) => [
    0x60,
    ...vector(parameters.map((type) => [type])),
    ...vector(results.map((type) => [type])),
  ])
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...section(2, vector([[...name('m'), ...name('m'), 2, ...limits]])),
    ...section(3, vector(functions.map((_, i) => [i]))),
    ...section(7, vector(functions.map((f, i) => [...name(f.name), 0, i]))),
    ...section(10, vector(functions.map((f) => f.code))),
  ])
}

export const pageBytes = 65536

/** Functions of a module and the memory they work on, which grows when asked. */
export interface Loaded<F> {
  readonly memory: WebAssembly.Memory
  readonly functions: F
}

/** Instantiate a module; undefined where WebAssembly, or what the module needs of it, is missing. */
export function load<F>(bytes: Uint8Array<ArrayBuffer>): Loaded<F> | undefined {
  if (typeof WebAssembly === 'undefined') return undefined
  try {
    const memory = new WebAssembly.Memory({ initial: 1 })
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { m: { m: memory } })
    return { memory, functions: instance.exports as unknown as F }
  } catch {
    return undefined
  }
}

/** Make a memory at least this large; false when there is no more. Views of it made before are then dead. */
export function reserve(memory: WebAssembly.Memory, bytes: number): boolean {
  const missing = Math.ceil(bytes / pageBytes) - memory.buffer.byteLength / pageBytes
  if (missing <= 0) return true
  try {
    memory.grow(missing)
    return true
  } catch {
    return false
  }
}
