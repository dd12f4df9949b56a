/** @file Trained networks against exact inference: their loss cannot be less, and comes near; the same bits twice; looks on the way. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, test } from 'vitest'
import {
  type CleanStrings,
  type DenoiserTraining,
  exactDenoiser,
  fixedStrings,
  lookSteps,
  makeNoiseProcess,
  type NoiseProcess,
  networkDenoiser,
  noiseLevels,
  sampleStrings,
  stringLosses,
  trainDenoiser,
  transformerFor,
  treeUnetFor,
} from '../../../src/diffusion/index.ts'
import { enumerate, makeGrammar, parse, validity } from '../../../src/grammar/index.ts'
import type { Parameters, TreeUnetParameters } from '../../../src/nn/index.ts'
import { entries, random, tensor } from '../../../src/tensor/index.ts'
import { computed } from '../../nn/differences.ts'

/** 32 strings of 4 leaves. */
const grammar = makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 2 }, random.key(1))
const { d, v, L } = grammar
const strings: CleanStrings = { leaves: enumerate(grammar).levels[L]!, d, v }

const mean = (x: ArrayLike<number>): number => Array.from(x).reduce((a, b) => a + b, 0) / x.length

/** The loss that exact inference has of the same strings. */
async function exactLoss(
  noising: NoiseProcess,
  { strings: noisy, times }: ReturnType<typeof fixedStrings>,
): Promise<number> {
  const denoiser = exactDenoiser(grammar, noising.channel)
  const each = noisy.noisy.size / times.length
  const logits = new Float64Array(times.length * d * v)
  for (const [b, t] of times.entries()) {
    const noise = 1 - noising.schedule.alphaBar(t)
    const own = noisy.noisy.data.slice(b * each, (b + 1) * each)
    const x = own instanceof Int32Array ? own : Float64Array.from(own as Float32Array)
    const { clean } = await denoiser.denoise(x, noise)
    const evidence = noising.channel.likelihood(x, v, noise)
    for (let i = 0; i < clean.length; i++)
      logits[b * d * v + i] = Math.log(Math.max(1e-300, clean[i]!)) - Math.log(Math.max(1e-300, evidence[i]!))
  }
  const given = Object.fromEntries(
    Object.entries(noisy).map(([name, t]) => [
      name,
      t.dtype === 'f32' ? tensor(Float64Array.from(t.data as Float32Array), { shape: t.shape }) : t,
    ]),
  ) as typeof noisy
  const loss = await computed(() =>
    noising.objective.loss(tensor(logits, { shape: [times.length, d, v] }), given).mean(),
  )
  return loss.item()
}

const networks = {
  unet: treeUnetFor(grammar, { width: 32 }),
  transformer: transformerFor(grammar, { width: 32, heads: 2, layers: 2 }),
} as const

describe.each([
  ['uniform', 'unet'],
  ['masking', 'unet'],
  ['masking', 'transformer'],
  ['gaussian', 'unet'],
] as const)('%s, %s', (channel, which) => {
  it('learns the grammar, and no more than there is to know', async () => {
    const noising = makeNoiseProcess({ channel, steps: 40 })
    const network = networks[which] as (typeof networks)['unet']
    const { parameters } = await trainDenoiser(network, noising, {
      strings,
      parameters: network.init(random.key(2)),
      ...{
        steps: 1600,
        batchSize: 32,
        learningRate: which === 'unet' ? 0.01 : 0.003,
        key: random.key(3),
        threads: 1,
      },
    })
    const held = fixedStrings(noising, strings, 24, random.key(4))
    const losses = stringLosses(network, noising)
    const [before, found] = [
      mean(await losses.of(network.init(random.key(2)), held.strings)),
      mean(await losses.of(parameters, held.strings)),
    ]
    losses.dispose()
    const least = await exactLoss(noising, held)
    // the strings of `held` are all there are, each as often: exact inference has the least loss but for their noise
    expect(found).toBeGreaterThan(0.97 * least)
    expect(found - least).toBeLessThan(0.15 * (before - least))

    const denoisers = networkDenoiser(network, noising, { batchSize: 100 })
    const made = async (p: typeof parameters): Promise<number> => {
      const options = { count: 250, levels: noiseLevels(noising.schedule, 1), key: random.key(5) }
      return validity(parse(grammar, await sampleStrings(denoisers.with(p), options), 250))[L]!
    }
    const [untrained, trained] = [await made(network.init(random.key(2))), await made(parameters)]
    denoisers.dispose()
    // 32 of 256 strings are legal
    expect(untrained).toBeLessThan(0.25)
    expect(trained).toBeGreaterThan(0.75)
  }, 120_000)
})

