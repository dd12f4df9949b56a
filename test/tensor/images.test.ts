/**
 * @file Convolutions large enough for the runtime's blocked kernels, alone and beside each other: values and gradients of
 * compiled programs against the reference, over the geometries that choose between kernels.
 */
import { describe, expect, it } from 'vitest'
import {
  add,
  averagePool2d,
  type ConvOptions,
  compile,
  concatenate,
  conv2d,
  convTranspose2d,
  gelu,
  maxPool2d,
  mean,
  mul,
  relu,
  reshape,
  sliceAxis,
  square,
  sub,
  sum,
  type Tensor,
  tanh,
  tensor,
  trace,
  variance,
  vjp,
  vmap,
  zeros,
} from '../../src/tensor/index.ts'
import { noKernels } from '../../src/tensor/onnx/kernels.ts'
import { lower } from '../../src/tensor/onnx/lower.ts'
import { simplify } from '../../src/tensor/simplify.ts'
import { type Draw, drawFrom, numbers, toTensor, type Value } from './draw.ts'
import { type Job, numbersDiffer, onRuntime, referenceOf } from './run.ts'

const draw = drawFrom(2024)
const image = (shape: number[], from: Draw = draw): Value => ({
  shape,
  dtype: 'f32',
  values: numbers(from, shape, 'f32', -1, 1),
})

/** The result and both gradients of a function of an image and a kernel, for a random cotangent. */
function threeOf(label: string, f: (x: Tensor, w: Tensor) => Tensor, x: Value, w: Value, g: Value): Job {
  return {
    label,
    inputs: [x, w, g],
    fn: (a, b, c) => {
      const { value, pullback } = vjp(f, a!, b!)
      return [value, ...pullback(c!)]
    },
  }
}

async function check(jobs: readonly Job[], tolerance: number): Promise<void> {
  const got = await onRuntime(jobs)
  const problems = jobs.flatMap((job, i) =>
    referenceOf(job).flatMap((want, k) =>
      numbersDiffer(`${job.label}: result ${k}`, got[i]![k]!.values, want.values, tolerance, 1e-3),
    ),
  )
  expect(problems).toEqual([])
}

interface Geometry extends ConvOptions {
  readonly n?: number
  readonly size: [number, number]
  readonly channels: [number, number]
  readonly kernel: [number, number]
}

const geometries: Geometry[] = [
  { size: [12, 12], channels: [16, 16], kernel: [3, 3], padding: 1 },
  { size: [11, 13], channels: [16, 32], kernel: [3, 3] },
  { size: [12, 12], channels: [3, 32], kernel: [3, 3], padding: 1 },
  { size: [14, 14], channels: [1, 32], kernel: [5, 5] },
  { size: [12, 12], channels: [24, 40], kernel: [3, 3], padding: 1 },
  { size: [12, 12], channels: [20, 12], kernel: [3, 3], padding: 1 },
  { size: [12, 12], channels: [32, 8], kernel: [3, 3], padding: 1 },
  { size: [12, 12], channels: [32, 1], kernel: [3, 3], padding: 1, n: 4 },
  { size: [12, 12], channels: [32, 3], kernel: [3, 3], padding: 1 },
  { size: [17, 16], channels: [16, 32], kernel: [3, 3], padding: 1, stride: 2 },
  { size: [17, 15], channels: [16, 32], kernel: [3, 3], stride: [2, 3], n: 4 },
  { size: [16, 16], channels: [16, 32], kernel: [2, 2], stride: 2 },
  { size: [16, 16], channels: [16, 32], kernel: [4, 4], stride: 2, padding: 1 },
  { size: [14, 14], channels: [16, 16], kernel: [3, 3], dilation: 2, padding: 2 },
  { size: [15, 14], channels: [16, 16], kernel: [3, 3], dilation: [1, 2], padding: [[0, 1], [3, 0]] }, // biome-ignore format: one line
  { size: [16, 16], channels: [32, 48], kernel: [1, 1] },
  { size: [16, 16], channels: [32, 48], kernel: [1, 1], stride: 2, n: 4 },
  { size: [16, 16], channels: [32, 48], kernel: [1, 1], padding: 1 },
  { size: [20, 20], channels: [48, 48], kernel: [3, 3], groups: 48, padding: 1, n: 4 },
  { size: [21, 20], channels: [48, 48], kernel: [3, 3], groups: 48, padding: 1, stride: 2, n: 8 },
  { size: [21, 20], channels: [40, 40], kernel: [3, 3], groups: 40, padding: 1, n: 8 },
  { size: [14, 14], channels: [32, 32], kernel: [3, 3], groups: 2, padding: 1 },
  { size: [12, 12], channels: [16, 16], kernel: [5, 3], padding: [2, 1] },
  { size: [3, 40], channels: [16, 32], kernel: [3, 7], padding: [0, 3] },
  { size: [9, 9], channels: [16, 16], kernel: [9, 9], padding: 4 },
]

