import { describe, expect, it } from 'vitest'
import {
  type Grammar,
  infer,
  inferInWorkers,
  inferUp,
  internalNodes,
  lastToken,
  mapTree,
  marginals,
  samplePosterior,
  sampleTrees,
} from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { enumerate, grow, jointWith, withProbabilities } from './enumerate.ts'

/** Rows with `high` on the token of the leaf and `low` elsewhere. */
const rowsFor = ({ v }: Grammar, leaves: ArrayLike<number>, high: number, low: number): Float64Array =>
  Float64Array.from({ length: leaves.length * v }, (_, k) =>
    k % v === leaves[Math.floor(k / v)]! ? high : low,
  )

const allFinite = (levels: readonly Float64Array[]): boolean =>
  levels.every((row) => row.every((p) => p >= 0 && p <= 1 + 1e-12))

const sumsToOne = (row: Float64Array, width: number): boolean => {
  for (let at = 0; at < row.length; at += width) {
    const sum = row.subarray(at, at + width).reduce((a, p) => a + p, 0)
    if (!(Math.abs(sum - 1) < 1e-12)) return false
  }
  return true
}

describe('extreme scales', () => {
  const grammar = grow({ v: 6, classes: 4, m: 2, s: 2, L: 10 }, 1)
  const clean = sampleTrees(grammar, random.key(2), 1)
  const leaves = clean.levels[10]!
  const perString = -Math.log(4) - internalNodes(grammar) * Math.log(2)

  it('all-ones evidence says nothing, at any scale of the rows', () => {
    for (const scale of [1, 1e-60, 1e-300, 1e300, 5e-324]) {
      const up = inferUp(grammar, new Float64Array(1024 * 6).fill(scale), 1)
      expect(up.impossible[0]).toBe(0)
      expect(
        Math.abs(up.logEvidence[0]! / (1024 * Math.log(scale) || 1) - (scale === 1 ? 0 : 1)),
      ).toBeLessThan(1e-12)
    }
  })

  it('hard evidence at L = 10 has the probability of its string, at any scale', () => {
    for (const scale of [1, 1e-300, 1e300]) {
      const up = inferUp(grammar, rowsFor(grammar, leaves, scale, 0), 1)
      const expected = perString + 1024 * Math.log(scale)
      expect(Math.abs(up.logEvidence[0]! / expected - 1)).toBeLessThan(1e-12)
      const found = marginals(grammar, up)
      for (const [level, row] of clean.levels.entries()) {
        const width = level === 0 ? 4 : 6
        for (const [n, symbol] of row.entries()) expect(found[level]![n * width + symbol]).toBeCloseTo(1, 12)
      }
      const { trees, logPosterior } = mapTree(grammar, up)
      expect(trees.levels).toEqual(clean.levels)
      expect(logPosterior[0]).toBeCloseTo(0, 8)
      expect(samplePosterior(grammar, up, random.key(0), 1).levels).toEqual(clean.levels)
    }
  })

  it('rows of mixed scales', () => {
    const likelihood = rowsFor(grammar, leaves, 1, 1e-60)
    for (let i = 0; i < 1024; i++) {
      const factor = [1, 1e-60, 1e-240, 1e300][i % 4]!
      for (let x = 0; x < 6; x++) likelihood[i * 6 + x]! *= factor
    }
    const up = inferUp(grammar, likelihood, 1)
    const units = 256 * (Math.log(1e-60) + Math.log(1e-240) + Math.log(1e300))
    expect(Math.abs(up.logEvidence[0]! - perString - units)).toBeLessThan(1e-6)
    expect(allFinite(marginals(grammar, up))).toBe(true)
  })

  it('contradiction that only 1e-60 resolves is improbable, not impossible', () => {
    // one rule a symbol: the class decides every leaf, so two halves of different classes are hundreds of flips apart
    const table = Int32Array.from([0, 1, 1, 0])
    const shape = { v: 2, classes: 2, m: 1, s: 2, L: 9, d: 512 }
    const stiff: Grammar = { ...shape, rules: new Array<Int32Array>(9).fill(table) }
    const trees = enumerate(stiff)
    const [a, b] = trees.map(({ levels }) => levels.at(-1)!) as [number[], number[]]
    const mixed = [...a.slice(0, 256), ...b.slice(256)]
    const up = inferUp(stiff, rowsFor(stiff, mixed, 1, 1e-60), 1)
    const flips = [a, b].map((string) => string.filter((x, i) => x !== mixed[i]).length)
    const logs = flips.map((n) => n * Math.log(1e-60) - Math.log(2))
    const expected = Math.max(...logs) + Math.log1p(Math.exp(-Math.abs(logs[0]! - logs[1]!)))
    expect(flips).toEqual([256, 256])
    expect(up.impossible[0]).toBe(0)
    expect(Math.abs(up.logEvidence[0]! / expected - 1)).toBeLessThan(1e-12)
    const found = marginals(stiff, up)
    expect(found.every((row) => sumsToOne(row, 2))).toBe(true)
    const { trees: best } = mapTree(stiff, up)
    // of equally probable trees the one of the lowest class
    expect(best.levels[0]![0]).toBe(0)
    const drawn = samplePosterior(stiff, up, random.key(1), 5)
    for (let t = 0; t < 5; t++)
      expect(
        trees.some(({ levels }) => levels.at(-1)!.every((x, i) => x === drawn.levels[9]![t * 512 + i])),
      ).toBe(true)
  })

  it('messages beyond the range of numbers agree with enumeration in logarithms', () => {
    const small = withProbabilities(grow({ v: 3, classes: 3, m: 2, s: 2, L: 3 }, 6), random.key(3))
    const trees = enumerate(small)
    const u = random.sampleUniform(random.key(12), 8 * 3)
    // entries from 1e-300 to 1: products reach 1e-2400
    const exponents = Float64Array.from(u, (x) => -Math.floor(x * 4) * 100)
    const likelihood = exponents.map((e) => 10 ** e)
    const up = inferUp(small, likelihood, 1)
    const logs = trees.map(
      ({ levels, probability }) =>
        Math.log(probability) + levels[3]!.reduce((sum, x, i) => sum + exponents[i * 3 + x]! * Math.LN10, 0),
    )
    const max = Math.max(...logs)
    const weights = logs.map((x) => Math.exp(x - max))
    const total = weights.reduce((a, w) => a + w, 0)
    expect(Math.abs(up.logEvidence[0]! / (max + Math.log(total)) - 1)).toBeLessThan(1e-12)
    const found = marginals(small, up)
    for (let level = 0; level <= 3; level++)
      for (let n = 0; n < 2 ** level; n++)
        for (let x = 0; x < 3; x++) {
          const mass = trees.reduce(
            (sum, tree, i) => sum + (tree.levels[level]![n] === x ? weights[i]! : 0),
            0,
          )
          expect(Math.abs(found[level]![n * 3 + x]! - mass / total)).toBeLessThan(1e-12)
        }
    const { trees: best, logPosterior } = mapTree(small, up)
    expect(trees[logs.indexOf(max)]!.levels.map((row) => row.join())).toEqual(
      best.levels.map((row) => row.join()),
    )
    expect(Math.abs(logPosterior[0]! - (max - (max + Math.log(total))))).toBeLessThan(1e-9)
  })

  it('single precision: the same answers to its rounding, contradictions included', () => {
    const small = grow({ v: 4, classes: 4, m: 2, s: 2, L: 3 }, 2)
    const some = sampleTrees(small, random.key(5), 40).levels[3]!
    // the second half is noise: hardly any string fits
    for (let i = 160; i < 320; i++) some[i] = (i * 7) % 4
    for (const low of [0.2, 1e-6, 1e-20, 1e-30]) {
      const wide = inferUp(small, rowsFor(small, some, 1, low), 40)
      const narrow = inferUp(small, Float32Array.from(rowsFor(small, some, 1, low)), 40)
      const [a, b] = [marginals(small, wide), marginals(small, narrow)]
      for (let i = 0; i < 40; i++)
        expect(Math.abs(narrow.logEvidence[i]! - wide.logEvidence[i]!)).toBeLessThan(1e-5)
      for (const [level, row] of a.entries())
        for (const [i, p] of row.entries()) expect(Math.abs(b[level]![i]! - p)).toBeLessThan(1e-5)
    }
  })
})

