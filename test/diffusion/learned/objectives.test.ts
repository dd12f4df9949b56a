/** @file Losses of denoising networks against enumeration in float64: every term written out, and the bound on −log p(x). */
import { assert, asyncProperty, double, integer, record } from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { channels, exactDenoiser, makeNoiseProcess, type NoiseProcess } from '../../../src/diffusion/index.ts'
import { inputDeviation } from '../../../src/diffusion/learned/noiseProcess.ts'
import { ownEvidence } from '../../../src/diffusion/learned/objectives.ts'
import { makeGrammar } from '../../../src/grammar/index.ts'
import { random, tensor } from '../../../src/tensor/index.ts'
import { checkGradients, computed, normal } from '../../nn/differences.ts'
import { allStrings } from '../helpers.ts'

/** 32 strings of 4 leaves. */
const grammar = makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 2 }, random.key(1))
const { d, v } = grammar
const strings = allStrings(grammar)

const softmaxOf = (row: ArrayLike<number>): number[] => {
  const exps = Array.from(row, Math.exp)
  const total = exps.reduce((a, b) => a + b, 0)
  return exps.map((x) => x / total)
}

/** A batch in float64: each string at a step t of its own. */
function batchOf(
  { schedule, objective }: NoiseProcess,
  clean: Int32Array,
  noisy: Int32Array | Float64Array,
  t: readonly number[],
) {
  const count = t.length
  const column = (f: (t: number) => number) => tensor(Float64Array.from(t, f), { shape: [count] })
  return {
    clean: tensor(clean, { shape: [count, clean.length / count] }),
    noisy: tensor(noisy, {
      shape: noisy instanceof Int32Array ? [count, clean.length / count] : [count, clean.length / count, v],
    }),
    noise: column((at) => 1 - schedule.alphaBar(at)),
    before: column((at) => 1 - schedule.alphaBar(at - 1)),
    alpha: column((at) => schedule.alphaBar(at) / schedule.alphaBar(at - 1)),
    weight: column((at) => objective.weight(schedule, at)),
  }
}

