/** Task vectors as files: identities, rounding as it is promised, and what does not belong together. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { encodeF32, openCheckpoint, readSafetensors, writeSafetensors } from '../../src/checkpoint/index.ts'
import {
  applyVector,
  openVector,
  type TaskVector,
  vectorCosines,
  vectorNorms,
  writeVector,
} from '../../src/merge/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-vectors-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let number = 0
const fresh = (): string => join(root, `${number++}.safetensors`)

type Values = Readonly<Record<string, readonly number[]>>
/** A file of f32 (or other) vectors. */
function write(values: Values, dtype: 'F32' | 'BF16' | 'F16' = 'F32'): string {
  const path = fresh()
  writeSafetensors(
    path,
    Object.entries(values).map(([name, list]) => [
      name,
      { dtype, shape: [list.length], data: encodeF32(Float32Array.from(list), dtype) },
    ]),
  )
  return path
}
const read = (path: string): Record<string, number[]> => {
  const file = openCheckpoint(path)
  const values = Object.fromEntries([...file.tensors].map(([name, tensor]) => [name, [...tensor.f32()]]))
  file.close()
  return values
}
function extract(base: string, tuned: string, dtype: 'f32' | 'bf16' | 'f16' = 'f32'): string {
  const [from, out] = [openCheckpoint(base), fresh()]
  const vector = openVector(tuned, from)
  writeVector(out, [{ vector, weight: 1 }], { dtype })
  vector.close()
  from.close()
  return out
}
function combine(paths: readonly string[], weights: readonly number[], options = {}): string {
  const vectors = paths.map((path) => openVector(path))
  const out = fresh()
  try {
    writeVector(
      out,
      vectors.map((vector, i) => ({ vector, weight: weights[i]! })),
      options,
    )
  } finally {
    for (const { close } of vectors) close()
  }
  return out
}
function apply(base: string, path: string, options = {}): string {
  const [from, vector, out] = [openCheckpoint(base), openVector(path), fresh()]
  try {
    applyVector(from, vector, out, options)
  } finally {
    from.close()
    vector.close()
  }
  return out
}
const withVectors = <Result>(paths: readonly string[], of: (vectors: TaskVector[]) => Result): Result => {
  const vectors = paths.map((path) => openVector(path))
  try {
    return of(vectors)
  } finally {
    for (const { close } of vectors) close()
  }
}

const finite = fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 })
const lists = fc.array(fc.tuple(finite, finite), { minLength: 20, maxLength: 200 })

describe('identities', () => {
  it('extract, then apply: within one rounding of the vector and one of the sum, and exact where the difference is', () => {
    fc.assert(
      fc.property(lists, (pairs) => {
        const [base, tuned] = [pairs.map(([a]) => a), pairs.map(([, b]) => b)]
        const [from, to] = [write({ w: base }), write({ w: tuned })]
        const again = read(apply(from, extract(from, to)))['w']!
        for (const [i, value] of tuned.entries()) {
          const change = Math.fround(value - base[i]!)
          const u = 2 ** -24
          const least = 2 ** -149
          expect(Math.abs(again[i]! - value)).toBeLessThanOrEqual(
            u * Math.abs(change) + u * Math.abs(again[i]!) + least,
          )
          if (change === value - base[i]! && base[i]! + change === value) expect(again[i]! - value).toBe(0)
        }
      }),
      { numRuns: 6 },
    )
  })

  it('fine-tuned weights come back bit for bit: values within a factor of two (Sterbenz), and bf16 models', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.float({ min: 0.5, max: 4, noNaN: true }), fc.float({ min: 0.5, max: 2, noNaN: true })),
          { minLength: 20, maxLength: 200 },
        ),
        (pairs) => {
          const base = pairs.map(([a]) => a)
          const tuned = pairs.map(([a, ratio]) => Math.fround(Math.min(2 * a, Math.max(a / 2, a * ratio))))
          const [from, to] = [write({ w: base }), write({ w: tuned })]
          expect(read(apply(from, extract(from, to)))).toEqual(read(to))
          const [half, other] = [write({ w: base }, 'BF16'), write({ w: tuned }, 'BF16')]
          expect(readFileSync(apply(half, extract(half, other))).subarray(-2 * base.length)).toEqual(
            readFileSync(other).subarray(-2 * base.length),
          )
        },
      ),
      { numRuns: 6 },
    )
  })

  it('−(−τ) = τ; sums do not depend on order; scale 0 is the base, bit for bit', () => {
    fc.assert(
      fc.property(lists, (pairs) => {
        const base = write({ w: pairs.map(() => -0), v: [1] })
        const vectors = [0, 1].map((side) =>
          extract(base, write({ w: pairs.map((pair) => pair[side]!), v: [2] })),
        )
        const twice = combine([combine([vectors[0]!], [-1])], [-1])
        expect(read(twice)['w']!.map((x) => x + 0)).toEqual(read(vectors[0]!)['w']!.map((x) => x + 0))
        expect(read(combine(vectors, [1, 1]))).toEqual(read(combine(vectors.toReversed(), [1, 1])))
        const unchanged = readSafetensors(apply(base, vectors[0]!, { scale: 0 })).tensors.get('w')!
          .data as Float32Array
        expect([...unchanged].every((x) => Object.is(x, -0))).toBe(true)
      }),
      { numRuns: 4 },
    )
  })

  it('apply with a scale is θ₀ + s τ rounded once; adding to zero keeps −0', () => {
    const base = write({ w: [1, -0, 3], v: [5] })
    const vector = extract(base, write({ w: [2, -0, 4.5], v: [5] }))
    expect(read(apply(base, vector, { scale: 0.4 }))).toEqual({
      w: [1.4, -0, 3 + 0.4 * 1.5].map(Math.fround),
      v: [5],
    })
  })
})

