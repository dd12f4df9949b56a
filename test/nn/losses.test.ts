/** @file Losses and metrics: closed forms, extreme logits, gradients, messages. */
import { describe, expect, it } from 'vitest'
import * as nn from '../../src/nn/index.ts'
import { compile, grad, softmax, type Tensor, tensor } from '../../src/tensor/index.ts'
import { checkGradients, computed, integers, normal } from './differences.ts'

const of = async (f: () => Tensor): Promise<number> => (await computed(f)).item()
const f64 = (values: number[]) => tensor(Float64Array.from(values))

describe('cross-entropy', () => {
  const logits = normal(1, 3, 4)
  const labels = tensor(Int32Array.of(0, 3, 1))
  const rows = [0, 1, 2].map((i) => {
    const row = [...(logits.data as Float64Array).subarray(4 * i, 4 * i + 4)]
    const total = Math.log(row.reduce((s, z) => s + Math.exp(z), 0))
    return row.map((z) => total - z)
  })
  const hard = [rows[0]![0]!, rows[1]![3]!, rows[2]![1]!]
  const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length

  it('is the mean negative log-likelihood', async () => {
    expect(await of(() => nn.crossEntropyLoss(logits, labels))).toBeCloseTo(mean(hard), 12)
  })
  it('with smoothing mixes in the mean over classes', async () => {
    const expected = 0.9 * mean(hard) + 0.1 * mean(rows.map(mean))
    expect(await of(() => nn.crossEntropyLoss(logits, labels, { smoothing: 0.1 }))).toBeCloseTo(expected, 12)
  })
  it('with weights is a weighted mean', async () => {
    const expected = (2 * hard[0]! + hard[2]!) / 3
    expect(await of(() => nn.crossEntropyLoss(logits, labels, { weights: f64([2, 0, 1]) }))).toBeCloseTo(
      expected,
      12,
    )
  })
  it('is finite for extreme logits in f32', async () => {
    const steep = tensor([
      [1e4, -1e4],
      [1e4, -1e4],
    ])
    const loss = compile((z: Tensor) => nn.crossEntropyLoss(z, tensor(Int32Array.of(0, 1))))
    expect((await loss(steep)).item()).toBe(1e4)
    loss.dispose()
  })
  it('has the gradient (softmax − target) / N', async () => {
    const gradient = await computed(() => grad((z: Tensor) => nn.crossEntropyLoss(z, labels))(logits))
    const p = await computed(() => softmax(logits))
    for (let i = 0; i < 12; i++) {
      const target = labels.data[Math.floor(i / 4)] === i % 4 ? 1 : 0
      expect(gradient.data[i]).toBeCloseTo((Number(p.data[i]) - target) / 3, 12)
    }
    await checkGradients((v: { z: Tensor }) => nn.crossEntropyLoss(v.z, labels, { smoothing: 0.2 }), {
      z: logits,
    })
  })
})

describe('other losses', () => {
  const z = normal(2, 5)
  const sign = f64([1, -1, 1, 1, -1])
  const values = [...(z.data as Float64Array)]
  const mean = (f: (x: number, i: number) => number) => values.reduce((s, x, i) => s + f(x, i), 0) / 5

  it('mean squared error', async () => {
    expect(await of(() => nn.meanSquaredError(z, sign))).toBeCloseTo(
      mean((x, i) => (x - Number(sign.data[i])) ** 2),
      12,
    )
  })
  it.each([1, 2] as const)('hinge, power %d', async (power) => {
    expect(await of(() => nn.hingeLoss(z, sign, { margin: 0.5, power }))).toBeCloseTo(
      mean((x, i) => Math.max(0, 0.5 - Number(sign.data[i]) * x) ** power),
      12,
    )
    await checkGradients((v: { z: Tensor }) => nn.hingeLoss(v.z, sign, { power }), { z })
  })
  it('binary cross-entropy, also for extreme logits and at zero', async () => {
    const y = f64([0, 1, 0.25, 1, 0])
    const sigma = (x: number) => 1 / (1 + Math.exp(-x))
    const expected = mean((x, i) => {
      const target = Number(y.data[i])
      return -target * Math.log(sigma(x)) - (1 - target) * Math.log(1 - sigma(x))
    })
    expect(await of(() => nn.binaryCrossEntropyLoss(z, y))).toBeCloseTo(expected, 12)
    expect(await of(() => nn.binaryCrossEntropyLoss(f64([800, -800]), f64([0, 1])))).toBe(800)
    const slope = await computed(() => grad((x: Tensor) => nn.binaryCrossEntropyLoss(x, f64([1])))(f64([0])))
    expect(slope.data[0]).toBe(-0.5)
    await checkGradients((v: { z: Tensor }) => nn.binaryCrossEntropyLoss(v.z, y), { z })
  })
  it('accuracy counts the first of the largest', async () => {
    const logits = tensor([
      [1, 2, 2],
      [3, 0, 0],
      [0, 0, 1],
    ])
    const labels = tensor(Int32Array.of(1, 1, 2))
    expect((await computed(() => nn.isCorrect(logits, labels))).toArray()).toEqual([1, 0, 1])
    expect(await of(() => nn.accuracy(logits, labels))).toBeCloseTo(2 / 3, 6)
  })
  it('say what does not fit', () => {
    expect(() => nn.meanSquaredError(z, normal(1, 4))).toThrow(
      /two tensors of one shape, got f64\[5\] and f64\[4\]/,
    )
    expect(() => nn.crossEntropyLoss(normal(1, 2, 3), integers(1, 3, 2), { smoothing: 1 })).toThrow(
      /smoothing in \[0, 1\), got 1/,
    )
    expect(() => nn.weightedMean(z, normal(1, 4))).toThrow(/one for each value/)
  })
})
