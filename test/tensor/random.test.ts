/** @file Random numbers against published vectors and `jax.random`, host against graph, and their statistics. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { threefry2x32, threefryWords } from '../../src/base/index.ts'
import { compile, random, sizeOf, type Tensor, type Tree, tensor, vmap } from '../../src/tensor/index.ts'
import { numbersDiffer } from './run.ts'

interface Vector {
  readonly fn: string
  readonly key: [number, number]
  readonly args: {
    readonly seed: number
    readonly n: number
    readonly data: number
    readonly min: number
    readonly max: number
    readonly p: number
    readonly logits: number[][]
  }
  readonly shape: number[]
  readonly dtype: string
  readonly values: (number | boolean)[]
}
const fixture = JSON.parse(readFileSync(new URL('../fixtures/threefry.json', import.meta.url), 'utf8')) as {
  knownAnswers: {
    threefry2x32: { key: [number, number]; counter: [number, number]; output: [number, number] }[]
  }
  jax: { partitionable: Vector[]; original: Vector[] }
}
const vectors = fixture.jax.partitionable
const of = (fn: string, dtype?: string): Vector[] => {
  const found = vectors.filter((v) => v.fn === fn && (!dtype || v.dtype === dtype))
  expect(found.length, fn).toBeGreaterThan(0)
  return found
}
const plain = (values: ArrayLike<number | bigint>): number[] =>
  Array.from(values as ArrayLike<number>, Number)

/** Graph versions of many vectors in one program, on both backends. */
async function inGraph(
  list: readonly Vector[],
  f: (key: Tensor, v: Vector) => Tensor,
): Promise<number[][][]> {
  const keys = list.map((v) => tensor(Uint32Array.from(v.key)))
  const results: number[][][] = []
  for (const backend of ['onnx', 'reference'] as const) {
    const program = compile((all: Tree<Tensor>) => list.map((v, i) => f((all as Tensor[])[i]!, v)), {
      backend,
    })
    const outputs = await program(keys)
    for (const [i, t] of outputs.entries()) expect(t.shape).toEqual(list[i]!.shape)
    results.push(outputs.map((t) => plain(t.data)))
    program.dispose()
  }
  return results
}

describe('threefry', () => {
  it('gives the published blocks', () => {
    for (const { key, counter, output } of fixture.knownAnswers.threefry2x32)
      expect(threefry2x32(...key, ...counter)).toEqual(output)
  })

  it('words in a row are those of single blocks, for any key and counter', () => {
    for (const [own, from] of [
      [[0, 0], 0],
      [[0xffffffff, 0x80000001], 7],
      [[0x13198a2e, 0x03707344], 0xfffffffe],
    ] satisfies [random.Key, number][]) {
      const words = new Uint32Array(5)
      threefryWords(own, from, words)
      const blocks = Array.from(words, (_, i) => threefry2x32(own[0], own[1], 0, from + i))
      expect([...words]).toEqual(blocks.map(([a, b]) => (a ^ b) >>> 0))
    }
  })
})