describe('measures', () => {
  it('norms by layer and cosines, against their definitions', () => {
    const base = write({ 'm.layers.0.w': [0, 0], 'm.layers.1.w': [0], embed: [0] })
    const a = extract(base, write({ 'm.layers.0.w': [3, -4], 'm.layers.1.w': [12], embed: [0] }))
    const b = extract(base, write({ 'm.layers.0.w': [4, 3], 'm.layers.1.w': [0], embed: [1] }))
    const zero = extract(base, base)
    withVectors([a, b, zero], (vectors) => {
      const norms = vectorNorms(vectors[0]!)
      expect([norms.l1, norms.l2]).toEqual([19, 13])
      expect(norms.layers).toContainEqual({ stack: 'm.layers', layer: 0, l1: 7, l2: 5 })
      expect(norms.layers).toContainEqual({ stack: '', layer: null, l1: 0, l2: 0 })
      expect(vectorCosines(vectors)).toEqual([
        [1, 0, null],
        [0, 1, null],
        [null, null, null],
      ])
    })
    const c = combine([a, b], [1, 1])
    withVectors([a, c], (vectors) =>
      expect(vectorCosines(vectors)[0]![1]).toBeCloseTo(169 / (13 * Math.sqrt(169 + 26)), 12),
    )
  })
})

describe('LoRA adapters', () => {
  const adapter = join(root, 'adapter')
  mkdirSync(adapter)
  writeFileSync(
    join(adapter, 'adapter_config.json'),
    JSON.stringify({ peft_type: 'LORA', r: 1, lora_alpha: 2 }),
  )
  const factor = (shape: number[], values: number[]) =>
    ({ dtype: 'F32', shape, data: Float32Array.from(values) }) as const
  writeSafetensors(join(adapter, 'adapter_model.safetensors'), {
    'base_model.model.layers.0.q.lora_A.weight': factor([1, 3], [1, 2, 3]),
    'base_model.model.layers.0.q.lora_B.weight': factor([2, 1], [1, -1]),
  })
  it('are vectors: applied, extracted, measured', () => {
    const base = fresh()
    writeSafetensors(base, {
      'layers.0.q.weight': factor([2, 3], [10, 10, 10, 10, 10, 10]),
      norm: factor([1], [1]),
    })
    // 2/1 · B·A
    const wanted = [2, 4, 6, -2, -4, -6]
    expect(read(apply(base, adapter, { scale: 0.5 }))['layers.0.q.weight']).toEqual(
      wanted.map((x) => 10 + x / 2),
    )
    expect(read(extract(base, adapter))).toEqual({ 'layers.0.q.weight': wanted })
    withVectors([adapter], ([vector]) => {
      expect(vectorNorms(vector!).l1).toBe(24)
      expect([...vector!.tensors.get('layers.0.q.weight')!.f32(1, 4)]).toEqual(wanted.slice(1, 5))
    })
  })
})