describe('evidence of probability zero', () => {
  const grammar = grow({ v: 8, classes: 8, m: 3, s: 2, L: 3 }, 3)
  const clean = sampleTrees(grammar, random.key(1), 2).levels[3]!
  const tuples = new Set(
    Array.from({ length: 24 }, (_, r) => grammar.rules[2]!.slice(2 * r, 2 * r + 2).join()),
  )
  const illegal = Array.from({ length: 64 }, (_, i) => [i >> 3, i & 7]).find((t) => !tuples.has(t.join()))!

  it('gives a clear result and leaves the other data of the batch alone', () => {
    const leaves = Int32Array.from([...clean.subarray(0, 8), ...clean])
    leaves.set(illegal, 0)
    const likelihood = rowsFor(grammar, leaves, 1, 0)
    const up = inferUp(grammar, likelihood, 3)
    expect([...up.impossible]).toEqual([1, 0, 0])
    expect(up.logEvidence[0]).toBe(-Infinity)
    const answer = infer(grammar, likelihood, 3, {
      marginals: true,
      map: true,
      samples: { count: 2, key: random.key(4) },
    })
    expect(answer.marginals!.every((row) => row.subarray(0, row.length / 3).every((p) => p === 0))).toBe(true)
    expect(allFinite(answer.marginals!)).toBe(true)
    expect(answer.map!.logPosterior[0]).toBe(-Infinity)
    expect([...answer.samples!.levels[3]!.subarray(0, 16)].every((x) => x === -1)).toBe(true)
    expect([...answer.samples!.levels[3]!.subarray(16, 24)]).toEqual([...clean.subarray(0, 8)])
  })

  it('a row of zeros', () => {
    const likelihood = new Float64Array(64).fill(1)
    likelihood.fill(0, 8, 16)
    const up = inferUp(grammar, likelihood, 1)
    expect(up.impossible[0]).toBe(1)
    expect(
      marginals(grammar, up)
        .flatMap((row) => [...row])
        .every((p) => p === 0),
    ).toBe(true)
  })

  it('a window that no string has', () => {
    const leaves = clean.slice(0, 8)
    leaves.set(illegal, 4)
    expect([...lastToken(grammar, leaves, 7)]).toEqual(new Array(8).fill(0))
    expect(lastToken(grammar, leaves, 2).reduce((a, p) => a + p, 0)).toBeCloseTo(0, 12)
    expect(lastToken(grammar, leaves, 1).reduce((a, p) => a + p, 0)).toBeCloseTo(1, 12)
  })
})