const outputOf = (x: Tensor, w: Tensor, f: (x: Tensor, w: Tensor) => Tensor): number[] => [...f(x, w).shape]

describe('convolutions', () => {
  const jobs = geometries.map(({ n = 2, size, channels, kernel, ...options }) => {
    const [x, w] = [
      image([n, channels[0], ...size]),
      image([channels[1], channels[0] / (options.groups ?? 1), ...kernel]),
    ]
    const f = (a: Tensor, b: Tensor): Tensor => conv2d(a, b, options)
    const g = image(outputOf(zeros(x.shape), zeros(w.shape), f))
    return threeOf(`conv2d ${x.shape} * ${w.shape} ${JSON.stringify(options)}`, f, x, w, g)
  })
  it('are large enough for blocked kernels, most of them; files have none', () => {
    const blocked = (job: Job, target: 'cpu' | 'portable'): boolean => {
      const { graph } = trace((...xs: Tensor[]) => [...job.fn(...xs)], job.inputs)
      const { nodes } = lower(simplify(graph, target), target, {
        ...noKernels,
        channels: target === 'cpu' ? 16 : 0,
      })
      return nodes.some((node) => node.domain === 'com.microsoft.nchwc')
    }
    expect(jobs.filter((job) => blocked(job, 'cpu')).length).toBeGreaterThan(jobs.length / 2)
    expect(jobs.filter((job) => blocked(job, 'portable'))).toEqual([])
  })
  it.each(jobs.map((job) => [job.label, job] as const))('%s', async (_, job) => {
    await check([job], 1e-4)
  })
  it('give the same bits with a kernel that is a constant, which is laid out before', async () => {
    for (const { n = 2, size, channels, kernel, ...options } of geometries) {
      const [x, w] = [
        toTensor(image([n, channels[0], ...size])),
        toTensor(image([channels[1], channels[0] / (options.groups ?? 1), ...kernel])),
      ]
      const [given, constant] = [
        compile((a: Tensor, b: Tensor) => conv2d(a, b, options)),
        compile((a: Tensor) => conv2d(a, w, options)),
      ]
      expect((await constant(x)).data, `${x.shape} * ${w.shape}`).toEqual((await given(x, w)).data)
      given.dispose()
      constant.dispose()
    }
  })
})

describe('transposed convolutions', () => {
  const jobs = geometries
    .filter(({ groups = 1 }) => groups === 1)
    .filter((_, i) => i % 2 === 0)
    .map(({ n = 2, size, channels, kernel, ...options }) => {
      const small = size.map((s) => Math.max(4, Math.floor(s / 2)))
      const [x, w] = [image([n, channels[0], ...small]), image([channels[0], channels[1], ...kernel])]
      const f = (a: Tensor, b: Tensor): Tensor => convTranspose2d(a, b, options)
      const g = image(outputOf(zeros(x.shape), zeros(w.shape), f))
      return threeOf(`convTranspose2d ${x.shape} * ${w.shape} ${JSON.stringify(options)}`, f, x, w, g)
    })
  it('agree with the reference', async () => {
    await check(jobs, 1e-4)
  })
})

