/** The tangent kernel against gradients of wide networks, and regression with it. */
import { expect, test } from 'vitest'
import { cholesky } from '../../src/base/index.ts'
import { makeGrammar, oneHot, sampleDistinct, whiten } from '../../src/grammar/index.ts'
import { agreementKernel, hierarchicalCnn, kernelError, kernelMatrix } from '../../src/nn/index.ts'
import { compile, grad, leaves, random, type Tensor, tensor } from '../../src/tensor/index.ts'

const grammar = makeGrammar({ v: 6, classes: 6, m: 3, s: 2, L: 3 }, random.key(1))

test('the tangent kernel is that of a wide network', async () => {
  const [v, L, width, nets] = [3, 2, 400, 6]
  const network = hierarchicalCnn({
    symbols: v,
    branching: 2,
    depth: L,
    width,
    outputs: 1,
    parametrization: 'ntk',
  })
  type P = ReturnType<typeof network.init>
  const gradient = compile(grad((p: P, x: Tensor) => network.apply(p, x).sum()) as (p: P, x: Tensor) => P)
  const strings = [
    [0, 1, 2, 0],
    [0, 1, 2, 0],
    [0, 1, 1, 1],
    [0, 2, 2, 1],
    [1, 0, 0, 2],
  ]
  const measured = new Float64Array(strings.length)
  try {
    for (let net = 0; net < nets; net++) {
      const parameters = network.init(random.key(100 + net))
      const slopes: Float32Array[][] = []
      for (const string of strings) {
        const x = tensor(whiten(oneHot(string, v), v), { shape: [1, 4, v] })
        slopes.push(
          leaves(await gradient(parameters, x)).map((t) => Float32Array.from(t.data as Float32Array)),
        )
      }
      for (const [i, other] of slopes.entries())
        for (const [k, part] of other.entries())
          for (let j = 0; j < part.length; j++) measured[i]! += (part[j]! * slopes[0]![k]![j]!) / nets
    }
  } finally {
    gradient.dispose()
  }
  const flat = Int32Array.from(strings.flat())
  const exact = kernelMatrix(agreementKernel({ v, s: 2, L }), flat.subarray(0, 4), flat, 4)
  for (let i = 0; i < strings.length; i++)
    expect(measured[i]! / exact[0]!).toBeCloseTo(exact[i]! / exact[0]!, 1)
  expect(measured[0]! / exact[0]!).toBeGreaterThan(0.93)
  expect(measured[0]! / exact[0]!).toBeLessThan(1.07)
  expect(() => agreementKernel({ v, s: 2, L: 5 })).toThrow(/20 leaves, got 2\^5 = 32/)
})

test('kernel regression: the factor is right, training strings are answered, guessing is not', () => {
  const n = 150
  const noise = random.sampleNormal(random.key(12), n * n)
  const matrix = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++)
      for (let k = 0; k < n; k++)
        matrix[i * n + j]! += noise[i * n + k]! * noise[j * n + k]! + (i === j ? 0.1 : 0)
  const factor = matrix.slice()
  cholesky(factor, n)
  for (const [i, j] of [
    [0, 0],
    [149, 3],
    [100, 99],
    [149, 149],
    [70, 64],
  ] as const) {
    let product = 0
    for (let k = 0; k <= j; k++) product += factor[i * n + k]! * factor[j * n + k]!
    expect(product).toBeCloseTo(matrix[i * n + j]!, 8)
  }
  const trees = sampleDistinct(grammar, random.key(13), 300)
  const part = (from: number, to: number) => ({
    leaves: trees.levels[3]!.subarray(from * 8, to * 8),
    classes: trees.levels[0]!.subarray(from, to),
  })
  const table = agreementKernel(grammar)
  const sizes = { d: 8, classes: 6 }
  expect(kernelError(table, part(0, 200), part(0, 200), sizes)).toBe(0)
  const error = kernelError(table, part(0, 200), part(200, 300), sizes)
  expect(error).toBeGreaterThan(0.2)
  expect(error).toBeLessThan(0.8)
})
