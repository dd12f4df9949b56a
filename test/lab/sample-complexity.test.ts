/** sample-complexity: thresholds and laws on synthetic curves, sensitivities on made networks, the kernel against finite width, a tiny run. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { cholesky } from '../../src/base/index.ts'
import { findExperiment } from '../../src/experiments/index.ts'
import { noiseOf, signalOf, symbolsGivenClass } from '../../src/experiments/sample-complexity/correlations.ts'
import { agreementKernel, kernelError, kernelMatrix } from '../../src/experiments/sample-complexity/kernel.ts'
import {
  collapseOf,
  crossing,
  powerLaw,
  type Setting,
  thresholdOf,
} from '../../src/experiments/sample-complexity/statistics.ts'
import { exchangeSynonyms, sensitivity } from '../../src/experiments/sample-complexity/synonyms.ts'
import {
  exactTupleClassSignal,
  makeGrammar,
  oneHot,
  parse,
  sampleDistinct,
  sampleTrees,
  whiten,
} from '../../src/grammar/index.ts'
import { composeConfig, executeRun, loadRun } from '../../src/lab/index.ts'
import { hierarchicalCnn } from '../../src/nn/index.ts'
import { compile, grad, leaves, random, type Tensor, tensor } from '../../src/tensor/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-samples-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const shape = { v: 6, classes: 6, m: 3, s: 2, L: 3 }
const grammar = makeGrammar(shape, random.key(1))

test('thresholds: linear in the logarithm between points, none outside', () => {
  const curve = [
    { x: 10, y: 0.8 },
    { x: 40, y: 0.4 },
    { x: 160, y: 0 },
  ]
  expect(crossing(curve, 0.6)).toBeCloseTo(20, 10)
  expect(crossing(curve, 0.1)).toBeCloseTo(40 * 4 ** 0.75, 8)
  expect(crossing(curve, 0.9)).toBeNull()
  expect(crossing(curve.slice(0, 2), 0.3)).toBeNull()
})

/** Replicas of a curve that falls from 1 to 0 as ln P passes ln(at), each shifted by its own factor. */
const made = (scale: number, at: number, shifts: readonly number[]): Setting => {
  const x = Array.from({ length: 33 }, (_, i) => (at / 8) * 2 ** (i / 4))
  return {
    x,
    scale,
    threshold: 0.1,
    values: shifts.map((shift) => x.map((P) => Math.min(1, Math.max(0, 0.5 - Math.log(P / (at * shift)))))),
  }
}

test('a law is found with its exponent and prefactor; its error covers the scatter of replicas', () => {
  const scales = [50, 200, 300, 900, 1000, 4000]
  const exact = scales.map((scale) => made(scale, 2 * scale ** 1.2, [1, 1]))
  const law = powerLaw(exact, random.key(3))!
  expect(law.slope).toBeCloseTo(1.2, 6)
  expect(law.count).toBe(6)
  expect(law.error ?? 0).toBeLessThan(1e-6)

  const noisy = scales.map((scale, i) => made(scale, 2 * scale, [1, 1.3, 0.8, 1 + 0.05 * i]))
  const found = powerLaw(noisy, random.key(4))!
  expect(Math.abs(found.slope - 1)).toBeLessThan(3 * found.error!)
  expect(found.error!).toBeGreaterThan(0.01)
  expect(found.error!).toBeLessThan(0.2)
  expect(found.prefactor).toBeGreaterThan(2 * Math.exp(0.4) * 0.9)
  expect(found.prefactor).toBeLessThan(2 * Math.exp(0.4) * 1.3)

  const threshold = thresholdOf(made(100, 200, [0.7, 1, 1.4]), 0.1, random.key(5))
  // the mean of three has the standard error of ln(0.7), 0, ln(1.4), less the bootstrap's bias
  expect(threshold.logError!).toBeGreaterThan(0.1)
  expect(threshold.logError!).toBeLessThan(0.3)
  expect(thresholdOf(made(100, 200, [1]), 0.1, random.key(5)).logError).toBeNull()
})