/** A random network over images: what stands beside a convolution decides how it is lowered. */
function randomNetwork(seed: number): Job {
  const from = drawFrom(seed)
  const n = 2
  const start = image([n, from.pick([1, 3, 16]), 14, 14], from)
  const inputs: Value[] = [start]
  // the plan is drawn once, shapes are found by building with placeholders of the right shape
  const steps: ((h: Tensor, earlier: Tensor[], p: readonly Tensor[]) => Tensor)[] = []
  const parameter = (shape: number[], scale = 1): number => {
    const { values } = image(shape, from)
    inputs.push({ shape, dtype: 'f32', values: values.map((v) => Math.fround(v * scale)) })
    return inputs.length - 1
  }
  let shape = [...start.shape]
  const shapes = [shape]
  for (let i = 0; i < 9; i++) {
    const [, c, h, w] = shape as [number, number, number, number]
    const kind = from.pick([
      'conv',
      'conv',
      'conv',
      'conv',
      'relu',
      'gelu',
      'tanh',
      'bias',
      'scale',
      'norm',
      'max',
      'average',
      'up',
      'residual',
      'join',
      'cut',
      'flat',
      'depthwise',
    ])
    if (kind === 'conv') {
      const out = from.pick([8, 16, 24, 32])
      const k = from.pick([1, 3, 3, 3, 5])
      const stride = h > 6 && from.chance(0.25) ? 2 : 1
      const at = parameter([out, c, k, k], 1.5 / Math.sqrt(c * k * k))
      const padding = from.chance(0.7) || Math.min(h, w) < k + 2 ? (k - 1) / 2 : 0
      const biased = from.chance(0.5) ? parameter([out]) : undefined
      steps.push((x, _, p) => {
        const y = conv2d(x, p[at]!, { stride, padding })
        return biased === undefined ? y : add(y, reshape(p[biased]!, [out, 1, 1]))
      })
      shape = [
        n,
        out,
        Math.floor((h + 2 * padding - k) / stride) + 1,
        Math.floor((w + 2 * padding - k) / stride) + 1,
      ]
    } else if (kind === 'depthwise') {
      const at = parameter([c, 1, 3, 3], 0.5)
      steps.push((x, _, p) => conv2d(x, p[at]!, { padding: 1, groups: c }))
    } else if (kind === 'up' && h <= 8) {
      const at = parameter([c, 16, 2, 2], 1 / Math.sqrt(c))
      steps.push((x, _, p) => convTranspose2d(x, p[at]!, { stride: 2 }))
      shape = [n, 16, 2 * h, 2 * w]
    } else if (kind === 'max' && h > 4) {
      steps.push((x) => maxPool2d(x, { kernel: 2 }))
      shape = [n, c, Math.floor(h / 2), Math.floor(w / 2)]
    } else if (kind === 'average' && h > 4) {
      steps.push((x) => averagePool2d(x, { kernel: 3, stride: 2, padding: 1 }))
      shape = [n, c, Math.floor((h - 1) / 2) + 1, Math.floor((w - 1) / 2) + 1]
    } else if (kind === 'bias' || kind === 'scale') {
      const at = parameter([c, 1, 1])
      steps.push((x, _, p) => (kind === 'bias' ? add : mul)(x, p[at]!))
    } else if (kind === 'norm') {
      steps.push((x) => mul(sub(x, mean(x, [2, 3], { keepDims: true })), tensor(1.5)))
    } else if (kind === 'residual') {
      const same = shapes.findIndex((s) => s.join() === shape.join())
      steps.push((x, earlier) => add(x, earlier[same] ?? x))
    } else if (kind === 'join') {
      const same = shapes.findIndex((s) => s[2] === h && s[3] === w && s[1]! + c <= 48)
      if (same < 0) continue
      steps.push((x, earlier) => concatenate([x, earlier[same]!], 1))
      shape = [n, c + shapes[same]![1]!, h, w]
    } else if (kind === 'cut' && c >= 16) {
      steps.push((x) => sliceAxis(x, 1, 0, c - 8))
      shape = [n, c - 8, h, w]
    } else if (kind === 'flat') {
      steps.push((x) => reshape(reshape(x, [n, c, h * w]), [n, c, h, w]))
    } else {
      steps.push({ relu, gelu, tanh }[kind as 'relu'] ?? gelu)
    }
    shapes.push(shape)
  }
  return {
    label: `network ${seed}`,
    inputs,
    fn: (...p) => {
      const loss = (...q: Tensor[]): Tensor => {
        const earlier = [q[0]!]
        for (const f of steps) earlier.push(f(earlier.at(-1)!, earlier, q))
        const last = earlier.at(-1)!
        return add(mean(square(last)), sum(mul(variance(last, [0, 2, 3]), 0.1)))
      }
      const { value, pullback } = vjp(loss, ...p)
      return [value, ...pullback(mul(value, 0).add(1))]
    },
  }
}

describe('networks of convolutions', () => {
  it.each(Array.from({ length: 10 }, (_, i) => [i]))(
    'random network %i agrees with the reference',
    async (seed) => {
      await check([randomNetwork(seed)], 2e-4)
    },
  )
  it('gives the same bits twice, and the same numbers with two threads', async () => {
    const job = randomNetwork(1)
    const fn = (...xs: Tensor[]): Tensor[] => [...job.fn(...xs)]
    const args = job.inputs.map(toTensor)
    const results: number[][][] = []
    for (const threads of [1, 1, 2]) {
      const program = compile(fn, { threads })
      results.push((await program(...args)).map((t) => Array.from(t.data as Float32Array)))
      program.dispose()
    }
    expect(results[1]).toEqual(results[0])
    for (const [k, want] of results[0]!.entries())
      expect(numbersDiffer('', results[2]![k]!, want, 1e-5, 1e-3)).toEqual([])
  })
  it('maps over examples, kernels and both', async () => {
    const [x, w] = [image([3, 2, 16, 10, 10]), image([3, 16, 16, 3, 3])]
    const conv = (a: Tensor, b: Tensor): Tensor => conv2d(a, b, { padding: 1 })
    const one = (v: Value): Value => ({
      ...v,
      shape: v.shape.slice(1),
      values: v.values.slice(0, v.values.length / 3),
    })
    await check(
      [
        { label: 'images', inputs: [x, one(w)], fn: (a, b) => [vmap(conv, [0, null])(a!, b!)] },
        { label: 'kernels', inputs: [one(x), w], fn: (a, b) => [vmap(conv, [null, 0])(a!, b!)] },
        { label: 'both', inputs: [x, w], fn: (a, b) => [vmap(conv)(a!, b!)] },
      ],
      1e-4,
    )
  })
})
