/**
 * @file Every method and option against mergekit 0.1.5 itself (make_mergekit.py), from files to files: small random
 * Llama and GPT-2 checkpoints, computed in float32 and in bfloat16 there, with inputs of one type and of two.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  decodeF32,
  encodeF32,
  openCheckpoint,
  readSafetensors,
  writeSafetensors,
} from '../../src/checkpoint/index.ts'
import { executeMerge, mergeMethods, parseMergeConfig } from '../../src/merge/index.ts'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type Shapes = Record<string, number[]>
interface Fixture {
  readonly cases: Record<string, { merge_method: string; [key: string]: Json }>
  /** Names in the order of the flat vectors. */
  readonly tensors: Record<string, Shapes>
  readonly other: Record<string, Shapes>
  readonly unsteady: Record<string, number>
}

const path = new URL('../fixtures/mergekit.safetensors', import.meta.url).pathname
const { metadata } = readSafetensors(path)
const fixture = JSON.parse(metadata['fixture']!) as Fixture
const results = new Map<string, { values: Float32Array; dtype: string }>()
{
  const checkpoint = openCheckpoint(path)
  for (const [name, tensor] of checkpoint.tensors)
    results.set(name, { values: tensor.f32(), dtype: tensor.dtype })
  checkpoint.close()
}

const root = mkdtempSync(join(tmpdir(), 'treeline-mergekit-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const which = ['base', 'a', 'b', 'c']
const kinds = { f32: 'F32', bf16: 'BF16', f16: 'F16' } as const
const place = (model: string, kind: string, one: string): string => join(root, model, kind, one)

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1)
/** A flat vector as tensors. */
function apart(flat: Float32Array, shapes: Shapes): Map<string, Float32Array> {
  let at = 0
  return new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const from = at
      at += sizeOf(shape)
      return [name, flat.subarray(from, at)]
    }),
  )
}

beforeAll(() => {
  for (const [model, shapes] of Object.entries(fixture.tensors))
    for (const one of which) {
      const tensors = apart(results.get(`input/${model}/${one}`)!.values, shapes)
      for (const [kind, dtype] of Object.entries(kinds)) {
        const folder = place(model, kind, one)
        mkdirSync(folder, { recursive: true })
        writeSafetensors(
          join(folder, 'model.safetensors'),
          new Map(
            [...tensors].map(([name, values]) => [
              name,
              { dtype, shape: shapes[name]!, data: encodeF32(values, dtype) },
            ]),
          ),
        )
      }
    }
})

/** A configuration with folders for the names of models. */
function located(config: Json, at: (one: string) => string): Json {
  if (Array.isArray(config)) return config.map((one) => located(one, at))
  if (typeof config !== 'object' || config === null) return config
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [
      key,
      key === 'model' || key === 'base_model' ? at(value as string) : located(value, at),
    ]),
  )
}

let number = 0
/** Our merge of a case, and mergekit's, tensor by tensor. */
async function both(
  key: string,
  settings: Record<string, Json>,
  kindOf: (one: string) => string,
  options: object = {},
) {
  const [model, , id] = key.split('/') as [string, string, string]
  const config = {
    ...(located(fixture.cases[id]!, (one) => place(model, kindOf(one), one)) as object),
    ...settings,
  }
  const out = join(root, `out-${number++}`)
  // what mergekit takes and has no effect (`rescale` of arcee …) is an error to us unless lenient
  await executeMerge(parseMergeConfig(JSON.stringify(config), 'merge.yaml', { lenient: true }), out, {
    threads: 1,
    lenient: true,
    ...options,
  })
  const checkpoint = openCheckpoint(join(out, 'model.safetensors'))
  const shapes = fixture.other[key] ?? fixture.tensors[model]!
  const theirs = apart(results.get(key)!.values, shapes)
  expect([...checkpoint.tensors.keys()].sort(), key).toEqual(Object.keys(shapes).sort())
  const pairs = Object.keys(shapes).map((name) => {
    const tensor = checkpoint.tensors.get(name)!
    expect(tensor.shape, `${key} ${name}`).toEqual(shapes[name])
    return { name, dtype: tensor.dtype, ours: tensor.f32(), theirs: theirs.get(name)! }
  })
  checkpoint.close()
  rmSync(out, { recursive: true, force: true })
  return pairs
}

const keys = [...results.keys()].filter((key) => !key.startsWith('input/'))
const isRandom = (key: string): boolean => key.includes('-random')
const of = (mode: string): string[] => keys.filter((key) => key.split('/')[1] === mode && !isRandom(key))
const largest = (values: Float32Array): number => values.reduce((top, x) => Math.max(top, Math.abs(x)), 0)
const rounded = (values: Float32Array): Float32Array => decodeF32(encodeF32(values, 'BF16'), 'BF16')

