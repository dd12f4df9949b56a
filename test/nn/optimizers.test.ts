/** @file Optimizers against PyTorch and against the textbook written out; schedules against closed forms; clipping and averages. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import * as nn from '../../src/nn/index.ts'
import { compileStep, type Tensor, tensor } from '../../src/tensor/index.ts'
import { computed, normal } from './differences.ts'

const fixture = JSON.parse(readFileSync(new URL('../fixtures/optimizers.json', import.meta.url), 'utf8')) as {
  start: number[]
  a: number[]
  b: number[]
  rate: number
  cases: Record<string, { options: Record<string, unknown>; parameters: number[][] }>
  schedules: Record<string, number[]>
}

const make: Record<string, nn.Optimizer<never>> = {
  sgd: nn.sgd() as never,
  'sgd-momentum': nn.sgd({ momentum: 0.9 }) as never,
  'sgd-nesterov': nn.sgd({ momentum: 0.8, nesterov: true }) as never,
  'sgd-decay': nn.sgd({ momentum: 0.9, weightDecay: 0.1 }) as never,
  adam: nn.adam() as never,
  'adam-betas': nn.adam({ beta1: 0.5, beta2: 0.9, epsilon: 1e-3 }) as never,
  'adam-decay': nn.adam({ weightDecay: 0.1 }) as never,
  adamW: nn.adamW() as never,
  'adamW-decay': nn.adamW({ weightDecay: 0.2, beta1: 0.8, beta2: 0.95 }) as never,
}

describe('optimizers agree with PyTorch', () => {
  it('has a case for each', () => expect(Object.keys(make)).toEqual(Object.keys(fixture.cases)))

  const f64 = (list: readonly number[]) => tensor(Float64Array.from(list))
  it.each(
    Object.keys(fixture.cases).flatMap((name) =>
      (['reference', 'onnx'] as const).map((backend) => [name, backend] as const),
    ),
  )('%s, %s', async (name, backend) => {
    const optimizer = make[name]!
    const parameters = { w: f64(fixture.start) }
    const program = await compileStep(
      (state: { parameters: { w: Tensor }; optimizer: never }, scalars: Tensor) => {
        const { w } = state.parameters
        const gradient = { w: w.mul(w).mul(w).mul(f64(fixture.a)).add(f64(fixture.b)) }
        const next = optimizer.update(state.parameters, gradient, state.optimizer, nn.unpackScalars(scalars))
        return {
          state: { parameters: next.parameters as { w: Tensor }, optimizer: next.state },
          outputs: scalars,
        }
      },
      { parameters, optimizer: optimizer.init(parameters) },
      [{ shape: [optimizer.scalars(1, 0).length], dtype: 'f64' }],
      { backend },
    )
    for (const [t, expected] of fixture.cases[name]!.parameters.entries()) {
      await program.step(f64(optimizer.scalars(t + 1, fixture.rate / (1 + t))))
      const got = program.state.parameters.w.data as Float64Array
      for (const [i, v] of expected.entries()) expect(Math.abs(got[i]! - v), `step ${t}`).toBeLessThan(1e-13)
    }
    program.dispose()
  })
})

it('Adam in its textbook form, in f32 over a hundred steps', async () => {
  const [rate, beta1, beta2, epsilon] = [0.01, 0.9, 0.999, 1e-8]
  const optimizer = nn.adam()
  const start = tensor(Float32Array.of(1, -2, 0.5))
  const program = await compileStep(
    (state: { w: Tensor; optimizer: nn.AdamState }, scalars: Tensor) => {
      const next = optimizer.update(
        state.w,
        state.w.mul(state.w).mul(state.w),
        state.optimizer,
        nn.unpackScalars(scalars),
      )
      return { state: { w: next.parameters as Tensor, optimizer: next.state }, outputs: scalars }
    },
    { w: start, optimizer: optimizer.init(start) },
    [{ shape: [3], dtype: 'f32' }],
  )
  const w = [1, -2, 0.5]
  const [m, v] = [
    [0, 0, 0],
    [0, 0, 0],
  ]
  for (let t = 1; t <= 100; t++) {
    await program.step(tensor(Float32Array.from(optimizer.scalars(t, rate))))
    for (let i = 0; i < 3; i++) {
      const g = w[i]! ** 3
      m[i] = beta1 * m[i]! + (1 - beta1) * g
      v[i] = beta2 * v[i]! + (1 - beta2) * g * g
      w[i]! -= (rate * m[i]!) / (1 - beta1 ** t) / (Math.sqrt(v[i]! / (1 - beta2 ** t)) + epsilon)
    }
  }
  const got = program.copyState().w
  program.dispose()
  for (let i = 0; i < 3; i++) expect(got.data[i]).toBeCloseTo(w[i]!, 5)
})

it('AdamW decays the parameters it is told to', async () => {
  const optimizer = nn.adamW({
    weightDecay: 0.5,
    decays: (name, w) => name.endsWith('weight') && w.rank === 2,
  })
  const p = { weight: tensor([[1, 1]]), bias: tensor([1, 1]) }
  const zero = nn.zerosLikeTree(p) as typeof p
  const { parameters } = (await computed(
    () =>
      optimizer.update(
        p,
        zero,
        optimizer.init(p),
        nn.unpackScalars(tensor(optimizer.scalars(1, 0.1))),
      ) as never,
  )) as { parameters: typeof p }
  expect(parameters.weight.data[0]).toBeCloseTo(0.95, 6)
  expect(parameters.bias.data[0]).toBe(1)
})

it('optimizers refuse settings without meaning', () => {
  expect(() => nn.sgd({ nesterov: true })).toThrow(/momentum in \[0, 1\)/)
  expect(() => nn.adam({ beta1: 1 })).toThrow(/beta1 and beta2 in \[0, 1\)/)
})

describe('schedules', () => {
  it('cosine and drops agree with PyTorch', () => {
    const cosine = nn.cosine({ peak: 0.3, final: 0.01, steps: 10 })
    const drops = nn.stepDecay({ initial: 0.3, factor: 0.5, at: [3, 7] })
    for (let t = 0; t < 11; t++) {
      expect(cosine(t, 999)).toBeCloseTo(fixture.schedules['cosine']![t]!, 14)
      expect(drops(t, 999)).toBeCloseTo(fixture.schedules['steps']![t]!, 14)
    }
  })
  it('warm-up rises in a line to the peak, the cosine takes the rest, and the end stays', () => {
    const schedule = nn.cosine({ peak: 2, final: 0.5, warmup: 4 })
    expect([0, 1, 2, 3].map((t) => schedule(t, 20))).toEqual([0.5, 1, 1.5, 2])
    expect(schedule(4, 20)).toBe(2)
    expect(schedule(12, 20)).toBeCloseTo(1.25, 14)
    expect(schedule(20, 20)).toBeCloseTo(0.5, 14)
    expect(schedule(30, 20)).toBeCloseTo(0.5, 14)
  })
  it('constant, warm-up into anything, drops at intervals', () => {
    expect(nn.constant(0.1)(7, 10)).toBe(0.1)
    expect([0, 1, 2, 9].map((t) => nn.warmUp(2, nn.constant(0.4))(t, 10))).toEqual([0.2, 0.4, 0.4, 0.4])
    const drops = nn.stepDecay({ initial: 1, every: 10 })
    expect([0, 9, 10, 20].map((t) => drops(t, 99))).toEqual([1, 1, 0.1, expect.closeTo(0.01, 15)])
    expect(() => nn.stepDecay({ initial: 1 })).toThrow(/either every .* or at/)
  })
})

describe('gradients', () => {
  const g = { a: normal(1, 3, 2), b: [normal(2, 4)] }
  const norm = Math.hypot(...(g.a.data as Float64Array), ...(g.b[0]!.data as Float64Array))
  it('global norm is that of all leaves together', async () => {
    expect((await computed(() => nn.globalNorm(g))).item()).toBeCloseTo(norm, 12)
  })
  it('clipping keeps the direction and never lengthens', async () => {
    const run = (limit: number) =>
      computed(() => {
        const { gradients, norm: before } = nn.clipByGlobalNorm(g, limit)
        return { after: nn.globalNorm(gradients), before, first: gradients.a }
      })
    const short = await run(0.5)
    expect(short.before.item()).toBeCloseTo(norm, 12)
    expect(short.after.item()).toBeCloseTo(0.5, 5)
    expect(Number(short.first.data[0]) / Number(g.a.data[0])).toBeCloseTo(0.5 / norm, 5)
    expect((await run(100)).after.item()).toBeCloseTo(norm, 12)
  })
  it('moving average', async () => {
    const [average, p] = [{ w: normal(1, 3) }, { w: normal(2, 3) }]
    const next = (await computed(
      () => nn.movingAverage(average, p, tensor([0.25], { dtype: 'f64' })) as never,
    )) as typeof p
    for (let i = 0; i < 3; i++)
      expect(next.w.data[i]).toBeCloseTo(0.75 * Number(average.w.data[i]) + 0.25 * Number(p.w.data[i]), 12)
  })
})