test('collapse: the spread of curves that are one on the scale becomes 1', () => {
  const scales = [50, 200, 800]
  const settings = scales.map((scale) => ({ ...made(scale, 2 * scale, [1]), threshold: 1 }))
  const spread = collapseOf(settings, [0.3, 0.5])!
  expect(spread.after).toBeCloseTo(1, 6)
  // the standard deviation of ln 50, ln 200, ln 800 is ln 4
  expect(spread.before).toBeCloseTo(4, 6)
})

test('synonyms: symbols above stay, every tuple changes, and the new ones are legal', () => {
  const trees = sampleTrees(grammar, random.key(2), 40)
  for (const height of [1, 2, 3]) {
    const changed = exchangeSynonyms(grammar, trees, height, random.key(7))
    const level = shape.L - height
    for (let k = 0; k <= level; k++) expect(changed.levels[k]).toEqual(trees.levels[k])
    expect(parse(grammar, changed.levels[3]!, 40).levels).toEqual(changed.levels)
    const [before, after] = [trees.levels[level + 1]!, changed.levels[level + 1]!]
    for (let node = 0; node < before.length; node += 2)
      expect([after[node], after[node + 1]]).not.toEqual([before[node], before[node + 1]])
  }
})

test('sensitivity: 0 for the latents, about 1 for a random layer, as a loop over pairs says', () => {
  const count = 300
  const trees = sampleTrees(grammar, random.key(8), count)
  const changed = exchangeSynonyms(grammar, trees, 1, random.key(9))
  const latents = (of: typeof trees) => oneHot(of.levels[2]!, shape.v)
  expect(sensitivity(latents(trees), latents(changed), count)).toBe(0)

  // each pair of leaves in 200 random directions
  const weights = random.sampleNormal(random.key(10), 200 * 2 * shape.v)
  const layer = (of: typeof trees): Float64Array => {
    const x = whiten(oneHot(of.levels[3]!, shape.v), shape.v)
    const out = new Float64Array(count * 4 * 200)
    for (let node = 0; node < count * 4; node++)
      for (let h = 0; h < 200; h++) {
        let sum = 0
        for (let i = 0; i < 2 * shape.v; i++)
          sum += weights[h * 2 * shape.v + i]! * x[node * 2 * shape.v + i]!
        out[node * 200 + h] = Math.max(0, sum)
      }
    return out
  }
  const [a, b] = [layer(trees), layer(changed)]
  const S = sensitivity(a, b, count)
  expect(S).toBeGreaterThan(0.85)
  expect(S).toBeLessThan(1.15)

  const few = 12
  const size = a.length / count
  const [p, q] = [a.subarray(0, few * size), b.subarray(0, few * size)]
  const distance = (x: Float64Array, i: number, y: Float64Array, j: number): number => {
    let sum = 0
    for (let k = 0; k < size; k++) sum += (x[i * size + k]! - y[j * size + k]!) ** 2
    return sum
  }
  let [moved, apart] = [0, 0]
  for (let i = 0; i < few; i++) {
    moved += distance(p, i, q, i) / few
    for (let j = 0; j < few; j++) apart += distance(p, i, p, j) / (few * (few - 1))
  }
  expect(sensitivity(p, q, few)).toBeCloseTo(moved / apart, 10)
})

test('tuple–class correlations: exact signal by two routes, noise falls as 1/P', () => {
  // in this grammar every symbol occurs at every patch, so that patches weigh the same
  const full = makeGrammar({ ...shape, m: 5 }, random.key(1))
  const patches = [0, 1, 2, 3].map((patch) => exactTupleClassSignal(full, patch))
  expect(signalOf(full)).toBeCloseTo(patches.reduce((a, b) => a + b, 0) / 4, 10)

  // symbols counted in many trees
  const count = 40000
  const trees = sampleTrees(grammar, random.key(11), count)
  const exact = symbolsGivenClass(grammar, 2)
  const counts = new Float64Array(exact.length)
  for (let i = 0; i < count; i++)
    for (let node = 0; node < 4; node++)
      counts[(trees.levels[0]![i]! * 4 + node) * 6 + trees.levels[2]![i * 4 + node]!]! += 6 / count
  for (const [i, p] of exact.entries()) expect(Math.abs(counts[i]! - p)).toBeLessThan(0.04)

  const noise = [1000, 4000, 16000].map((P) => noiseOf(grammar, trees, P))
  expect(noise[0]! / noise[1]!).toBeCloseTo(4, 0)
  expect(noise[1]! / noise[2]!).toBeCloseTo(4, 0)
  // v m n_c / P, less what classes are certain of
  expect(noise[2]! * 16000).toBeGreaterThan(0.5 * 108)
  expect(noise[2]! * 16000).toBeLessThan(108)
})

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

