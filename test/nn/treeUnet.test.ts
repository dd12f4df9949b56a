/** @file The tree U-Net against loops in float64, its gradients against differences, and its size. */
import { expect, it } from 'vitest'
import * as nn from '../../src/nn/index.ts'
import { gather, random, type Tensor, tensor } from '../../src/tensor/index.ts'
import { checkGradients, computed, jittered, normal } from './differences.ts'

const options = { symbols: 3, branching: 2, depth: 2, width: 4 }
const network = nn.treeUnet(options)
const parameters = jittered(network.init(random.key(1)))

const erf = (x: number): number => {
  // Σ (−1)^n x^(2n+1)/(n! (2n+1)), enough for the small numbers here
  let [sum, term] = [x, x]
  for (let n = 1; n < 60; n++) {
    term *= (-x * x) / n
    sum += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}
const gelu = (x: number): number => (x * (1 + erf(x / Math.SQRT2))) / 2

/** factor · W x of one vector. */
const product = ({ weight }: { weight: Tensor }, x: readonly number[], factor: number): number[] => {
  const [rows, columns] = weight.shape as [number, number]
  return Array.from({ length: rows }, (_, i) => {
    let sum = 0
    for (let j = 0; j < columns; j++) sum += Number(weight.data[i * columns + j]) * x[j]!
    return factor * sum
  })
}
const norm = ({ weight, bias }: nn.NormParameters, x: readonly number[]): number[] => {
  const mean = x.reduce((a, b) => a + b, 0) / x.length
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length
  return x.map(
    (value, i) =>
      ((value - mean) / Math.sqrt(variance + 1e-5)) * Number(weight.data[i]) + Number(bias.data[i]),
  )
}

/** The network on one string, a node at a time. */
function byHand(x: number[][]): number[][] {
  const { width: w, symbols: v } = options
  const first = x.map((row) => product(parameters.embed, row, 1 / Math.sqrt(v)).map(gelu))
  const pairs = (rows: number[][], { conv, norm: own }: (typeof parameters.down)[number]): number[][] =>
    Array.from({ length: rows.length / 2 }, (_, i) =>
      norm(own, product(conv, [...rows[2 * i]!, ...rows[2 * i + 1]!], 1 / Math.sqrt(2 * w))).map(gelu),
    )
  const apart = (rows: number[][], { conv, norm: own }: (typeof parameters.up)[number]): number[][] =>
    rows.flatMap((row) => {
      const both = product(conv, row, 1 / Math.sqrt(row.length))
      return [both.slice(0, w), both.slice(w)].map((half) => norm(own, half).map(gelu))
    })
  const one = pairs(first, parameters.down[0]!)
  const two = pairs(one, parameters.down[1]!)
  const back = apart(two, parameters.up[0]!)
  const leaves = apart(
    back.map((row, i) => [...row, ...one[i]!]),
    parameters.up[1]!,
  )
  return leaves.map((row, i) => product(parameters.readout, [...row, ...first[i]!], 1 / (2 * w)))
}

it('is what it says, node by node', async () => {
  const x = normal(2, 2, 4, 3)
  const found = await computed(() => network.apply(parameters, x))
  expect(found.shape).toEqual([2, 4, 3])
  for (let b = 0; b < 2; b++) {
    const rows = Array.from({ length: 4 }, (_, i) =>
      Array.from((x.data as Float64Array).subarray((b * 4 + i) * 3, (b * 4 + i + 1) * 3)),
    )
    for (const [i, row] of byHand(rows).entries())
      for (const [a, value] of row.entries())
        expect(Number(found.data[(b * 4 + i) * 3 + a])).toBeCloseTo(value, 10)
  }
})

it('has the gradients of central differences', async () => {
  const x = normal(3, 2, 4, 3)
  await checkGradients((p: never) => network.apply(p, x), parameters, { probes: 3 })
})

it('gives its blocks from the leaves up and down again', async () => {
  const shapes = await computed(() => network.activations(parameters, normal(4, 1, 8, 3)))
  expect(shapes.map(({ shape }) => shape)).toEqual([
    [1, 4, 4],
    [1, 2, 4],
    [1, 4, 4],
    [1, 8, 4],
  ])
})

it('has the size of the published one: 69 thousand at v = 16, L = 3, width 64', () => {
  const published = nn.treeUnet({ symbols: 16, branching: 2, depth: 3, width: 64 })
  expect(nn.countParameters(published.init(random.key(0)))).toBe(
    16 * 64 + 3 * 128 * 64 + (64 + 2 * 128) * 128 + 128 * 16 + 6 * 2 * 64,
  )
})

it('another width in, or a string that is no whole tree, is refused', () => {
  const p = network.init(random.key(1))
  const zeros = (...shape: number[]): Tensor =>
    tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), { shape })
  expect(() => network.apply(p, zeros(1, 4, 5))).toThrow('expected input [..., 3]')
  expect(() => network.apply(p, zeros(1, 6, 3))).toThrow('a multiple of the window 2')
  expect(() => nn.treeUnet({ ...options, depth: 0 })).toThrow('expected an integer >= 1, got 0')
})

it('a transformer takes weights of the vocabulary as it takes tokens', async () => {
  const both = nn.transformer({ vocabulary: 5, context: 6, features: 8, heads: 2, layers: 1, causal: false })
  const p = both.init(random.key(2))
  const tokens = tensor(Int32Array.of(0, 3, 4, 1), { shape: [1, 4] })
  const weights = new Float32Array(20)
  for (const [i, token] of [0, 3, 4, 1].entries()) weights[i * 5 + token] = 1
  const [a, b] = await computed(() => [
    both.apply(p, tokens),
    both.apply(p, tensor(weights, { shape: [1, 4, 5] })),
  ])
  expect(Array.from(b!.data as Float32Array)).toEqual(Array.from(a!.data as Float32Array))
})

it.each([
  [{ symbols: 3, branching: 2, depth: 2, width: 4 }, 40],
  // fewer windows in the strings than there can be: none are tabled
  [{ symbols: 3, branching: 2, depth: 2, width: 4 }, 1],
  [{ symbols: 4, branching: 3, depth: 2, width: 16 }, 60],
])('of strings whose symbols are rows of a table it is the same, %j, %i strings', async (sizes, count) => {
  const own = nn.treeUnet(sizes)
  const weights = jittered(own.init(random.key(2)))
  const rows = normal(3, sizes.symbols, sizes.symbols)
  const d = sizes.branching ** sizes.depth
  const symbols = tensor(random.sampleIntegers(random.key(4), count * d, sizes.symbols), {
    shape: [count, d],
  })
  const given = await computed(() => own.apply(weights, gather(rows, symbols)))
  const tabled = await computed(() => own.applyRows(weights, rows, symbols))
  expect(tabled.shape).toEqual([count, d, sizes.symbols])
  expect(tabled.data).toEqual(given.data)
})
