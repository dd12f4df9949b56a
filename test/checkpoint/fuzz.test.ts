/** @file A hundred thousand damaged headers: tensors or one clear line, never a crash, nothing larger than the file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import { encodeSafetensors, parseSafetensors, readShardIndex } from '../../src/checkpoint/index.ts'
import { readNpyHeader } from '../../src/checkpoint/npy.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-fuzz-'))
const { stackTraceLimit } = Error
// traces of a hundred thousand refusals are most of the time
beforeAll(() => {
  Error.stackTraceLimit = 0
})
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit
  rmSync(root, { recursive: true, force: true })
})

/** The same damage in every run (Marsaglia's xorshift32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** Pieces of headers that make damage meaningful: large numbers, nesting, types, escapes. */
const words = [
  '9'.repeat(19),
  '-1',
  '1e9',
  '[',
  ']',
  '{',
  '}',
  ',',
  ':',
  '"',
  '\\u0000',
  '"F64"',
  '"F4"',
  'null',
  '"dtype":',
  '[0,0]',
  '\xff',
  '0',
].map((word) => Buffer.from(word, 'latin1'))

/** One to three changes: bytes set, cut out, doubled, or replaced by a word; most of them within the first `reach` bytes. */
function damaged(seed: Buffer, random: (below: number) => number, reach: number): Buffer {
  let bytes: Buffer = Buffer.from(seed)
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const at = random(4) === 0 ? random(bytes.length) : random(Math.min(reach, bytes.length))
    const length = 1 + random(8)
    const kind = random(5)
    const word = words[random(words.length)]!
    if (kind === 0) bytes[at] = random(256)
    else if (kind === 1) bytes[at] = bytes[at]! ^ (1 << random(8))
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)])
    else bytes = Buffer.concat([bytes.subarray(0, at), word, bytes.subarray(at + random(2) * word.length)])
    if (bytes.length === 0) return bytes
  }
  // half of the time the announced length follows, so that damage reaches what comes after the first check
  if (random(2) === 0 && bytes.length > 8)
    bytes.writeBigUInt64LE(BigInt(Math.max(2, reach - 8 + bytes.length - seed.length)), 0)
  return bytes
}

/** Run `parse`; true when it refused, with one line. Anything but a TreelineError ends the test. */
function refuses(parse: () => void): boolean {
  try {
    parse()
    return false
  } catch (error) {
    if (!(error instanceof TreelineError)) throw error
    if (error.message.length > 1000 || /[\n\r]/.test(error.message)) expect.fail(error.message)
    return true
  }
}

describe('damaged headers', () => {
  it('of safetensors, 100,000', () => {
    const seed = Buffer.from(
      encodeSafetensors(
        {
          'a.weight': { dtype: 'F32', shape: [2, 2], data: new Float32Array(4) },
          b: { dtype: 'BF16', shape: [3], data: new Uint8Array(6) },
          c: { dtype: 'I64', shape: [], data: new BigInt64Array(1) },
        },
        { format: 'pt' },
      ),
    )
    const reach = 8 + Number(seed.readBigUInt64LE(0))
    const random = randomNumbers(20_241)
    let [refused, largest] = [0, 0]
    for (let i = 0; i < 100_000; i++) {
      const bytes = damaged(seed, random, reach)
      const isRefused = refuses(() => {
        let sum = 0
        for (const { data } of parseSafetensors(bytes, 'fuzz').tensors.values()) sum += data.byteLength
        largest = Math.max(largest, sum / bytes.length)
      })
      if (isRefused) refused++
    }
    expect(refused).toBeGreaterThan(50_000)
    // some damage leaves a valid file, or the test would say nothing of what is read then
    expect(refused).toBeLessThan(100_000)
    expect(largest).toBeLessThan(1)
  })

  it('of .npy, 20,000', () => {
    const text = Buffer.from("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".padEnd(117) + '\n')
    const lead = Buffer.from('\x93NUMPY\x01\x00\x76\x00', 'latin1')
    const seed = Buffer.concat([lead, text, Buffer.alloc(24)])
    const random = randomNumbers(77)
    let [refused, largest] = [0, 0]
    for (let i = 0; i < 20_000; i++) {
      const bytes = damaged(seed, random, 80)
      const isRefused = refuses(() => {
        const { shape, width } = readNpyHeader('fuzz', bytes.length, (begin, end) =>
          bytes.subarray(begin, end),
        )
        largest = Math.max(largest, (shape.reduce((a, b) => a * b, 1) * width) / bytes.length)
      })
      if (isRefused) refused++
    }
    expect(refused).toBeGreaterThan(10_000)
    expect(refused).toBeLessThan(20_000)
    expect(largest).toBeLessThan(1)
  })

  it('of an index, 1,000', () => {
    const seed = Buffer.from(
      JSON.stringify({
        metadata: { total_size: 8 },
        weight_map: { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' },
      }),
    )
    const path = join(root, 'model.safetensors.index.json')
    const random = randomNumbers(5)
    let refused = 0
    for (let i = 0; i < 1000; i++) {
      writeFileSync(path, damaged(seed, random, seed.length))
      const isRefused = refuses(() => {
        for (const shard of readShardIndex(path).shards) expect(shard).not.toMatch(/[/\\\0]|^\.{0,2}$/)
      })
      if (isRefused) refused++
    }
    expect(refused).toBeGreaterThan(100)
  })
})
