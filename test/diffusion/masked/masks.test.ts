/** @file Masks and their weights against sums over all masks; filling against exact inference; a training that goes on where it was cut. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import {
  channels,
  exactDenoiser,
  fillMasks,
  fillStrings,
  fixedMasks,
  maskCounts,
  maskedLosses,
  maskedTransformer,
  maskSome,
  trainMasked,
} from '../../../src/diffusion/index.ts'
import { makeGrammar } from '../../../src/grammar/index.ts'
import { entries, random, type Tensor, type Tree } from '../../../src/tensor/index.ts'
import { allStrings, countStrings, excess } from '../helpers.ts'

it('counts of masks are 1 … d, each as often', () => {
  const counts = maskCounts(600, 6, random.key(1))
  expect(Array.from({ length: 8 }, (_, k) => counts.filter((own) => own === k).length)).toEqual([
    ...[0, 100, 100, 100, 100, 100, 100, 0],
  ])
  const one = Array.from({ length: 600 }, (_, i) => maskCounts(1, 6, random.key(i))[0]!)
  expect(Math.min(...one)).toBe(1)
  expect(Math.max(...one)).toBe(6)
})

it('masks k places of a string, every set of places as often', () => {
  const [d, count] = [4, 6000]
  const clean = Int32Array.from({ length: count * d }, (_, i) => i % d)
  const noisy = maskSome(clean, d, new Array<number>(count).fill(2), random.key(3))
  const sets = new Map<string, number>()
  for (let b = 0; b < count; b++) {
    const own = noisy.subarray(b * d, (b + 1) * d)
    for (const [i, token] of own.entries()) if (token >= 0) expect(token).toBe(i)
    const places = Array.from(own, (token) => Number(token < 0)).join('')
    sets.set(places, (sets.get(places) ?? 0) + 1)
  }
  expect(sets.size).toBe(6)
  expect(excess([...sets.values()], new Array(6).fill(1 / 6))).toBeLessThan(4)
})

it('weights are 1/k at the k masks', () => {
  const d = 5
  const { clean, noisy, weight } = fixedMasks(
    Int32Array.from({ length: 50 * d }, (_, i) => i % 3),
    d,
    random.key(4),
  )
  const counts: number[] = []
  for (let b = 0; b < 50; b++) {
    const own = Array.from(noisy.data.subarray(b * d, (b + 1) * d), Number)
    const k = own.filter((token) => token < 0).length
    counts.push(k)
    for (const [i, token] of own.entries()) {
      expect(weight.data[b * d + i]).toBe(token < 0 ? Math.fround(1 / k) : 0)
      if (token >= 0) expect(token).toBe(clean.data[b * d + i])
    }
  }
  // each k as often, and not in the order of the strings, which is often that of a text
  const rising = counts.toSorted((a, b) => a - b)
  expect(rising).toEqual(Array.from({ length: 50 }, (_, i) => 1 + Math.floor(i / 10)))
  expect(counts).not.toEqual(rising)
})

it('the loss of an exact denoiser is −ln p a symbol: the bound is tight', async () => {
  // ln p of a string of a grammar with 32 equally likely strings; every k and every set of places once
  const grammar = makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 2 }, random.key(1))
  const { d, v } = grammar
  const [string] = allStrings(grammar)
  const denoiser = exactDenoiser(grammar, channels.masking)
  let loss = 0
  for (let set = 1; set < 2 ** d; set++) {
    const masked = Int32Array.from(string!, (token, i) => ((set >> i) & 1 ? -1 : token))
    const places = Array.from(masked.keys()).filter((i) => masked[i]! < 0)
    const { clean } = await denoiser.denoise(masked, 0.5)
    const k = places.length
    const sets = [1, 4, 6, 4, 1][k]!
    for (const i of places) {
      const row = clean.subarray(i * v, (i + 1) * v)
      loss -= Math.log(row[string![i]!]! / Array.from(row).reduce((a, b) => a + b, 0)) / k / sets / d
    }
  }
  expect(loss).toBeCloseTo(Math.log(32) / d, 10)
})

it('filled one at a time, masks have the distribution of the denoiser', async () => {
  const grammar = makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 2 }, random.key(1))
  const strings = allStrings(grammar)
  const denoiser = exactDenoiser(grammar, channels.masking)
  const found = await fillStrings(denoiser, 1600, { key: random.key(5) })
  const counts = countStrings(strings, found, grammar.d)
  expect(counts.at(-1)).toBe(0)
  expect(excess(counts.slice(0, -1), new Array(32).fill(1 / 32))).toBeLessThan(4)

  // the first symbol is drawn at each place as often
  const calls: Int32Array[] = []
  const watched = {
    ...denoiser,
    denoise: (noisy: Parameters<typeof denoiser.denoise>[0], level: number) => {
      calls.push(Int32Array.from(noisy as Int32Array))
      return denoiser.denoise(noisy, level)
    },
  }
  await fillStrings(watched, 400, { key: random.key(7) })
  const first = Array.from(
    { length: 4 },
    (_, i) => calls[1]!.filter((x, at) => at % 4 === i && x >= 0).length,
  )
  expect(excess(first, new Array(4).fill(1 / 4))).toBeLessThan(4)

  // what is shown stays, strings with fewer masks are done earlier
  const noisy = Int32Array.from([...strings[0]!, ...strings[9]!, ...strings[9]!], (token, at) =>
    at < 4 || (at >= 8 && at % 2 === 0) ? token : -1,
  )
  const filled = await fillMasks(denoiser, noisy, { key: random.key(6) })
  for (const [at, token] of noisy.entries()) if (token >= 0) expect(filled[at]).toBe(token)
  expect(countStrings(strings, filled, 4).at(-1)).toBe(0)
  await expect(fillMasks(denoiser, noisy, { perStep: 0, key: random.key(6) })).rejects.toThrow(
    'perStep: expected a whole number ≥ 1, got 0',
  )
})

it('learns a sequence, and goes on to the same bits where it was cut', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-masked-'))
  try {
    const network = maskedTransformer({ v: 3, d: 6, width: 8, heads: 2, layers: 1 })
    // 0 1 2 0 1 2 …: one shown symbol tells all
    const sequence = Uint16Array.from({ length: 300 }, (_, i) => i % 3)
    const options = {
      ...{ source: { sequence }, parameters: network.init(random.key(1)), key: random.key(2) },
      ...{ steps: 160, batchSize: 16, learningRate: 1e-2, warmUp: 8, threads: 1 },
    }
    const losses = maskedLosses(network)
    const held = fixedMasks(
      Int32Array.from({ length: 600 }, (_, i) => (i + 1) % 3),
      6,
      random.key(3),
    )
    const lossOf = async (parameters: typeof options.parameters): Promise<number> =>
      (await losses.of(parameters, held)).reduce((a, b) => a + b, 0) / 100
    const { parameters } = await trainMasked(network, options)
    expect(await lossOf(options.parameters)).toBeGreaterThan(1)
    // nothing is shown of a sixth of the strings: ln 3 for each of their symbols, were they all independent
    expect(await lossOf(parameters)).toBeLessThan(0.4)
    losses.dispose()

    const path = join(folder, 'state.safetensors')
    const cut = new AbortController()
    const looks: number[] = []
    const checkpoint = { path, every: 16 }
    await expect(
      trainMasked(network, {
        ...{ ...options, checkpoint, signal: cut.signal, looks: [64, 128] },
        onLook: (_, step) => {
          looks.push(step)
          cut.abort()
          return true
        },
      }),
    ).rejects.toThrow('interrupted after step 64')
    let from = 0
    const resumed = await trainMasked(network, {
      ...{ ...options, checkpoint, looks: [64, 128] },
      onResume: (step) => {
        from = step
      },
      onLook: (_, step) => {
        looks.push(step)
        return true
      },
    })
    expect([from, ...looks]).toEqual([64, 64, 128])
    const whole = new Map(entries(parameters as Tree<Tensor>))
    for (const [name, t] of entries(resumed.parameters as Tree<Tensor>))
      expect(t.data, name).toEqual(whole.get(name)!.data)

    // fixed strings: as many as there are in a batch at most
    const few = await trainMasked(network, {
      ...{ ...options, source: { strings: Int32Array.of(0, 1, 2, 0, 1, 2) }, steps: 8 },
    })
    expect(few.step).toBe(8)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