describe('wrong input', () => {
  const grammar = grow({ v: 3, classes: 3, m: 2, s: 2, L: 2 }, 1)
  const good = new Float64Array(24).fill(1)
  it.each([
    [Number.NaN, 'got NaN at datum 1, leaf 2, symbol 1'],
    [-1, 'got -1 at datum 1, leaf 2, symbol 1'],
    [Infinity, 'got Infinity at datum 1, leaf 2, symbol 1'],
  ])('refuses %d', (value, message) => {
    const likelihood = good.slice()
    likelihood[12 + 6 + 1] = value
    expect(() => inferUp(grammar, likelihood, 2)).toThrow(message)
    expect(() => inferUp(grammar, Float32Array.from(likelihood), 2)).toThrow(message)
  })
  it('refuses wrong lengths, samples, windows and tokens', () => {
    expect(() => inferUp(grammar, good, 3)).toThrow('expected 3·4·3 = 36 likelihoods')
    expect(() => inferUp(grammar, good, -1)).toThrow('batch')
    const up = inferUp(grammar, good, 2)
    expect(() => samplePosterior(grammar, up, random.key(0), 1.5)).toThrow('samples')
    expect(() => lastToken(grammar, new Int32Array(4), 4)).toThrow('window: expected an integer from 0 to 3')
    expect(() => lastToken(grammar, new Int32Array(5), 1)).toThrow('strings of 4 tokens')
    expect(() => lastToken(grammar, Int32Array.from([0, 0, 3, 0]), 1)).toThrow('got 3 in string 0 at 2')
  })
  it('an empty batch is no mistake', () => {
    const up = inferUp(grammar, new Float64Array(0), 0)
    expect(samplePosterior(grammar, up, random.key(0), 3).count).toBe(0)
    expect(marginals(grammar, up).every((row) => row.length === 0)).toBe(true)
  })
})