const experiment = findExperiment('sample-complexity')
const tiny = [
  'v=4,settings=[{"m":3,"L":2},{"m":2,"L":3}],multiples=1,2,grammars=2,width=8,steps=128,testStrings=60,probes=10',
  'correlations.v=4,correlations.settings=[{"m":3,"L":2},{"m":2,"L":3}],correlations.grammars=2,shallow.sizes=3,shallow.shares=0.3,0.6,shallow.grammars=1,shallow.width=8,shallow.steps=64',
  'lazy.maxStrings=100,lazy.grammars=1,control.shapes=[{"v":3,"L":2}],control.multiples=1,control.grammars=1',
]

/** A signal that is aborted from its n-th look on, so where a run is cut depends on no clock. */
function abortedAfter(looks: number): AbortSignal {
  let looked = 0
  const { signal } = new AbortController()
  return Object.defineProperty(signal, 'aborted', { get: () => ++looked > looks })
}

test('a tiny run from end to end; cut twice, it ends with the same result', async () => {
  const config = composeConfig(experiment, { set: tiny })
  const whole = await executeRun(experiment, config, { root: join(root, 'whole'), threads: 1 })
  const cut = join(root, 'cut')
  for (const looks of [40, 90])
    await expect(
      executeRun(experiment, config, { root: cut, threads: 1, signal: abortedAfter(looks) }),
    ).rejects.toThrow(/resume with/)
  const resumed = await executeRun(experiment, config, { root: cut, threads: 1 })
  expect(JSON.stringify(resumed.summary.result)).toBe(JSON.stringify(whole.summary.result))
  const kept = readFileSync(join(resumed.folder, 'jobs.jsonl'), 'utf8').trim().split('\n')
  expect(new Set(kept).size).toBe(kept.length)

  const run = loadRun(whole.folder)
  const names = experiment.figures([run as never], []).map(({ name }) => name)
  for (const name of [
    'errors',
    'collapse',
    'synonyms',
    'layers-1',
    'correlations',
    'lazy',
    'shallow',
    'control',
  ])
    expect(names).toContain(name)
  const claims = whole.summary.verdicts.map(({ claim }) => claim)
  expect(claims.some((claim) => claim.includes('uncorrelated'))).toBe(true)
  expect(whole.summary.verdicts.every(({ measured }) => Number.isFinite(measured))).toBe(true)
}, 60_000)

test('a single point; impossible sizes are refused before anything is trained', async () => {
  const point = ['parts=cnn,settings=[{"m":3,"L":2}],multiples=2,grammars=1,v=4,width=8,steps=64,probes=10']
  const { summary } = await executeRun(experiment, composeConfig(experiment, { set: point }), {
    root: join(root, 'point'),
    threads: 1,
  })
  expect(summary.headline).toMatch(/^test error 0\.\d+( ± \S+)? with P = 72 \(m = 3, L = 2\)$/)
  expect(summary.verdicts).toEqual([])
  const bad = composeConfig(experiment, { set: ['v=4,parts=cnn,settings=[{"m":5,"L":2}]'] })
  await expect(executeRun(experiment, bad, { root: join(root, 'bad'), threads: 1 })).rejects.toThrow(
    /config.*m: expected v·m ≤ v\^s, got 4·5 = 20 > 16/,
  )
})