/** The largest difference, as a share of the tensor's largest element. */
function apartBy(ours: Float32Array, theirs: Float32Array): number {
  let worst = 0
  for (const [i, x] of theirs.entries()) worst = Math.max(worst, Math.abs(ours[i]! - x))
  return worst === 0 ? 0 : worst / largest(theirs)
}

/**
 * These task vectors nearly cancel, and Model Stock extrapolates to t = -25: both sides round at 25 times the scale, in
 * opposite directions. There each is held against Jang et al.'s eq. 5 in double precision.
 */
const extrapolated = /^gpt2\/f32\/model_stock(-filter)? transformer\.ln_f\.bias$/

function exactStock(name: string): { t: number; values: Float32Array } {
  const input = (one: string): number[] => [
    ...apart(results.get(`input/gpt2/${one}`)!.values, fixture.tensors['gpt2']!).get(name)!,
  ]
  const [base, ...tuned] = ['base', 'a', 'b', 'c'].map(input) as [number[], ...number[][]]
  const deltas = tuned.map((values) => values.map((x, i) => x - base[i]!))
  const dot = (x: number[], y: number[]): number => x.reduce((sum, one, i) => sum + one * y[i]!, 0)
  const cosines = deltas.flatMap((x, i) =>
    deltas.slice(i + 1).map((y) => dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y))),
  )
  const cos = cosines.reduce((sum, one) => sum + one, 0) / cosines.length
  const n = tuned.length
  const t = (n * cos) / (1 + (n - 1) * cos)
  const mean = (i: number): number => tuned.reduce((sum, values) => sum + values[i]!, 0) / n
  return { t, values: Float32Array.from(base, (x, i) => t * mean(i) + (1 - t) * x) }
}

describe('float32, and with out_dtype: bfloat16', () => {
  it.each(of('f32'))('%s', async (key) => {
    const pairs = await both(key, { dtype: 'float32' }, () => 'f32')
    const inHalf = await both(key, { dtype: 'float32', out_dtype: 'bfloat16' }, () => 'f32')
    for (const [t, { name, dtype, ours, theirs }] of pairs.entries()) {
      expect(dtype).toBe('F32')
      if (extrapolated.test(`${key} ${name}`)) {
        const { t, values } = exactStock(name)
        expect(t).toBeLessThan(-25)
        expect(apartBy(ours, values), name).toBeLessThanOrEqual(1e-6)
        expect(apartBy(theirs, values), `${name} of mergekit`).toBeLessThanOrEqual(1e-6)
      } else expect(apartBy(ours, theirs), name).toBeLessThanOrEqual(1e-6)
      // the script has checked that mergekit's own out_dtype: bfloat16 is its f32 result, rounded
      const { dtype: half, ours: own } = inHalf[t]!
      expect(half).toBe('BF16')
      expect(own, name).toEqual(rounded(ours))
      for (const [i, x] of rounded(theirs).entries()) {
        if (own[i] === x) continue
        const middle = (own[i]! + x) / 2
        expect((middle - ours[i]!) * (middle - theirs[i]!), `${name} ${i}: no tie`).toBeLessThanOrEqual(0)
      }
    }
  })
})

/** Share of elements more than 1 % of their tensor's largest apart. */
const farShare = (pairs: Awaited<ReturnType<typeof both>>): number => {
  let [far, total] = [0, 0]
  for (const { ours, theirs } of pairs) {
    const limit = 0.01 * largest(theirs)
    total += theirs.length
    for (const [i, x] of theirs.entries()) if (Math.abs(ours[i]! - x) > limit) far++
  }
  return far / total
}

describe('bfloat16 and float16: ours in float32, rounded once; mergekit in the type itself', () => {
  it.each([...of('bf16'), ...of('f16'), ...of('wide')])('%s', async (key) => {
    const mode = key.split('/')[1]!
    const settings: Record<string, string> =
      mode === 'wide'
        ? { dtype: 'bfloat16', out_dtype: 'float32' }
        : { dtype: mode === 'bf16' ? 'bfloat16' : 'float16' }
    const pairs = await both(key, settings, () => (mode === 'wide' ? 'bf16' : mode))
    // in bf16 some signs, ranks and thresholds fall on the other side, and norms and angles have three digits
    expect(farShare(pairs)).toBeLessThanOrEqual(0.04)
    for (const { dtype } of pairs) expect(dtype).toBe({ bf16: 'BF16', f16: 'F16', wide: 'F32' }[mode])
  })
})

/** Magnitudes that lie on both sides of a rank at which a method cuts, ascending: which of them stay is for a sort to say. */
function splitTies(magnitudes: Float32Array, cuts: readonly number[]): Set<number> {
  const sorted = magnitudes.toSorted()
  return new Set(cuts.filter((cut) => sorted[cut - 1] === sorted[cut]).map((cut) => sorted[cut]!))
}