describe('as jax.random', () => {
  it('makes keys, splits and folds', () => {
    for (const { args, key } of of('key')) {
      // JAX wraps negative seeds, we refuse them
      if (args.seed < 0)
        expect(() => random.key(args.seed)).toThrow(
          /^key: expected a seed that is an integer between 0 and 2\^53 − 1, got -1/,
        )
      else expect(random.key(args.seed)).toEqual(key)
    }
    for (const { key, args, values } of of('split')) expect(random.split(key, args.n).flat()).toEqual(values)
    for (const { key, args, values } of of('foldIn')) expect(random.foldIn(key, args.data)).toEqual(values)
  })
  it('splits and folds in graphs', async () => {
    for (const results of await inGraph(of('split'), (k, { args }) => random.splitTensor(k, args.n)))
      expect(results).toEqual(of('split').map((v) => v.values))
    for (const results of await inGraph(of('foldIn'), (k, { args }) => random.foldInTensor(k, args.data)))
      expect(results).toEqual(of('foldIn').map((v) => v.values))
  })
  it('draws bits, bit for bit', async () => {
    const list = of('bits')
    for (const results of await inGraph(list, (k, { shape }) => random.bits(k, shape)))
      expect(results).toEqual(list.map((v) => v.values))
    for (const { key, shape, values } of list)
      expect(plain(random.sampleBits(key, sizeOf(shape)))).toEqual(values)
  })
  it('draws uniform numbers, bit for bit', async () => {
    const list = of('uniform', 'f32')
    const unit = (v: Vector): boolean => v.args.min === 0 && v.args.max === 1
    const [onnx, reference] = await inGraph(list, (k, { shape, args }) =>
      random.uniform(k, shape, { low: args.min, high: args.max }),
    )
    for (const [i, v] of list.entries()) {
      if (unit(v)) {
        expect(onnx![i]).toEqual(v.values)
        expect(reference![i]).toEqual(v.values)
        expect(plain(random.sampleUniform(v.key, sizeOf(v.shape)))).toEqual(v.values)
        continue
      }
      // JAX may have fused the product and the sum: one unit in the last place of the larger bound
      const unitInLastPlace = 2 ** (Math.floor(Math.log2(Math.max(-v.args.min, v.args.max))) - 23)
      for (const [k, want] of v.values.entries())
        for (const got of [onnx![i]![k]!, reference![i]![k]!])
          expect(Math.abs(got - Number(want))).toBeLessThanOrEqual(unitInLastPlace)
    }
  })
  it('draws normal numbers to 1e-6', async () => {
    const list = of('normal', 'f32')
    for (const results of await inGraph(list, (k, { shape }) => random.normal(k, shape)))
      for (const [i, v] of list.entries())
        expect(numbersDiffer(`key ${v.key}`, results[i]!, v.values.map(Number), 1e-6)).toEqual([])
    for (const v of list)
      expect(
        numbersDiffer(
          `host, key ${v.key}`,
          plain(random.sampleNormal(v.key, sizeOf(v.shape))),
          v.values.map(Number),
          1e-6,
        ),
      ).toEqual([])
  })
  it('draws Gumbel, Bernoulli and categorical', async () => {
    for (const results of await inGraph(of('gumbel'), (k, { shape }) => random.gumbel(k, shape)))
      for (const [i, v] of of('gumbel').entries())
        expect(numbersDiffer('', results[i]!, v.values.map(Number), 2e-6)).toEqual([])
    for (const results of await inGraph(of('bernoulli'), (k, { shape, args }) =>
      random.bernoulli(k, args.p, shape),
    ))
      expect(results).toEqual(of('bernoulli').map((v) => v.values.map(Number)))
    for (const results of await inGraph(of('categorical'), (k, { args }) =>
      random.categorical(k, tensor(args.logits)),
    ))
      expect(results).toEqual(of('categorical').map((v) => v.values))
  })
  it('permutes', async () => {
    for (const { key, args, values } of of('permutation')) {
      expect(plain(random.samplePermutation(key, args.n))).toEqual(values)
      expect(random.permutation(key, args.n).toArray()).toEqual(values)
    }
  })
  it('draws integers', () => {
    const small = of('randint').filter(({ args }) => args.max - args.min <= 2 ** 16)
    expect(small.length).toBeGreaterThan(3)
    for (const { key, args, values } of small)
      expect(
        plain(random.sampleIntegers(key, values.length, args.max - args.min)).map((v) => v + args.min),
      ).toEqual(values)
  })
  it('has vectors for these functions and knowingly lacks others', () => {
    const covered = [
      'key',
      'split',
      'foldIn',
      'bits',
      'uniform f32',
      'normal f32',
      'gumbel',
      'bernoulli',
      'categorical',
      'permutation',
      'randint',
    ]
    const all = vectors.map((v) =>
      v.dtype === 'f32' || v.dtype === 'f64' ? `${v.fn} ${v.dtype}`.replace('gumbel f32', 'gumbel') : v.fn,
    )
    // 64-bit words: nothing here needs them; integers beyond 2^16: JAX keeps 32 bits, we keep 64
    expect([...new Set(all)].filter((name) => !covered.includes(name)).sort()).toEqual([
      'bits64',
      'normal f64',
      'uniform f64',
    ])
  })
})