describe('what does not belong together', () => {
  const base = write({ w: [1, 2, 3] })
  const vector = extract(base, write({ w: [2, 2, 2] }))
  it('another base, by its values; --any-base; the same values in another type are the same base', () => {
    const other = write({ w: [1, 2, 3.5] })
    expect(() => apply(other, vector)).toThrow(
      /starts from another model \(.*\): w differs|starts from another model .* than .*: w differs/,
    )
    expect(read(apply(other, vector, { anyBase: true }))['w']).toEqual([2, 2, 2.5])
    expect(read(apply(write({ w: [1, 2, 3] }, 'BF16'), vector))['w']).toEqual([2, 2, 2])
    const foreign = extract(other, write({ w: [0, 0, 0] }))
    expect(() => combine([vector, foreign], [1, 1])).toThrow(/start from different models/)
    expect(read(combine([vector, foreign], [1, 1], { anyBase: true }))['w']).toEqual([0, -2, -4.5])
  })

  it('other shapes, missing tensors, NaN, overflow, no vector', () => {
    expect(() => apply(write({ w: [1, 2] }), vector)).toThrow(/w: .* has shape \[2\], .* has \[3\]/)
    expect(() => apply(write({ v: [1] }), vector)).toThrow(/it changes w, which .* does not have/)
    expect(() => extract(base, write({ v: [1] }))).toThrow(/lacks 1 tensors of .*, w first/)
    expect(() => extract(base, write({ w: [1, Number.NaN, 3] }))).toThrow(/w, element 1 is NaN/)
    expect(() => extract(base, write({ w: [1, 1e6, 3] }), 'f16')).toThrow(
      /w: element 1 is 999998, beyond f16/,
    )
    expect(() => apply(base, vector, { scale: 1e300 })).toThrow(
      /element 0 is Infinity|element 0 is -Infinity/,
    )
    expect(() => openVector(base)).toThrow(/no task vector.*--base/)
  })

  it('a failure leaves no file; the recipe is in the file', () => {
    const out = fresh()
    const from = openCheckpoint(base)
    const broken = openVector(write({ w: [1, 2, Number.POSITIVE_INFINITY] }), from)
    expect(() => writeVector(out, [{ vector: broken, weight: 1 }])).toThrow(/element 2 is Infinity/)
    expect(() => readFileSync(out)).toThrow(/ENOENT/)
    broken.close()
    from.close()
    withVectors([combine([vector], [-0.5])], ([half]) => {
      expect(half!.recipe).toMatch(/^-0\.5 · \(.*safetensors − .*safetensors\)$/s)
      expect(half!.base).toBe(base)
    })
  })
})

