/**
 * @file Headers that are well formed and lie: every number of a file replaced by hostile ones, and JSON of random hostile
 * parts. Tensors or one clear line; what is asked of memory meanwhile is counted, and never more than the file's size.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import { encodeGguf, parseGguf, parsePytorch, parseSafetensors } from '../../src/checkpoint/index.ts'
import { random } from '../../src/tensor/index.ts'

/** The largest array asked for since it was last set to 0, in bytes. */
let largest = 0
const note = (size: number): void => {
  if (size > largest) largest = size
}
const arrays = [
  'ArrayBuffer',
  'Uint8Array',
  'Int8Array',
  'Uint16Array',
  'Int16Array',
  'Uint32Array',
  'Int32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Array',
] as const
type Global = Record<string, unknown>
const real = Object.fromEntries(arrays.map((name) => [name, globalThis[name]]))
const { alloc, allocUnsafe } = Buffer
const { stackTraceLimit } = Error

beforeAll(() => {
  Error.stackTraceLimit = 0
  for (const name of arrays)
    (globalThis as unknown as Global)[name] = new Proxy(globalThis[name], {
      construct(target, args: unknown[], self) {
        const width = 'BYTES_PER_ELEMENT' in target ? target.BYTES_PER_ELEMENT : name === 'Array' ? 8 : 1
        if (typeof args[0] === 'number' && args.length === 1) note(args[0] * width)
        return Reflect.construct(target, args, self) as object
      },
    })
  Buffer.alloc = ((size: number, ...rest: []) => {
    note(size)
    return alloc(size, ...rest)
  }) as typeof alloc
  Buffer.allocUnsafe = ((size: number) => {
    note(size)
    return allocUnsafe(size)
  }) as typeof allocUnsafe
})
afterAll(() => {
  Object.assign(globalThis, real)
  Object.assign(Buffer, { alloc, allocUnsafe })
  Error.stackTraceLimit = stackTraceLimit
})

/** Parse; true when it was read. Anything but one line of an expected kind, or a large allocation, ends the test. */
function isRead(parse: (bytes: Uint8Array) => unknown, bytes: Uint8Array, least = 0): boolean {
  largest = 0
  let read = true
  try {
    parse(bytes)
  } catch (error) {
    if (!(error instanceof TreelineError)) throw error
    if (!/^TL_(BAD_FILE|UNSUPPORTED)$/.test(error.code)) throw error
    if (error.message.length > 1000 || /[\n\r]/.test(error.message)) expect.fail(error.message)
    read = false
  }
  if (largest > Math.max(least, bytes.length + 1024))
    expect.fail(`${largest} bytes asked for, the file has ${bytes.length}`)
  return read
}

it('counts what is asked for', () => {
  for (const ask of [
    () => new Float32Array(25_000),
    () => Buffer.alloc(100_000),
    () => new ArrayBuffer(100_000),
    () => new Array(12_500),
  ]) {
    largest = 0
    ask()
    expect(largest).toBe(100_000)
  }
  expect(new Uint8Array(2)).toBeInstanceOf(Uint8Array)
})

const hostile = [
  0n,
  1n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  1n << 40n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
]

/** Every position of these takes every hostile number, as 2, 4 and 8 bytes. */
function sweep(
  original: Uint8Array,
  places: Iterable<number>,
  parse: (bytes: Uint8Array) => unknown,
  least = 0,
) {
  const counts = { read: 0, refused: 0 }
  for (const at of places)
    for (const value of hostile)
      for (const width of [2, 4, 8]) {
        if (at + width > original.length || (value >> BigInt(8 * width) !== 0n && value !== hostile.at(-1)))
          continue
        const bytes = original.slice()
        for (let i = 0; i < width; i++) bytes[at + i] = Number((value >> BigInt(8 * i)) & 0xffn)
        counts[isRead(parse, bytes, least) ? 'read' : 'refused']++
      }
  return counts
}
const range = (begin: number, end: number): number[] =>
  Array.from({ length: end - begin }, (_, i) => begin + i)

/** Node's zlib unpacks into pieces of this size, however little there is. */
const zlibChunk = 16_384

