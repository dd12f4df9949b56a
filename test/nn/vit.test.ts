/** @file The vision transformer agrees with loops in float64 that know nothing of tensors, and its gradients with differences. */
import { describe, expect, it } from 'vitest'
import { vit } from '../../src/nn/index.ts'
import { entries, random, type Tensor } from '../../src/tensor/index.ts'
import { checkGradients, computed, jittered, normal } from './differences.ts'

const options = { side: 6, patch: 3, channels: 2, features: 6, heads: 2, layers: 2, hidden: 8, outputs: 4 }
const network = vit(options)
const parameters = jittered(network.init(random.key(3)))
const x = normal(5, 2, 2, 6, 6)

type Rows = number[][]
const values = new Map(entries(parameters).map(([name, t]) => [name, t as Tensor]))
const at = (name: string): Float64Array => values.get(name)!.data as Float64Array

/** x Wᵀ + b for weight [outputs, inputs]. */
const dense = (rows: Rows, name: string): Rows => {
  const [outputs, inputs] = values.get(`${name}.weight`)!.shape as [number, number]
  const [w, b] = [at(`${name}.weight`), values.has(`${name}.bias`) ? at(`${name}.bias`) : undefined]
  return rows.map((row) =>
    Array.from({ length: outputs }, (_, o) => {
      let sum = b?.[o] ?? 0
      for (let i = 0; i < inputs; i++) sum += w[o * inputs + i]! * row[i]!
      return sum
    }),
  )
}
const norm = (rows: Rows, name: string): Rows =>
  rows.map((row) => {
    const mean = row.reduce((a, b) => a + b, 0) / row.length
    const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / row.length
    return row.map(
      (v, i) => ((v - mean) / Math.sqrt(variance + 1e-5)) * at(`${name}.weight`)[i]! + at(`${name}.bias`)[i]!,
    )
  })
const plus = (a: Rows, b: Rows): Rows => a.map((row, r) => row.map((v, i) => v + b[r]![i]!))

/** The error function by its series (Abramowitz and Stegun 7.1.5). */
function erf(z: number): number {
  let [term, sum] = [z, z]
  for (let n = 1; n < 80; n++) {
    term *= (-z * z) / n
    sum += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}
const gelu = (z: number): number => 0.5 * z * (1 + erf(z / Math.SQRT2))

function attend(rows: Rows, name: string): Rows {
  const [q, k, v] = ['query', 'key', 'value'].map((part) => dense(rows, `${name}.${part}`)) as [
    Rows,
    Rows,
    Rows,
  ]
  const size = options.features / options.heads
  const joined = rows.map(() => new Array<number>(options.features).fill(0))
  for (let h = 0; h < options.heads; h++)
    for (const r of rows.keys()) {
      const scores = rows.map((_, s) => {
        let dot = 0
        for (let i = h * size; i < (h + 1) * size; i++) dot += q[r]![i]! * k[s]![i]!
        return Math.exp(dot / Math.sqrt(size))
      })
      const total = scores.reduce((a, b) => a + b, 0)
      for (let i = h * size; i < (h + 1) * size; i++)
        joined[r]![i] = scores.reduce((sum, w, s) => sum + (w / total) * v[s]![i]!, 0)
    }
  return dense(joined, `${name}.out`)
}

/** Features of image n: patches row by row, then the layers as the paper has them. */
function byLoops(n: number): number[] {
  const { side, patch, channels, features } = options
  const pixel = (c: number, i: number, j: number): number =>
    x.data[((n * channels + c) * side + i) * side + j] as number
  const patches: Rows = []
  for (let i = 0; i < side; i += patch)
    for (let j = 0; j < side; j += patch) {
      const row: number[] = []
      for (let a = 0; a < patch; a++)
        for (let b = 0; b < patch; b++) for (let c = 0; c < channels; c++) row.push(pixel(c, i + a, j + b))
      patches.push(row)
    }
  const table = at('embedding')
  const embedded = patches.map((row) =>
    Array.from({ length: features }, (_, f) =>
      row.reduce((sum, v, i) => sum + v * table[i * features + f]!, 0),
    ),
  )
  let h: Rows = [new Array<number>(features).fill(0), ...embedded].map((row, t) =>
    row.map((v, f) => v + at('positions')[t * features + f]!),
  )
  for (let l = 0; l < options.layers; l++) {
    h = plus(h, attend(norm(h, `blocks.${l}.norm1`), `blocks.${l}.attention`))
    const inner = dense(norm(h, `blocks.${l}.norm2`), `blocks.${l}.mlp.fc1`).map((row) => row.map(gelu))
    h = plus(h, dense(inner, `blocks.${l}.mlp.fc2`))
  }
  return dense(norm([h[0]!], 'norm'), 'head')[0]!
}

describe('vit', () => {
  it('gives the features of loops in float64', async () => {
    const found = await computed(() => network.apply(parameters, x))
    expect(found.shape).toEqual([2, 4])
    for (const n of [0, 1])
      for (const [i, value] of byLoops(n).entries()) expect(found.data[n * 4 + i]).toBeCloseTo(value, 10)
  })

  it('has the gradients of differences', () =>
    checkGradients(((p: typeof parameters) => network.apply(p, x)) as never, parameters, { probes: 3 }))

  it('refuses images and patches that do not fit', () => {
    expect(() => network.apply(parameters, normal(1, 2, 3, 6, 6))).toThrow(
      'vit: expected images [B, 2, 6, 6]',
    )
    expect(() => vit({ ...options, patch: 4 })).toThrow(
      'vit: expected a patch that divides images of 6 pixels, got 4',
    )
  })
})