describe('adapters on embeddings and heads', () => {
  type Tensors = Readonly<Record<string, readonly [shape: readonly number[], values: readonly number[]]>>
  function folder(files: Readonly<Record<string, Tensors | Record<string, unknown>>>): string {
    const path = join(root, `folder${number++}`)
    mkdirSync(path)
    for (const [name, content] of Object.entries(files))
      if (name.endsWith('.json')) writeFileSync(join(path, name), JSON.stringify(content))
      else
        writeSafetensors(
          join(path, name),
          Object.entries(content as Tensors).map(([own, [shape, values]]) => [
            own,
            { dtype: 'F32', shape, data: Float32Array.from(values) },
          ]),
        )
    return path
  }
  const zeros: [number[], number[]] = [
    [3, 2],
    [0, 0, 0, 0, 0, 0],
  ]
  const lora = { peft_type: 'LORA', r: 1, lora_alpha: 2 }
  const applied = (base: string, adapter: string): string => {
    const [from, out] = [openCheckpoint(base), join(root, `out${number++}`)]
    const vector = openVector(adapter, from)
    applyVector(from, vector, out)
    vector.close()
    from.close()
    return out
  }
  const table = [2, 20, 4, 40, 6, 60]

  it('the weight that is saved beside the factors is no replacement', () => {
    const base = folder({
      'model.safetensors': { 'model.embed_tokens.weight': zeros, 'lm_head.weight': zeros },
    })
    const adapter = folder({
      'adapter_config.json': lora,
      'adapter_model.safetensors': {
        'base_model.model.model.embed_tokens.base_layer.weight': zeros,
        'base_model.model.model.embed_tokens.lora_embedding_A': [
          [1, 3],
          [1, 2, 3],
        ],
        'base_model.model.model.embed_tokens.lora_embedding_B': [
          [2, 1],
          [1, 10],
        ],
        'base_model.model.lm_head.base_layer.weight': zeros,
        'base_model.model.lm_head.lora_A.weight': [
          [1, 2],
          [1, 10],
        ],
        'base_model.model.lm_head.lora_B.weight': [
          [3, 1],
          [1, 2, 3],
        ],
      },
    })
    const wanted = { 'model.embed_tokens.weight': table, 'lm_head.weight': table }
    expect(read(applied(base, adapter))).toEqual(wanted)
    withVectors([adapter], ([vector]) => expect(vectorNorms(vector!).l1).toBe(2 * 132))
  })

  it('a saved weight that is not the base’s takes its place, as in peft', () => {
    const base = folder({ 'model.safetensors': { 'lm_head.weight': zeros } })
    const adapter = folder({
      'adapter_config.json': lora,
      'adapter_model.safetensors': {
        'base_model.model.lm_head.base_layer.weight': [
          [3, 2],
          [1, 1, 1, 1, 1, 1],
        ],
        'base_model.model.lm_head.lora_A.weight': [
          [1, 2],
          [1, 10],
        ],
        'base_model.model.lm_head.lora_B.weight': [
          [3, 1],
          [1, 2, 3],
        ],
      },
    })
    expect(read(applied(base, adapter))['lm_head.weight']).toEqual(table.map((x) => x + 1))
  })

  it('a tied base gets a head of its own, through a vector file, too', () => {
    const config = { model_type: 'llama', tie_word_embeddings: true }
    const base = folder({
      'model.safetensors': { 'model.embed_tokens.weight': zeros },
      'config.json': config,
    })
    const adapter = folder({
      'adapter_config.json': lora,
      'adapter_model.safetensors': {
        'base_model.model.lm_head.weight': [
          [3, 2],
          [1, 1, 1, 1, 1, 1],
        ],
      },
    })
    for (const vector of [adapter, extract(base, adapter)]) {
      const out = applied(base, vector)
      expect(read(out)).toEqual({
        'model.embed_tokens.weight': zeros[1],
        'lm_head.weight': [1, 1, 1, 1, 1, 1],
      })
      expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))).toEqual({
        ...config,
        tie_word_embeddings: false,
      })
    }
    // without the base it is said what is missing
    expect(() => openVector(adapter)).toThrow(
      /lm_head.weight is known only from the base model: name that with --base/,
    )
  })

  it('models with and without a head of their own have a difference', () => {
    const tied = folder({
      'model.safetensors': {
        'model.embed_tokens.weight': [
          [2, 1],
          [1, 2],
        ],
      },
    })
    const untied = folder({
      'model.safetensors': {
        'model.embed_tokens.weight': [
          [2, 1],
          [1, 3],
        ],
        'lm_head.weight': [
          [2, 1],
          [5, 7],
        ],
      },
    })
    expect(read(extract(tied, untied))).toEqual({
      'model.embed_tokens.weight': [0, 1],
      'lm_head.weight': [4, 5],
    })
    expect(read(applied(tied, extract(tied, untied)))).toEqual(read(untied))
    expect(read(extract(untied, tied))).toEqual({
      'model.embed_tokens.weight': [0, -1],
      'lm_head.weight': [-4, -5],
    })
  })
})

describe('names with and without the model’s prefix', () => {
  const names = ['wte.weight', 'h.0.attn.c_attn.weight', 'h.1.attn.c_attn.weight', 'ln_f.weight']
  const model = (prefix: string, value: number, more: Values = {}): string =>
    write({ ...Object.fromEntries(names.map((name, i) => [prefix + name, [value + i, 1]])), ...more })
  const hub = model('', 1, { 'h.0.attn.bias': [1, 1, 1] })
  const tuned = model('transformer.', 2)

  it('are one model to extract and apply; tables that programs compute are no weights', () => {
    const vector = extract(hub, tuned)
    expect(read(vector)).toEqual(Object.fromEntries(names.map((name) => [name, [1, 0]])))
    expect(read(apply(hub, vector))).toEqual({
      ...Object.fromEntries(names.map((name, i) => [name, [2 + i, 1]])),
      'h.0.attn.bias': [1, 1, 1],
    })
    // and the vector of one naming applies to the other
    expect(Object.keys(read(apply(model('transformer.', 1), vector)))).toEqual(
      names.map((name) => `transformer.${name}`).sort(),
    )
    expect(read(extract(tuned, hub))['transformer.wte.weight']).toEqual([-1, 0])
  })
})