describe('every number replaced', () => {
  it('in GGUF', () => {
    const original = encodeGguf(
      ['F32', 'F16', 'Q8_0'].map((dtype) => ({
        name: dtype,
        dtype,
        shape: [1, 32],
        values: new Float32Array(32),
      })),
      {
        'general.alignment': 32,
        'a.list': [1, 2, 3],
        'a.words': ['x', 'yz'],
        'a.text': 'some text',
        'a.flag': true,
      },
    )
    const { dataStart } = parseGguf(original)
    const { read, refused } = sweep(original, range(0, dataStart), parseGguf)
    expect(read).toBeGreaterThan(100)
    expect(refused).toBeGreaterThan(1000)
  })

  it.each(['pytorch.pt', 'pytorch-repacked.pt'])('in the directory and first header of %s', (name) => {
    const original = new Uint8Array(readFileSync(new URL(`../fixtures/${name}`, import.meta.url)))
    const end = original.length
    const directory = Buffer.from(original).readUInt32LE(end - 6)
    const places = [...range(0, 64), ...range(directory, directory + 120), ...range(end - 100, end)]
    const { read, refused } = sweep(original, places, parsePytorch, zlibChunk)
    expect(read).toBeGreaterThan(100)
    expect(refused).toBeGreaterThan(1000)
  })
})

it('30,000 safetensors headers of valid JSON with hostile parts', () => {
  const words = random.sampleIntegers(random.key(1), 1 << 18, 1 << 16)
  let at = 0
  const pick = <T>(list: readonly T[]): T => list[words[at++ % words.length]! % list.length]!
  const integer = () =>
    pick([
      '0',
      '1',
      '2',
      '4',
      '8',
      '16',
      '-1',
      '1.5',
      '1e3',
      '9007199254740991',
      '9007199254740992',
      '99999999999999999999',
      '1e400',
      '-0',
      '00',
      'null',
      '"4"',
      'true',
      'NaN',
      '[4]',
      '{}',
    ])
  const sane = () => pick(['0', '1', '2', '3', '4'])
  const list = (of: () => string, most: readonly number[]) => `[${range(0, pick(most)).map(of).join(',')}]`
  const entry = (i: number): string => {
    const good = pick([true, true, false])
    const number = () => (good || pick([true, false]) ? sane() : integer())
    const dtype = pick([
      'F32',
      'F32',
      'F32',
      'BF16',
      'U8',
      'F8_E4M3',
      'F4',
      'I64',
      'f32',
      '',
      'F128',
      '__proto__',
    ])
    const offsets = good ? `[${4 * i},${4 * i + 4}]` : list(integer, [0, 1, 2, 2, 2, 2, 3])
    const shape = good ? pick(['[1]', '[]', '[1,1]', '[2]', '[4]']) : list(number, [0, 1, 2, 2, 3, 65])
    const parts = [`"dtype":"${dtype}"`, `"shape":${shape}`, `"data_offsets":${offsets}`]
    if (pick(range(0, 8)) === 0) parts.push(pick(parts))
    if (pick(range(0, 8)) === 0) parts.splice(pick([0, 1, 2]), 1)
    if (pick(range(0, 16)) === 0) parts.push(pick(['"x":1', '"toString":{}', '"__proto__":[]']))
    return `{${parts.join(',')}}`
  }
  let [read, largestSum] = [0, 0]
  for (let i = 0; i < 30_000; i++) {
    const count = pick([0, 1, 1, 2, 3])
    const members = range(0, count).map(
      (n) => `"${pick(['a', 'b', 'c', '__proto__', 'constructor'])}${pick(['', n])}":${entry(n)}`,
    )
    if (pick([true, false]))
      members.push(
        `"__metadata__":${pick(['{}', '{"a":"b"}', '{"a":1}', 'null', '[]', '{"a":"b","a":"c"}'])}`,
      )
    const text = Buffer.from(`{${members.join(',')}}`)
    const data = 4 * count
    const bytes = new Uint8Array(8 + text.length + data)
    new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true)
    bytes.set(text, 8)
    const isFine = isRead((whole) => {
      const { tensors } = parseSafetensors(whole)
      largestSum = Math.max(
        largestSum,
        [...tensors.values()].reduce((sum, one) => sum + one.data.byteLength, 0) - data,
      )
    }, bytes)
    if (isFine) read++
  }
  expect(read).toBeGreaterThan(300)
  expect(read).toBeLessThan(20_000)
  expect(largestSum).toBe(0)
})