describe('the KL of one step back', () => {
  const noising = makeNoiseProcess({ channel: 'uniform', steps: 20 })
  const { schedule } = noising

  /** q(x_{t−1} | x_t, x̂_0) with x̂_0 [v] put into the formula of the posterior. */
  function posterior(token: number, guess: readonly number[], t: number): number[] {
    const [now, before] = [schedule.alphaBar(t), schedule.alphaBar(t - 1)]
    const alpha = now / before
    const weights = guess.map(
      (share, j) => ((j === token ? alpha : 0) + (1 - alpha) / v) * (before * share + (1 - before) / v),
    )
    const total = weights.reduce((a, b) => a + b, 0)
    return weights.map((x) => x / total)
  }

  it('is that of its definition, at every step', async () => {
    await assert(
      asyncProperty(
        record({ seed: integer({ min: 1, max: 1e6 }), t: integer({ min: 1, max: 20 }) }),
        async ({ seed, t }) => {
          const [clean, noisy] = [
            random.sampleIntegers(random.key(seed), 3, v),
            random.sampleIntegers(random.key(seed + 1), 3, v),
          ]
          // at t = 1 q(x_0 | x_1, x_0) is x_0 itself
          const logits = normal(seed + 2, 1, 3, v)
          const found = await computed(() =>
            noising.objective.loss(logits, batchOf(noising, clean, noisy, [t])),
          )
          for (let i = 0; i < 3; i++) {
            const own = Array.from({ length: v }, (_, a) => Number(a === clean[i]))
            const guess = softmaxOf((logits.data as Float64Array).subarray(i * v, (i + 1) * v))
            const [q, p] = [posterior(noisy[i]!, own, t), posterior(noisy[i]!, guess, t)]
            const kl = q.reduce((sum, x, j) => sum + (x > 0 ? x * Math.log(x / p[j]!) : 0), 0)
            expect(Number(found.data[i])).toBeCloseTo(kl, 10)
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  it('has the gradients of central differences', async () => {
    const clean = Int32Array.of(0, 1, 2, 3, 3, 1)
    const noisy = Int32Array.of(0, 3, 2, 1, 3, 3)
    const batch = batchOf(noising, clean, noisy, [1, 9])
    await checkGradients((p: { logits: never }) => noising.objective.loss(p.logits, batch), {
      logits: normal(4, 2, 3, v),
    })
  })
})

test('cross-entropies of the other channels are those of their definitions', async () => {
  const masking = makeNoiseProcess({ channel: 'masking', steps: 10 })
  const logits = normal(5, 1, 2, v)
  const rows = [0, 1].map((i) => (logits.data as Float64Array).subarray(i * v, (i + 1) * v))
  const masked = await computed(() =>
    masking.objective.loss(logits, batchOf(masking, Int32Array.of(1, 2), Int32Array.of(-1, 2), [4])),
  )
  // linear: T (ᾱ_3 − ᾱ_4)/(1 − ᾱ_4) = 1/0.4
  expect(Number(masked.data[0])).toBeCloseTo(-Math.log(softmaxOf(rows[0]!)[1]!) / 0.4, 12)
  expect(Number(masked.data[1])).toBe(0)

  const vectors = Float64Array.from({ length: 2 * v }, (_, i) => Math.sin(i))
  for (const objective of ['crossEntropy', 'noise', 'score']) {
    const gaussian = makeNoiseProcess({ channel: 'gaussian', steps: 50, objective })
    const t = 20
    const alphaBar = gaussian.schedule.alphaBar(t)
    const found = await computed(() =>
      gaussian.objective.loss(logits, batchOf(gaussian, Int32Array.of(1, 3), vectors, [t])),
    )
    for (const [i, label] of [1, 3].entries()) {
      const posterior = softmaxOf(
        rows[i]!.map((x, a) => x + (vectors[i * v + a]! * Math.sqrt(alphaBar)) / (1 - alphaBar)),
      )
      const squares = posterior.reduce((sum, p, a) => sum + (p - Number(a === label)) ** 2, 0)
      const signal = alphaBar / (1 - alphaBar)
      const expected = {
        crossEntropy: -Math.log(posterior[label]!),
        // ε − ε̂ = √ᾱ/√(1 − ᾱ) (x̂_0 − x_0)
        noise: signal * squares,
        score: (signal / (1 - alphaBar)) * squares,
      }[objective]!
      expect(Number(found.data[i])).toBeCloseTo(expected, 10)
    }
  }
})

/** Logits of x̂_0 whose product with the token's own evidence is the exact posterior. */
async function exactLogits({ channel, schedule }: NoiseProcess, noisy: Int32Array, t: number) {
  const noise = 1 - schedule.alphaBar(t)
  const { clean } = await exactDenoiser(grammar, channel).denoise(noisy, noise)
  const own = channel.likelihood(noisy, v, noise)
  return tensor(
    Float64Array.from(clean, (p, i) => Math.log(Math.max(1e-300, p)) - Math.log(Math.max(1e-300, own[i]!))),
    { shape: [1, d, v] },
  )
}

/** Every x_t with its probability given x_0, at noise 1 − ᾱ. */
function* everyNoisy(name: string, clean: Int32Array, noise: number): Generator<[Int32Array, number]> {
  const choices = name === 'masking' ? v + 1 : v
  for (let code = 0; code < choices ** d; code++) {
    const noisy = Int32Array.from(
      { length: d },
      (_, i) => (Math.floor(code / choices ** i) % choices) - (name === 'masking' ? 1 : 0),
    )
    let p = 1
    for (let i = 0; i < d; i++) {
      const same = noisy[i] === clean[i]
      if (name === 'masking') p *= noisy[i] === -1 ? noise : same ? 1 - noise : 0
      else p *= noise / v + (same ? 1 - noise : 0)
    }
    if (p > 0) yield [noisy, p]
  }
}

describe.each(['uniform', 'masking'])('the bound on −log p(x) of %s', (name) => {
  it('of exact inference is at least ln 32, and near it with many steps', async () => {
    const bounds: number[] = []
    for (const steps of [4, 16]) {
      const noising = makeNoiseProcess({ channel: name, schedule: 'linear', steps })
      const { objective, schedule } = noising
      let mean = 0
      for (let t = 1; t <= steps; t++)
        for (const clean of [strings[3]!, strings[20]!])
          for (const [noisy, p] of everyNoisy(name, clean, 1 - schedule.alphaBar(t))) {
            if (p < 1e-6) continue
            const logits = await exactLogits(noising, noisy, t)
            const loss = await computed(() =>
              objective.loss(logits, batchOf(noising, clean, noisy, [t])).mean(),
            )
            mean += (p * loss.item()) / (2 * steps)
          }
      bounds.push(d * (objective.bound!.factor(schedule) * mean + objective.bound!.prior(schedule, v)))
    }
    expect(bounds[1]).toBeGreaterThan(Math.log(32) - 1e-3)
    expect(bounds[0]).toBeGreaterThan(bounds[1]!)
    expect(bounds[1]).toBeLessThan(1.12 * Math.log(32))
  }, 120_000)
})

test('what is left at the end is told by the prior', () => {
  const { objective, schedule } = makeNoiseProcess({ steps: 20, schedule: 'linearBeta' })
  const [left, each] = [schedule.alphaBar(20), (1 - schedule.alphaBar(20)) / v]
  const q = Array.from({ length: v }, (_, a) => each + (a === 0 ? left : 0))
  expect(objective.bound!.prior(schedule, v)).toBeCloseTo(
    q.reduce((sum, p) => sum + p * Math.log(p * v), 0),
    12,
  )
  expect(
    makeNoiseProcess({ schedule: 'linear', steps: 5 }).objective.bound!.prior(
      makeNoiseProcess({ schedule: 'linear', steps: 5 }).schedule,
      v,
    ),
  ).toBe(0)
})

test.each(['uniform', 'masking', 'gaussian'] as const)(
  'evidence of %s is the channel’s likelihood, as shares and as logarithms',
  async (name) => {
    await assert(
      asyncProperty(
        record({ seed: integer({ min: 0, max: 1e6 }), noise: double({ min: 0.01, max: 0.99, noNaN: true }) }),
        async ({ seed, noise }) => {
          const clean = random.sampleIntegers(random.key(seed), 2 * d, v)
          const noisy = channels[name].corrupt(clean, v, noise, random.key(seed + 1))
          const expected = channels[name].likelihood(noisy, v, noise)
          const given = {
            noisy: tensor(noisy, { shape: name === 'gaussian' ? [2, d, v] : [2, d] }),
            noise: tensor(Float64Array.of(noise, noise), { shape: [2] }),
          }
          const found = await computed(() => ({ ...ownEvidence(name, given, v) }))
          for (let i = 0; i < 2 * d; i++) {
            const row = expected.subarray(i * v, (i + 1) * v)
            const total = row.reduce((a, b) => a + b, 0)
            const logs = softmaxOf((found.log.data as Float64Array).subarray(i * v, (i + 1) * v))
            for (const [a, p] of row.entries()) {
              expect(Number(found.share.data[i * v + a])).toBeCloseTo(p / total, 10)
              expect(logs[a]).toBeCloseTo(p / total, 10)
            }
          }
        },
      ),
      { numRuns: 20 },
    )
  },
)

test('inputs are divided by their root mean square over the schedule', () => {
  const flips = makeNoiseProcess({ steps: 50 })
  const [uniform, hidden] = [flips, makeNoiseProcess({ channel: 'masking', steps: 50 })]
  const meanOf = ({ schedule }: NoiseProcess, f: (alphaBar: number) => number): number =>
    Array.from({ length: 50 }, (_, i) => f(schedule.alphaBar(i + 1))).reduce((a, b) => a + b, 0) / 50
  const scale = Math.sqrt(v - 1) / v
  expect(inputDeviation(uniform, v)).toBeCloseTo(scale * Math.sqrt(meanOf(uniform, (x) => x * x)), 10)
  // masked or not at random: 64 draws of each step
  expect(inputDeviation(hidden, v) / (scale * Math.sqrt(meanOf(hidden, (x) => x)))).toBeCloseTo(1, 1)
})

test.each([
  [{ channel: 'epsilon' }, 'channel: "epsilon" has no chain of steps'],
  [{ channel: 'masking', schedule: 'ddpm', steps: 1000 }, 'leaves ᾱ_T = 0.000040 of the tokens to be seen'],
  [
    { channel: 'uniform', objective: 'noise' },
    'objective: "noise" is of channel "gaussian", got channel "uniform"; use posteriorKl',
  ],
  [{ objective: 'nois' }, 'did you mean "noise"'],
  [{ channel: 'unifrom' }, 'uniform'],
  [{ steps: 0 }, 'expected a whole number'],
])('what does not fit is refused: %j', (options, message) => {
  expect(() => makeNoiseProcess(options)).toThrow(message)
})