describe('host and graph', () => {
  const n = 2000
  it('agree', async () => {
    const key = random.key(12345)
    for (const backend of ['onnx', 'reference'] as const) {
      const program = compile(
        (k: Tensor) => [random.bits(k, [n]), random.uniform(k, [40, 50]), random.normal(k, [n])],
        { backend },
      )
      const [bits, uniform, normal] = await program(random.keyTensor(key))
      expect(bits!.data).toEqual(random.sampleBits(key, n))
      expect(uniform!.data).toEqual(random.sampleUniform(key, n))
      expect(numbersDiffer('', plain(normal!.data), plain(random.sampleNormal(key, n)), 1e-6)).toEqual([])
      program.dispose()
    }
  })
  it('take a key that is known when the graph is built, or a batch of them', async () => {
    const program = compile((keys: Tensor) => [
      random.uniform(random.key(5), [4]),
      vmap((k: Tensor) => random.uniform(k, [4]))(keys),
      vmap((k: Tensor) => random.permutation(random.key(1), random.uniform(k, [3])))(keys),
    ])
    const keys = random.split(random.key(5), 3)
    const [fixed, many, shuffled] = await program(tensor(Uint32Array.from(keys.flat()), { shape: [3, 2] }))
    expect(plain(fixed!.data)).toEqual(plain(random.sampleUniform(random.key(5), 4)))
    expect(plain(many!.data)).toEqual(keys.flatMap((k) => plain(random.sampleUniform(k, 4))))
    const order = plain(random.samplePermutation(random.key(1), 3))
    expect(plain(shuffled!.data)).toEqual(
      keys.flatMap((k) => order.map((i) => random.sampleUniform(k, 3)[i]!)),
    )
    program.dispose()
  })
  it('say what is wrong', () => {
    expect(() => random.uniform(tensor([1, 2]), [3])).toThrow(
      /^random: expected a key of u32\[2\], got f32\[2\] \(make one with key\(seed\)\) \(at .*random\.test\.ts/,
    )
    expect(() => random.uniform(random.key(1), [3], { low: 2, high: 1 })).toThrow(
      /^uniform: expected finite bounds low < high, got low 2, high 1/,
    )
    expect(() => random.key(0.5)).toThrow(/^key: expected a seed that is an integer/)
    expect(() => random.key(-1)).toThrow(/got -1/)
    expect(() => random.sampleIntegers(random.key(1), 3, 0)).toThrow(
      /^sampleIntegers: expected a bound between 1 and 2\^31, got 0/,
    )
  })
})

// --- statistics: fixed keys, bounds of four standard errors or more ---

const mean = (x: ArrayLike<number>): number => plain(x).reduce((a, b) => a + b, 0) / x.length
const moment = (x: ArrayLike<number>, power: number): number => mean(plain(x).map((v) => v ** power))
/** χ² of counts against equal expectation, as a number of standard deviations above its mean. */
function excess(counts: readonly number[]): number {
  const expected = counts.reduce((a, b) => a + b, 0) / counts.length
  const chi = counts.reduce((sum, c) => sum + (c - expected) ** 2 / expected, 0)
  const freedom = counts.length - 1
  return (chi - freedom) / Math.sqrt(2 * freedom)
}
const tally = (values: Iterable<number>, size: number): number[] => {
  const counts = new Array<number>(size).fill(0)
  for (const v of values) counts[v]!++
  return counts
}

describe('statistics', () => {
  const n = 200_000
  it('of bits: every bit is fair, neighbours are independent', () => {
    const words = random.sampleBits(random.key(1), n)
    for (let bit = 0; bit < 32; bit++) {
      const ones = words.reduce((sum, w) => sum + ((w >>> bit) & 1), 0)
      expect(Math.abs(ones - n / 2)).toBeLessThan(4.5 * Math.sqrt(n / 4))
    }
    expect(
      Math.abs(
        excess(
          tally(
            words.map((w, i) => ((w >>> 28) << 4) | (words[(i + 1) % n]! >>> 28)),
            256,
          ),
        ),
      ),
    ).toBeLessThan(4)
  })
  it('of uniform numbers', () => {
    const u = random.sampleUniform(random.key(2), n)
    expect(Math.min(...u.subarray(0, 1000))).toBeGreaterThanOrEqual(0)
    expect(u.every((v) => v >= 0 && v < 1)).toBe(true)
    expect(Math.abs(mean(u) - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / n))
    expect(
      Math.abs(
        excess(
          tally(
            u.map((v) => Math.floor(v * 100)),
            100,
          ),
        ),
      ),
    ).toBeLessThan(4)
  })
  it('of normal numbers', () => {
    const z = random.sampleNormal(random.key(3), n)
    expect(Math.abs(mean(z))).toBeLessThan(4 / Math.sqrt(n))
    expect(Math.abs(moment(z, 2) - 1)).toBeLessThan(4 * Math.sqrt(2 / n))
    expect(Math.abs(moment(z, 3))).toBeLessThan(4 * Math.sqrt(15 / n))
    expect(Math.abs(moment(z, 4) - 3)).toBeLessThan(4 * Math.sqrt(96 / n))
    const beyondTwo = z.reduce((sum, v) => sum + Number(Math.abs(v) > 2), 0) / n
    expect(Math.abs(beyondTwo - 0.0455003)).toBeLessThan(4 * Math.sqrt(0.0455 / n))
  })
  it('of keys made by split and foldIn: unrelated streams', () => {
    const [a, b] = random.split(random.key(4))
    const streams = [
      random.key(4),
      a,
      b,
      random.foldIn(random.key(4), 0),
      random.foldIn(random.key(4), 7),
    ].map((k) => random.sampleNormal(k, 20_000))
    for (const [i, x] of streams.entries())
      for (const [j, y] of streams.entries()) {
        const correlation = mean(x.map((v, k) => v * y[k]!))
        // split(k)[0] and foldIn(k, 0) are the same key, as in JAX
        const isSame = i === j || (i === 1 && j === 3) || (i === 3 && j === 1)
        expect(Math.abs(correlation - Number(isSame))).toBeLessThan(4 * Math.sqrt((isSame ? 2 : 1) / 20_000))
      }
  })
  it('of integers and permutations', () => {
    for (const bound of [1, 6, 1000]) {
      const draws = random.sampleIntegers(random.key(5), 60_000, bound)
      expect(Math.min(...draws.slice(0, 5000))).toBeGreaterThanOrEqual(0)
      if (bound > 1) expect(Math.abs(excess(tally(draws, bound)))).toBeLessThan(4)
    }
    const large = random.sampleIntegers(random.key(5), 60_000, 2 ** 31)
    expect(large.every((v) => v >= 0)).toBe(true)
    expect(
      Math.abs(
        excess(
          tally(
            large.map((v) => Math.floor(v / 2 ** 25)),
            64,
          ),
        ),
      ),
    ).toBeLessThan(4)
    const places = tally(
      random.split(random.key(6), 12_000).map((k) => {
        const [p, q, r] = random.samplePermutation(k, 4)
        return [...new Uint32Array([p!, q!, r!])].reduce((code, v) => code * 4 + v, 0)
      }),
      64,
    ).filter((c) => c > 0)
    expect(places).toHaveLength(24)
    expect(Math.abs(excess(places))).toBeLessThan(4)
    const order = random.samplePermutation(random.key(8), 10_000)
    expect([...order].sort((x, y) => x - y)).toEqual(Array.from({ length: 10_000 }, (_, i) => i))
  })
  it('of categorical draws: proportional to exp(logits)', async () => {
    const program = compile((k: Tensor) =>
      random.categorical(
        k,
        tensor(
          Float32Array.from({ length: 60_000 }, (_, i) => Math.log(1 + (i % 3))),
          { shape: [20_000, 3] },
        ),
      ),
    )
    const counts = tally(plain((await program(random.keyTensor(random.key(9)))).data), 3)
    for (const [i, c] of counts.entries()) {
      const p = (i + 1) / 6
      expect(Math.abs(c / 20_000 - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / 20_000))
    }
    program.dispose()
  })
})