/** Ranks at which ties and breadcrumbs cut n elements. */
function cutsOf(method: string, density: number, gamma: number, n: number): number[] {
  const left = Math.trunc(density * n)
  if (!method.startsWith('breadcrumbs')) return [n - Math.max(1, left)]
  const smallest = Math.max(0, n - left - Math.trunc(gamma * n))
  return [smallest, smallest + left]
}

/** Elements that may differ because equal magnitudes meet a cut, or all of a tensor whose choice changes every weight. */
function arbitrary(key: string, name: string, mode: 'bf16' | 'f16'): (element: number) => boolean {
  const [model, , id] = key.split('/') as [string, string, string]
  const { merge_method: method, ...config } = fixture.cases[id]!
  const narrow = (x: Float32Array): Float32Array => decodeF32(encodeF32(x, kinds[mode]), kinds[mode])
  const read = (one: string): Float32Array =>
    narrow(apart(results.get(`input/${model}/${one}`)!.values, fixture.tensors[model]!).get(name)!)
  const base = read('base')
  // only the models of the case: another's ties excuse nothing
  const used = which.slice(1).filter((one) => JSON.stringify(config).includes(`"model":"${one}"`))
  const deltas = used.map((one) => narrow(read(one).map((x, i) => x - base[i]!)))
  if (method === 'sce') {
    // two models: the variance is a square of their difference
    const spread = narrow(deltas[0]!.map((x, i) => x - deltas[1]![i]!)).map(Math.abs)
    const varying = spread.filter((x) => x !== 0).length
    const { select_topk: share } = config['parameters'] as { select_topk: number }
    const cut = spread.length - Math.trunc(Math.fround(varying * Math.fround(share)))
    const isSplit = splitTies(spread, [cut]).size > 0
    return () => isSplit
  }
  const text = JSON.stringify(config)
  const numbers = (parameter: string): number[] =>
    [...text.matchAll(new RegExp(`"${parameter}":([0-9.]+)`, 'g'))].map((match) => Number(match[1]))
  // values over depth or by filter are lists: there any magnitude that is not alone may be at a cut
  const isPlain = !/"(density|gamma)":[[{]/.test(text)
  const sets = deltas.map((delta) => {
    const magnitudes = delta.map(Math.abs)
    const gammas = numbers('gamma').length ? numbers('gamma') : [0.01]
    const cuts = isPlain
      ? numbers('density').flatMap((d) => gammas.flatMap((g) => cutsOf(method, d, g, delta.length)))
      : [...delta.keys()].slice(1)
    return { magnitudes, split: splitTies(magnitudes, cuts) }
  })
  return (element) => sets.some(({ magnitudes, split }) => split.has(magnitudes[element]!))
}

// One number for a density: each difference is an equal magnitude at that very cut (3 % of all elements are). Lists over
// depth: only that the magnitude is not alone (60 %). sce: that its tensor has such a tie, which moves every weight (35 %).
describe('--arithmetic dtype, bit for bit but where equal magnitudes may be at a cut, of which torch takes any', () => {
  it.each([...of('bf16'), ...of('f16')])('%s', async (key) => {
    const mode = key.split('/')[1]! as 'bf16' | 'f16'
    const settings = { dtype: mode === 'bf16' ? 'bfloat16' : 'float16' }
    for (const { name, dtype, ours, theirs: written } of await both(key, settings, () => mode, {
      arithmetic: 'dtype',
    })) {
      expect(dtype).toBe(kinds[mode])
      // arcee_fusion and ramplus_tl write float32 there, whatever is asked for
      const theirs = decodeF32(encodeF32(written, kinds[mode]), kinds[mode])
      const different = [...theirs.keys()].filter((i) => theirs[i] !== ours[i])
      if (different.length === 0) continue
      expect(key, name).toMatch(/\/(lines-)?(ties|breadcrumbs|sce)/)
      const mayDiffer = arbitrary(key, name, mode)
      for (const i of different) expect(mayDiffer(i), `${name} ${i}: no tie`).toBe(true)
    }
  })
})

describe('one input bfloat16, another float32, no dtype', () => {
  it.each(of('mixed'))('%s', async (key) => {
    const pairs = await both(key, {}, (one) => (one === 'base' || one === 'b' ? 'bf16' : 'f32'))
    if (key.endsWith('/arcee_fusion')) {
      // two bfloat16 models: mergekit computes in that type, but its mask is float32, and so is what it writes
      for (const { dtype } of pairs) expect(dtype).toBe('BF16')
      expect(farShare(pairs)).toBeLessThanOrEqual(0.04)
      return
    }
    const model = key.split('/')[0]!
    for (const { name, dtype, ours, theirs } of pairs) {
      expect(dtype, name).toBe(results.get(key)!.dtype)
      if (apartBy(ours, theirs) <= 1e-6) continue
      // differences of bfloat16 numbers have few bits: of equal ones at a cut, torch's sort takes any
      expect(key).toMatch(/breadcrumbs|ties/)
      const [from, to] = ['base', 'b'].map((one) =>
        rounded(apart(results.get(`input/${model}/${one}`)!.values, fixture.tensors[model]!).get(name)!),
      )
      const others = [...theirs.keys()].filter(
        (i) => Math.abs(ours[i]! - theirs[i]!) > 1e-6 * largest(theirs),
      )
      expect(new Set(others.map((i) => Math.abs(to![i]! - from![i]!))).size, name).toBe(1)
    }
  })
})

describe("LiNeS equals mergekit's depth gradient of lambda, on two layers, on one, with a tied head", () => {
  it.each(of('f32').filter((key) => key.includes('/lines-')))('%s', async (key) => {
    const { lambda, ...parameters } = fixture.cases[key.split('/')[2]!]!['parameters'] as Record<string, Json>
    const [alpha, end] = lambda as [number, number]
    const lines = { alpha, beta: end - alpha }
    const pairs = await both(key, { dtype: 'float32', parameters, lines }, () => 'f32')
    for (const { name, ours, theirs } of pairs) expect(apartBy(ours, theirs), name).toBeLessThanOrEqual(1e-6)
  })
})

describe('random methods', () => {
  it.each(keys.filter((key) => isRandom(key) && key.includes('/f32/')))('%s', async (key) => {
    const [model, , id] = key.split('/') as [string, string, string]
    const { merge_method: method } = fixture.cases[id]!
    const shapes = fixture.tensors[model]!
    const [base, tuned] = ['base', 'a'].map((one) =>
      apart(results.get(`input/${model}/${one}`)!.values, shapes),
    )
    const l1 = (values: Float32Array): number => values.reduce((sum, x) => sum + Math.abs(x), 0)
    // what each drew is its own; that a kept element is its δ times one factor, for the norm, is the same
    const check = (name: string, merged: Float32Array): number => {
      const from = base!.get(name)!
      const delta = tuned!.get(name)!.map((x, i) => x - from[i]!)
      const kept = delta.map((x, i) => (merged[i] === from[i] ? 0 : x))
      const factor = id.endsWith('unscaled') || l1(kept) === 0 ? 1 : l1(delta) / l1(kept)
      for (const [i, x] of kept.entries())
        expect(Math.abs(from[i]! + x * factor - merged[i]!), `${name} ${i}`).toBeLessThan(2e-6)
      return kept.filter((x) => x !== 0).length
    }
    let [ourKept, theirKept, all] = [0, 0, 0]
    for (const { name, ours, theirs } of await both(key, { dtype: 'float32' }, () => 'f32')) {
      ourKept += check(name, ours)
      theirKept += check(name, theirs)
      all += tuned!.get(name)!.filter((x, i) => x !== base!.get(name)![i]).length
    }
    const config = fixture.cases[id]!['models'] as { parameters: { density: number } }[]
    const { density } = config[0]!.parameters
    // four standard deviations of a binomial
    const limit = 4 * Math.sqrt(density * (1 - density) * all)
    // della keeps by rank, zeros have the lowest: what changed is kept more often than density says
    const expected = method.startsWith('della') ? theirKept : density * all
    expect(Math.abs(ourKept - expected)).toBeLessThan(method.startsWith('della') ? Math.SQRT2 * limit : limit)
    expect(Math.abs(theirKept - density * all)).toBeLessThan(
      limit + (method.startsWith('della') ? 0.1 * all : 0),
    )
  })
})

it('the fixture: every method and parameter of mergekit, and nothing in it changes from run to run but the random', () => {
  const text = JSON.stringify(fixture.cases)
  const ours = [
    'uniform_soup',
    'rewarded_soup',
    'wise_ft',
    'consensus',
    'tall_mask',
    'ties_global',
    'isotropic',
  ]
  for (const [name, { parameters }] of Object.entries(mergeMethods)) {
    if (ours.includes(name)) continue
    const own = Object.values(fixture.cases).filter(({ merge_method: method }) => method === name)
    expect(own.length, name).toBeGreaterThan(0)
    for (const { name: parameter, computed } of [...parameters.global, ...parameters.perModel])
      if (!computed) expect(text, `${name} ${parameter}`).toContain(`"${parameter}"`)
  }
  expect(Object.keys(fixture.unsteady).filter((key) => !isRandom(key))).toEqual([])
})
