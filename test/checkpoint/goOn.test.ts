/** @file A folder that a conversion or a vector is written to: interrupted after any tensor, the same call goes on to the same bytes. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { Steps } from '../../src/base/index.ts'
import { finish } from '../../src/base/index.ts'
import {
  type Checkpoint,
  converting,
  encodeF32,
  openCheckpoint,
  writeSafetensors,
} from '../../src/checkpoint/index.ts'
import { applying, openVector, writeVector } from '../../src/merge/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-go-on-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (name: string): string => join(root, name)

/** Six tensors of two types: whatever order a shard has, it is not the order of the model. */
function model(name: string, shift: number): string {
  mkdirSync(at(name), { recursive: true })
  const entries = Array.from({ length: 6 }, (_, n) => {
    const values = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i + n) + shift * (n + 1))
    const own = `model.layers.${n}.mlp.up_proj.weight`
    const bf16 = encodeF32(values, 'BF16')
    return [own, { dtype: n % 2 ? 'F32' : 'BF16', shape: [8, 8], data: n % 2 ? values : bf16 }] as const
  })
  writeSafetensors(join(at(name), 'model.safetensors'), new Map(entries) as never)
  return at(name)
}

interface Work {
  readonly run: (out: string, told: (name: string) => void, kept: (tensors: number) => void) => Steps<object>
  /** The file that is touched for another input. */
  readonly input: string
  readonly staging: string
}

const base = model('base', 0)
const tuned = model('tuned', 0.25)
const opened: Checkpoint[] = [base, tuned].map((path) => openCheckpoint(path))
afterAll(() => {
  for (const one of opened) one.close()
})
const vectorPath = at('v.safetensors')
writeVector(vectorPath, [{ vector: openVector(tuned, opened[0]), weight: 1 }])
const vector = openVector(vectorPath, opened[0])
afterAll(() => vector.close())

const works: Readonly<Record<string, Work>> = {
  convert: {
    run: (out, told, onKept) =>
      converting(opened[1]!, out, {
        dtype: 'f32',
        shardSize: 600,
        onTensor: ({ name }) => told(name),
        onKept,
      }),
    input: join(tuned, 'model.safetensors'),
    staging: '.treeline-convert',
  },
  'vector apply': {
    run: (out, told, onKept) => applying(opened[0]!, vector, out, { scale: 0.5, onTensor: told, onKept }),
    input: vectorPath,
    staging: '.treeline-apply',
  },
}

const filesOf = (folder: string): [string, string][] =>
  readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort()
    .map((name) => [name, readFileSync(join(folder, name), 'latin1')])

describe.each(Object.entries(works))('%s', (name, { run, input, staging }) => {
  const place = (): string => mkdtempSync(join(root, 'out-'))
  /** Take steps until so many tensors are kept, and leave. Returns the tensors that were begun. */
  function leaveAfter(tensors: number, out: string): string[] {
    const begun: string[] = []
    let kept = 0
    const steps = run(
      out,
      (own) => begun.push(own),
      (now) => (kept = now),
    )
    while (kept < tensors) steps.next()
    steps.return(undefined as never)
    return begun
  }
  function end(out: string): string[] {
    const begun: string[] = []
    finish(
      run(
        out,
        (own) => begun.push(own),
        () => undefined,
      ),
    )
    return begun
  }
  const whole = place()
  const order = end(whole)
  const result = filesOf(whole)

  test('writes all six tensors', () => {
    expect(new Set(order).size).toBe(6)
    expect(order).toHaveLength(6)
    expect(result.filter(([file]) => file.endsWith('.safetensors')).length).toBe(name === 'convert' ? 3 : 1)
  })

  test.each([1, 2, 3, 4, 5, 6])('left after %d tensors, goes on with the next', (tensors) => {
    const out = place()
    leaveAfter(tensors, out)
    expect(readdirSync(out)).toEqual([staging])
    expect(end(out)).toEqual(order.slice(tensors))
    expect(filesOf(out)).toEqual(result)
    expect(existsSync(join(out, staging))).toBe(false)
  })

  test('left again and again, writes every tensor once', () => {
    const out = place()
    for (const [i, own] of order.entries()) expect(leaveAfter(i + 1, out)).toEqual([own])
    expect(end(out)).toEqual([])
    expect(filesOf(out)).toEqual(result)
  })

  test('left before the first tensor is finished, leaves nothing', () => {
    const out = join(place(), 'fresh')
    const steps = run(
      out,
      () => undefined,
      () => undefined,
    )
    steps.next()
    expect(existsSync(join(out, staging))).toBe(true)
    steps.return(undefined as never)
    expect(existsSync(out)).toBe(false)
  })

  test('a torn line of the list, or a half tensor, is done again', () => {
    const out = place()
    leaveAfter(2, out)
    appendFileSync(join(out, staging, 'done.txt'), '2')
    expect(end(out)).toEqual(order.slice(2))
    expect(filesOf(out)).toEqual(result)
  })

  test('begins anew when an input has changed', () => {
    const out = place()
    leaveAfter(3, out)
    utimesSync(input, 1e9, 1e9)
    expect(end(out)).toEqual(order)
    expect(filesOf(out)).toEqual(result)
  })

  test('an input that changes meanwhile is no model of two halves', () => {
    const out = place()
    const steps = run(
      out,
      () => undefined,
      (kept) => {
        if (kept === 3) utimesSync(input, 2e9, 2e9)
      },
    )
    expect(() => finish(steps)).toThrow(/changed while it was read; run the same command again/)
    expect(filesOf(out)).toEqual([])
    expect(end(out)).toEqual(order)
    expect(filesOf(out)).toEqual(result)
  })
})

test('another conversion does not go on with what it finds', () => {
  const out = mkdtempSync(join(root, 'out-'))
  let kept = 0
  const steps = works.convert!.run(
    out,
    () => undefined,
    (now) => (kept = now),
  )
  while (kept < 2) steps.next()
  steps.return(undefined as never)
  const other = (force: boolean) => () =>
    finish(converting(opened[1]!, out, { dtype: 'bf16', shardSize: 600, force }))
  expect(other(false)).toThrow(/another convert was interrupted here: finish it with its own command/)
  other(true)()
  const [first] = openCheckpoint(out).tensors.values()
  expect(first!.dtype).toBe('BF16')
})

test('a value that the type cannot hold leaves nothing: the same command would meet it again', () => {
  const values = Float32Array.from({ length: 64 }, (_, i) => i)
  const large = values.map((value) => value * 1e6)
  const path = at('large')
  mkdirSync(path)
  const tensors = { a: values, b: large }
  writeSafetensors(
    join(path, 'model.safetensors'),
    Object.fromEntries(
      Object.entries(tensors).map(([name, data]) => [name, { dtype: 'F32', shape: [64], data }]),
    ) as never,
  )
  const out = at('never')
  const from = openCheckpoint(path)
  expect(() => finish(converting(from, out, { dtype: 'f16' }))).toThrow(/too large for F16/)
  from.close()
  expect(existsSync(out)).toBe(false)
})