test('the same key gives the same bits, with looks or without; a look that says so ends it', async () => {
  const noising = makeNoiseProcess({ steps: 10 })
  const network = networks.unet
  const run = (more: Partial<DenoiserTraining<TreeUnetParameters>> = {}) =>
    trainDenoiser(network, noising, {
      strings,
      parameters: network.init(random.key(2)),
      ...{ steps: 32, batchSize: 8, learningRate: 0.01, key: random.key(3), threads: 1 },
      ...more,
    })
  const bits = (p: Parameters) => entries(p).map(([, t]) => [...t.data].join())
  const whole = await run()
  const seen: [number, string[]][] = []
  const looked = await run({ looks: [8, 24, 32], onLook: (p, step) => seen.push([step, bits(p)]) > 0 })
  expect(bits(looked.parameters)).toEqual(bits(whole.parameters))
  expect(seen.map(([step]) => step)).toEqual([8, 24, 32])
  expect(seen[2]![1]).toEqual(bits(whole.parameters))
  expect(seen[0]![1]).not.toEqual(seen[1]![1])
  const stopped = await run({ looks: [8, 24, 32], onLook: (_, step) => step < 24 })
  expect(stopped.step).toBe(24)
  expect(bits(stopped.parameters)).toEqual(seen[1]![1])
  await expect(run({ looks: [12], onLook: () => true })).rejects.toThrow(
    'snapshots.at[0]: expected a whole number of steps above 0, a multiple of stepsPerCall 8, got 12',
  )
})

test('a training goes on from its checkpoint to the same bits, and not with another grammar', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-denoiser-'))
  const path = join(folder, 'state.safetensors')
  const noising = makeNoiseProcess({ steps: 10 })
  const network = networks.unet
  const run = (
    steps: number,
    grammarName: string,
    more: Partial<DenoiserTraining<TreeUnetParameters>> = {},
  ) =>
    trainDenoiser(network, noising, {
      ...{ strings, parameters: network.init(random.key(2)), steps, batchSize: 8, learningRate: 0.01 },
      ...{ key: random.key(3), threads: 1, config: { grammar: grammarName }, ...more },
    })
  try {
    const whole = await run(32, 'a')
    await run(16, 'a', { checkpoint: { path } })
    const resumed = await run(32, 'a', { checkpoint: { path } })
    expect(resumed.step).toBe(32)
    expect(entries(resumed.parameters).map(([, t]) => [...t.data].join())).toEqual(
      entries(whole.parameters).map(([, t]) => [...t.data].join()),
    )
    await expect(run(48, 'b', { checkpoint: { path } })).rejects.toThrow(
      /the checkpoint is of a run with config .*"a".*, this one has .*"b"/,
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('looks are at half powers of two, as steps of whole calls', () => {
  expect(lookSteps(64, 512)).toEqual([64, 88, 128, 184, 256, 360, 512])
  expect(lookSteps(8, 40, 4)).toEqual([8, 16, 24, 32, 40])
  expect(() => lookSteps(0, 5)).toThrow('expected 1 ≤ from ≤ to, got 0 and 5')
})

test('noise is fixed where losses are compared, and spread evenly over the steps', () => {
  const noising = makeNoiseProcess({ channel: 'masking', steps: 8 })
  const [a, b] = [1, 1].map((seed) => fixedStrings(noising, strings, 3, random.key(seed)))
  expect(a!.strings.noisy.data).toEqual(b!.strings.noisy.data)
  expect(a!.times).toHaveLength(96)
  for (let t = 1; t <= 8; t++) expect(a!.times.filter((x) => x === t)).toHaveLength(12)
  // not sorted: the strings of a step are not the first ones
  expect(Array.from(a!.times.subarray(0, 12)).some((t) => t !== 1)).toBe(true)
  const masked = (a!.strings.noisy.data as Int32Array).filter((x) => x < 0).length
  expect(masked / (96 * d)).toBeCloseTo(4.5 / 8, 1)
})

test.each(['uniform', 'masking'] as const)(
  'a denoiser that computes what depends on single tokens once answers with the same bits (%s)',
  async (channel) => {
    const noising = makeNoiseProcess({ channel })
    const network = treeUnetFor({ v: 8, s: 2, L: 3 }, { width: 16 })
    const { applyRows: _, ...plain } = network
    const parameters = network.init(random.key(7))
    const noisy = random
      .sampleIntegers(random.key(8), 100 * network.d, channel === 'masking' ? 9 : 8)
      .map((token) => (channel === 'masking' ? token - 1 : token))
    const of = async (one: Omit<typeof network, 'applyRows'>) => {
      const denoisers = networkDenoiser(one, noising, { batchSize: 64 })
      const found = []
      for (const noise of [0.9, 0.3, 0.02])
        found.push((await denoisers.with(parameters).denoise(noisy, noise)).clean)
      denoisers.dispose()
      return found
    }
    expect(await of(network)).toEqual(await of(plain))
  },
)