describe('samples', () => {
  /** χ² of counts against probabilities, and its number of degrees of freedom. */
  function chiSquared(counts: readonly number[], expected: readonly number[]): { chi: number; free: number } {
    let chi = 0
    let free = -1
    for (const [i, e] of expected.entries()) {
      if (e === 0) {
        expect(counts[i]).toBe(0)
        continue
      }
      chi += (counts[i]! - e) ** 2 / e
      free++
    }
    return { chi, free }
  }

  it.each([
    ['pairs, uniform', { v: 3, classes: 3, m: 3, s: 2, L: 2 }, false],
    ['triples, weighted', { v: 3, classes: 2, m: 4, s: 3, L: 1 }, true],
    ['many rules', { v: 4, classes: 1, m: 12, s: 2, L: 1 }, true],
  ] as const)('whole trees have the posterior distribution: %s', (_, shape, weighted) => {
    const plain = grow(shape, 5)
    const grammar = weighted ? withProbabilities(plain, random.key(2)) : plain
    const trees = enumerate(grammar)
    const likelihood = Float64Array.from(
      random.sampleUniform(random.key(9), grammar.d * shape.v),
      (u) => 0.3 + u,
    )
    const up = inferUp(grammar, likelihood, 1)
    const n = 20000
    const drawn = samplePosterior(grammar, up, random.key(3), n).levels.at(-1)!
    const index = new Map(trees.map(({ levels }, i) => [levels.at(-1)!.join(), i]))
    const counts = new Array<number>(trees.length).fill(0)
    for (let t = 0; t < n; t++)
      counts[index.get(drawn.subarray(t * grammar.d, (t + 1) * grammar.d).join())!]!++
    const joint = trees.map((tree) => jointWith(grammar, likelihood, tree))
    const total = joint.reduce((a, p) => a + p, 0)
    const { chi, free } = chiSquared(
      counts,
      joint.map((p) => (n * p) / total),
    )
    // four standard deviations: the key is fixed, so this either holds or not
    expect(Math.abs(chi - free)).toBeLessThan(4 * Math.sqrt(2 * free))
  })

  it('roots of different data and samples are independent', () => {
    const grammar = grow({ v: 4, classes: 2, m: 2, s: 2, L: 2 }, 1)
    const batch = 40
    const up = inferUp(grammar, new Float64Array(batch * 4 * 4).fill(1), batch)
    const samples = 100
    const roots = samplePosterior(grammar, up, random.key(8), samples).levels[0]!
    // equal pairs: of data at the same sample, of samples of the same datum; each half, with error 1/(2 sqrt(pairs))
    let data = 0
    let own = 0
    for (let b = 0; b + 1 < batch; b++)
      for (let t = 0; t + 1 < samples; t++) {
        data += Number(roots[b * samples + t] === roots[(b + 1) * samples + t])
        own += Number(roots[b * samples + t] === roots[b * samples + t + 1])
      }
    const pairs = 39 * 99
    expect(Math.abs(data / pairs - 0.5)).toBeLessThan(2 / Math.sqrt(pairs))
    expect(Math.abs(own / pairs - 0.5)).toBeLessThan(2 / Math.sqrt(pairs))
    for (let b = 0; b < batch; b++)
      expect(new Set(roots.subarray(b * samples, (b + 1) * samples)).size).toBe(2)
  })

  it('a sample depends on the key, its datum and its number alone', () => {
    const grammar = grow({ v: 4, classes: 4, m: 2, s: 3, L: 2 }, 1)
    const likelihood = Float64Array.from(random.sampleUniform(random.key(1), 5 * 9 * 4))
    const all = samplePosterior(grammar, inferUp(grammar, likelihood, 5), random.key(2), 6)
    const part = inferUp(grammar, likelihood.subarray(2 * 36, 4 * 36), 2)
    const some = samplePosterior(grammar, part, random.key(2), 3, 2)
    for (let b = 0; b < 2; b++)
      for (let t = 0; t < 3; t++)
        for (const [level, row] of some.levels.entries()) {
          const nodes = 3 ** level
          const other = all.levels[level]!
          const [i, j] = [b * 3 + t, (b + 2) * 6 + t]
          expect(row.subarray(i * nodes, (i + 1) * nodes)).toEqual(other.subarray(j * nodes, (j + 1) * nodes))
        }
    expect(samplePosterior(grammar, part, random.key(3), 3, 2).levels[2]).not.toEqual(some.levels[2])
  })
})

describe('batches over threads', () => {
  it('the same bits whatever the number of threads', async () => {
    const grammar = grow({ v: 5, classes: 3, m: 4, s: 2, L: 3 }, 2)
    const likelihood = Float64Array.from(random.sampleUniform(random.key(1), 11 * 8 * 5), (u) => u ** 8)
    likelihood.fill(0, 40, 45)
    const question = { marginals: true, map: true, samples: { count: 3, key: random.key(4) } }
    const one = infer(grammar, likelihood, 11, question)
    for (const threads of [1, 2, 3])
      expect(await inferInWorkers(grammar, likelihood, 11, question, { threads })).toEqual(one)
    expect(await inferInWorkers(grammar, likelihood, 11, {}, { threads: 2 })).toEqual({
      logEvidence: one.logEvidence,
      impossible: one.impossible,
    })
  })

  it('mistakes name the datum of the whole batch', async () => {
    const grammar = grow({ v: 3, classes: 3, m: 2, s: 2, L: 1 }, 1)
    const likelihood = new Float64Array(9 * 6).fill(1)
    likelihood[8 * 6 + 4] = -2
    await expect(inferInWorkers(grammar, likelihood, 9, {}, { threads: 2 })).rejects.toThrow(
      'got -2 at datum 8, leaf 1, symbol 1',
    )
  })
})
