/** The scope's score in a program against the same by hand in float64: several looks, their weights, and edits that nothing holds back. */
import { assert, asyncProperty, double, integer, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { askingAlong, scopeArrays, scopeTable } from '../../src/edit/scope/routed.ts'
import { type Look, nearness, parted, placed, scopeVectors } from '../../src/edit/scope/scope.ts'
import { compile, random, type Tensor, tensor } from '../../src/tensor/index.ts'

const [width, dimensions, questions, edits, tokens] = [6, 3, 5, 4, 7]

/** Numbers of a normal distribution, as many as are asked for each time. */
function draws(seed: number): (count: number) => Float32Array {
  let drawn = 0
  return (count) =>
    Float32Array.from(random.sampleNormal(random.foldIn(random.key(seed), drawn++), count) as never)
}

const unit = (x: Float64Array | Float32Array): Float64Array => {
  const norm = Math.hypot(...x)
  return Float64Array.from(x, (value) => value / norm)
}

/** A made-up scope, what edits ask by it, and a text as it enters two blocks. */
function madeUp(seed: number, weights: readonly number[]) {
  const next = draws(seed)
  const looks: Look[] = [
    { layer: 3, tokens: 'outside', weight: weights[0]! },
    { layer: 5, tokens: 'outside', weight: weights[1]! },
    { layer: 5, tokens: 'last', weight: weights[2]! },
  ]
  const known = Array.from({ length: looks.length * questions }, () => [...unit(next(dimensions))])
  const scope = parted({
    ...{ width, dimensions, looks },
    map: next(looks.length * width * dimensions),
    questions: Float32Array.from(known.flat()),
  })
  const asks = Array.from({ length: edits }, () => ({
    mean: next(looks.length * width).map((x) => x / 3),
    vector: Float32Array.from(looks.flatMap(() => [...unit(next(dimensions))])),
  }))
  const states = new Map([3, 5].map((layer) => [layer, next(tokens * width)]))
  const outside = next(edits * tokens).map(Math.abs)
  for (let e = 0; e < edits; e++) {
    const row = outside.subarray(e * tokens, (e + 1) * tokens)
    const total = row.reduce((a, b) => a + b, 0)
    for (let t = 0; t < tokens; t++) row[t]! /= total
  }
  return { looks, scope, asks, states, outside }
}

type MadeUp = ReturnType<typeof madeUp>

/** Scores in float64, from the definition; with what is left of the features. */
function scoresOf({ looks, scope, asks, states, outside }: MadeUp) {
  return asks.map(({ mean, vector }, e) => {
    let score = 0
    const rest: number[] = []
    for (const [l, { layer, tokens: which, weight }] of looks.entries()) {
      const feature = new Float64Array(width)
      for (let t = 0; t < tokens; t++) {
        const row = states.get(layer)!.subarray(t * width, (t + 1) * width)
        const share = which === 'last' ? Number(t === tokens - 1) : outside[e * tokens + t]!
        const norm = Math.hypot(...row) / Math.sqrt(width)
        for (let j = 0; j < width; j++) feature[j]! += (share * row[j]!) / norm
      }
      const own = scope.looks[l]!
      rest.push(...feature.map((x, j) => x - mean[l * width + j]!))
      const asked = unit(
        Float64Array.from({ length: dimensions }, (_, d) =>
          feature.reduce((sum, x, j) => sum + (x - mean[l * width + j]!) * own.map[j * dimensions + d]!, 0),
        ),
      )
      const taught = vector.subarray(l * dimensions, (l + 1) * dimensions)
      const inner = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
        Array.from(a).reduce((sum, x, i) => sum + x * b[i]!, 0)
      // 0.38 of five known questions are two
      const common = (x: ArrayLike<number>): number =>
        Array.from({ length: questions }, (_, q) =>
          inner(own.questions.subarray(q * dimensions, (q + 1) * dimensions), x),
        )
          .sort((a, b) => b - a)
          .slice(0, 2)
          .reduce((a, b) => a + b, 0) / 4
      score += weight * (inner(asked, taught) - common(asked) - common(taught))
    }
    return { score, rest: Float64Array.from(rest) }
  })
}

/** What the program says of edits whose least scores are these (NaN: not held back). */
async function said({ looks, scope, asks, states, outside }: MadeUp, least: readonly number[]) {
  const held = asks.map((own, e) => (Number.isNaN(least[e]) ? {} : { asks: own }))
  const { means, vectors } = scopeTable(scope, held, 0)
  const needs = Float32Array.from(least, (need, e) => {
    if (Number.isNaN(need)) return scopeTable(scope, [{}], 0).needs[0]!
    return need + placed(scope, Float64Array.from(asks[e]!.vector)).common
  })
  const { map, questions: columns } = scopeArrays(scope)
  const count = looks.length
  const program = (low: Tensor, high: Tensor): Tensor => {
    const asking = askingAlong(looks)
    const inputs = () => ({
      outside: tensor(outside, { shape: [1, edits, tokens] }),
      ending: tensor(
        Float32Array.from({ length: tokens }, (_, t) => Number(t === tokens - 1)),
        { shape: [1, 1, tokens] },
      ),
      scopeMeans: tensor(means, { shape: [count, edits, dimensions] }),
      scopeVectors: tensor(vectors, { shape: [count, edits, dimensions] }),
      scopeNeeds: tensor(needs),
      scopeMap: tensor(map, { shape: [count, width, dimensions] }),
      scopeQuestions: tensor(columns, { shape: [count, dimensions, questions] }),
    })
    for (const [layer, states] of [[3, low] as const, [4, low] as const, [5, high] as const])
      asking.enter(layer, () => states, inputs)
    return asking.same(tensor(needs))
  }
  const [low, high] = [3, 5].map((layer) => tensor(states.get(layer)!, { shape: [1, tokens, width] }))
  return Array.from((await compile(program)(low!, high!)).data, Boolean)
}

describe('the score of several looks', () => {
  const cases = record({
    seed: integer({ min: 0, max: 1e6 }),
    first: double({ min: 0.05, max: 0.9, noNaN: true }),
    last: double({ min: 0.05, max: 1, noNaN: true }),
  })

  it('is the one of the definition, in JavaScript and in the program', async () => {
    await assert(
      asyncProperty(cases, async ({ seed, first, last }) => {
        const own = madeUp(seed, [first, (1 - first) * (1 - last), (1 - first) * last])
        const found = scoresOf(own)
        const scores = found.map(({ score }) => score)
        for (const [e, { score, rest }] of found.entries()) {
          const taught = placed(own.scope, Float64Array.from(own.asks[e]!.vector))
          const asked = placed(own.scope, scopeVectors(own.scope, rest))
          expect(nearness(own.scope, asked, taught)).toBeCloseTo(score, 10)
        }
        const above = scores.map((score) => score - 2e-5)
        const below = scores.map((score) => score + 2e-5)
        expect(await said(own, above)).toEqual(scores.map(() => true))
        expect(await said(own, below)).toEqual(scores.map(() => false))
        // nothing holds back an edit without a subject
        expect(await said(own, below.with(1, Number.NaN))).toEqual([false, true, false, false])
      }),
      { numRuns: 15 },
    )
  })

  it('of an own prompt is 1 less twice its commonness, whatever the weights', () => {
    const own = madeUp(3, [0.4, 0.4, 0.2])
    const rest = Float64Array.from(draws(9)(own.looks.length * width))
    const it = placed(own.scope, scopeVectors(own.scope, rest))
    expect(nearness(own.scope, it, it)).toBeCloseTo(1 - 2 * it.common, 12)
  })
})
