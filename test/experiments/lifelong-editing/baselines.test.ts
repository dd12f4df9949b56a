/** @file LocFT-BF, UltraEdit and norm anchors on tiny models: against formulas in float64, finite differences, and norms. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { textsOf } from '../../../src/edit/index.ts'
import {
  anchoredTo,
  normAnchor,
  trimmedMean,
} from '../../../src/experiments/lifelong-editing/methods/anchored.ts'
import { batchOf, plus } from '../../../src/experiments/lifelong-editing/methods/edited.ts'
import { openHalves } from '../../../src/experiments/lifelong-editing/methods/halves.ts'
import { methodOf } from '../../../src/experiments/lifelong-editing/methods/index.ts'
import { locFtConstants, locFtWith } from '../../../src/experiments/lifelong-editing/methods/locFt.ts'
import { memitWith } from '../../../src/experiments/lifelong-editing/methods/memit.ts'
import { romeWith } from '../../../src/experiments/lifelong-editing/methods/rome.ts'
import {
  openTraces,
  ridge,
  runningStatistics,
  ultraEditWith,
  wantedOutputs,
} from '../../../src/experiments/lifelong-editing/methods/ultraEdit.ts'
import { type Anchoring, normOf } from '../../../src/experiments/lifelong-editing/methods/value.ts'
import { type LanguageModel, loadModel } from '../../../src/lm/index.ts'
import { furthest, type Tiny, tinyModels } from '../../lm/fixtures.ts'
import { words } from './characters.ts'
import { twiceAsDeep } from './deep.ts'

let all: { models: Tiny[]; deep: LanguageModel; clean: () => void }
let model: LanguageModel
beforeAll(async () => {
  const tiny = await tinyModels()
  const { path } = tiny.models.find(({ name }) => name === 'llama')!
  model = loadModel(path)
  all = { ...tiny, deep: loadModel(await twiceAsDeep(path)) }
})
afterAll(() => {
  model.dispose()
  all.deep.dispose()
  all.clean()
})

const end = 95
const ending = { ...words, eosIds: [end] }
const facts = [
  { prompt: 'who is abc?', target: 'xy', subject: 'abc' },
  { prompt: 'a', target: 'longer', subject: 'a' },
  { prompt: 'Zoe is from', target: 'B', subject: 'Zoe' },
]
const about = { name: 'spied', title: 'spied', about: '', source: '' }
const mean = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length

describe('LocFT-BF', () => {
  it('one epoch is one step of Adam on the mean over facts, with the end of each target', async () => {
    const edited = await methodOf('locft-bf').open(model, ending, { layer: 0, steps: 1 })
    const taught = await edited.teachAll!(facts, () => undefined)
    expect(taught.map(({ steps }) => steps)).toEqual([1, 1, 1])
    // the same by one fact at a time: a first step of Adam goes by the rate against the sign
    const halves = await openHalves(model, 0)
    const gradient = new Float64Array(halves.hidden * halves.width)
    for (const [i, { prompt, target }] of facts.entries()) {
      const [before, after] = [words.encode(prompt), [...words.encode(` ${target}`), end]]
      const { a, x } = await batchOf(halves, [[...before, ...after.slice(0, -1)]])
      const wanted = after.map((label, j) => ({
        at: before.length - 1 + j,
        label,
        weight: 1 / after.length / facts.length,
      }))
      const { losses, gradient: own } = await halves.slope(x, 1, wanted)
      expect(taught[i]!.loss).toBeCloseTo(mean([...losses]), 4)
      for (const [p, v] of (await halves.outer(a, own)).entries()) gradient[p]! += v
    }
    const change = Float32Array.from(gradient, (g) => (-locFtConstants.rate * g) / (Math.abs(g) + 1e-8))
    const ids = words.encode('what else')
    const text = halves.text(ids.length)
    const { a, x } = await halves.below(text, ids)
    const logits = await halves.above(text, plus(x, await halves.apply(a, change)), [ids.length - 1])
    expect(furthest(await edited.logits('what else'), [...logits])).toBeLessThan(1e-3)
    expect(furthest(await model.logits(ids), [...logits])).toBeGreaterThan(1e-2)
    halves.dispose()
    edited.dispose()
  })

  it('mini-batches go through all facts in every epoch, and answers stop where targets end', async () => {
    const epochs = 150
    const short = facts.map((fact, i) => ({ ...fact, target: 'xyB'[i]! }))
    const method = locFtWith({ rate: 5e-3, batch: 2, stop: 0 })
    const edited = await method.open(model, ending, { layer: 0, steps: epochs })
    const shares: number[] = []
    const taught = await edited.teachAll!(short, (share) => shares.push(share))
    // two mini-batches an epoch, each reported, and the end
    const expected = Array.from({ length: epochs }, (_, epoch) => [epoch / epochs, (epoch + 2 / 3) / epochs])
    expect(furthest(shares, [...expected.flat(), 1])).toBeLessThan(1e-9)
    expect(taught.map(({ steps }) => steps)).toEqual([epochs, epochs, epochs])
    for (const { prompt, target } of short)
      expect((await edited.generate(prompt, { maxTokens: 12 })).text.trim()).toBe(target)
    edited.dispose()
  })

  it('ends after the epoch whose loss is small enough, which makes no step', async () => {
    // logits of a tiny model are bounded: 0.01 is out of reach
    const method = locFtWith({ rate: 5e-3, batch: 2, stop: 0.3 })
    const edited = await method.open(model, ending, { layer: 0, steps: 2000 })
    const [first] = await edited.teachAll!([facts[0]!], () => undefined)
    expect(first!.steps).toBeLessThan(2000)
    expect(first!.loss).toBeLessThan(0.3)
    const learned = [...(await edited.logits('what else'))]
    expect(await edited.teach(facts[0]!)).toEqual({ steps: 0, loss: first!.loss })
    expect([...(await edited.logits('what else'))]).toEqual(learned)
    edited.dispose()
  })

  it('a tokenizer without an end of text is refused, and an interruption ends the teaching', async () => {
    await expect(methodOf('locft-bf').open(model, words, { layer: 0 })).rejects.toThrow(/names no token/)
    const edited = await methodOf('locft-bf').open(model, ending, { layer: 0 })
    const stop = () => {
      throw new Error('enough')
    }
    await expect(edited.teachAll!(facts, stop)).rejects.toThrow(/enough/)
    edited.dispose()
  })
})

/** Solve A X = B by elimination with pivots; A [n, n] and B [n, columns] as rows. */
function eliminate(A: readonly (readonly number[])[], B: readonly (readonly number[])[]): number[][] {
  const rows = A.map((row, i) => [...row, ...B[i]!])
  const n = rows.length
  for (let c = 0; c < n; c++) {
    const pivot = rows.reduce(
      (best, row, i) => (i >= c && Math.abs(row[c]!) > Math.abs(rows[best]![c]!) ? i : best),
      c,
    )
    ;[rows[c], rows[pivot]] = [rows[pivot]!, rows[c]!]
    for (let i = 0; i < n; i++) {
      if (i === c) continue
      const factor = rows[i]![c]! / rows[c]![c]!
      for (let j = c; j < rows[i]!.length; j++) rows[i]![j]! -= factor * rows[c]![j]!
    }
  }
  return rows.map((row, i) => row.slice(n).map((v) => v / row[i]!))
}

const numbers = (length: number) =>
  fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: length, maxLength: length })

describe('UltraEdit', () => {
  it('the ridge is (HᵀH + 1)⁻¹ HᵀV, by elimination', () => {
    fc.assert(
      fc.property(numbers(3 * 5), numbers(3 * 2), (h, v) => {
        const H = [0, 1, 2].map((i) => h.slice(i * 5, i * 5 + 5))
        const V = [0, 1, 2].map((i) => v.slice(i * 2, i * 2 + 2))
        const features = [0, 1, 2, 3, 4]
        const A = features.map((p) =>
          features.map((q) => H.reduce((s, row) => s + row[p]! * row[q]!, p === q ? 1 : 0)),
        )
        const B = features.map((p) => [0, 1].map((j) => H.reduce((s, row, i) => s + row[p]! * V[i]![j]!, 0)))
        const found = ridge(Float32Array.from(h), Float64Array.from(v), 3)
        expect(furthest(found, eliminate(A, B).flat())).toBeLessThan(1e-5)
      }),
    )
  })

  it('statistics: the mean of all rows; deviations as published, from unbiased variances of batches', () => {
    // batches 1, 3 | 8, 2, 5: sums of squares 2 · 2 + 3 · 9, and 2 · 3 · (5 − 2)² / 5 between them, over 5 − 1
    const statistics = runningStatistics(1)
    statistics.update(Float32Array.of(1, 3))
    expect(furthest(statistics.normalized(Float32Array.of(1, 3)), [-0.5, 0.5])).toBeLessThan(1e-6)
    statistics.update(Float32Array.of(8, 2, 5))
    const deviation = Math.sqrt((4 + 27 + 54 / 5) / 4)
    const expected = [1, 3.8, 8].map((v) => (v - 3.8) / deviation)
    expect(furthest(statistics.normalized(Float32Array.of(1, 3.8, 8)), expected)).toBeLessThan(1e-6)
    // one row alone says nothing of deviations, and moves nothing
    const one = runningStatistics(2)
    one.update(Float32Array.of(4, -7))
    expect([...one.normalized(Float32Array.of(4, -7))]).toEqual([0, 0])
    expect([...wantedOutputs(Float64Array.of(1, 2, 3, -1, 0, 1, 5, 2), 2, 2, 0.1)]).toEqual(
      [-5 * 3, 5 * 1, -5, -2].map((v) => v * 0.1),
    )
  })

  const exampleOf = ({ prompt, target }: { prompt: string; target: string }, place: number) => {
    const [before, after] = [words.encode(prompt), words.encode(` ${target}`)]
    return { place, sequence: [...before, ...after.slice(0, -1)], from: before.length - 1, target: after }
  }

  it('slopes at both projections are those of finite differences, with edits in place', async () => {
    const { blocks, hidden, width, held, trace, dispose } = await openTraces(all.deep, 2, words)
    expect(blocks).toEqual([1, 2])
    // some edit, large enough to matter
    for (const change of held.changes())
      for (let i = 0; i < change.length; i++) change[i] = 0.05 * Math.sin(1 + 7 * i)
    // prompts of one token: every token predicts one of the answer, so that d loss / d W is HᵀG
    const own = [
      { prompt: 'a', target: 'longer' },
      { prompt: 'b', target: 'xy' },
    ]
    const examples = own.map(exampleOf)
    const tokens = examples.reduce((s, { target }) => s + target.length, 0)
    const total = async (): Promise<number> => {
      let sum = 0
      for (const { prompt, target } of own)
        for (const v of (await held.questions.score(prompt, target)).logProbabilities) sum -= v
      return sum / tokens
    }
    const { traces, losses } = await trace(examples)
    const weighted = losses.reduce((s, loss, i) => s + loss * examples[i]!.target.length, 0) / tokens
    expect(weighted).toBeCloseTo(await total(), 4)
    for (const [i, change] of held.changes().entries()) {
      const { keys, slopes } = traces[i]!
      expect([keys.length, slopes.length]).toEqual([tokens * hidden, tokens * width])
      const slope = Float64Array.from({ length: hidden * width }, (_, at) => {
        let sum = 0
        for (let row = 0; row < tokens; row++)
          sum += keys[row * hidden + Math.floor(at / width)]! * slopes[row * width + (at % width)]!
        return sum
      })
      const steepest = [...slope.keys()].sort((p, q) => Math.abs(slope[q]!) - Math.abs(slope[p]!)).slice(0, 3)
      for (const at of steepest) {
        const [here, h] = [change[at]!, 1e-2]
        change[at] = here + h
        const more = await total()
        change[at] = here - h
        const less = await total()
        change[at] = here
        expect(Math.abs(slope[at]! - (more - less) / (2 * h)), `block ${blocks[i]}`).toBeLessThan(
          0.02 * Math.abs(slope[at]!),
        )
      }
    }
    dispose()
  })

  it('two turns are the published formulas, solved by elimination', async () => {
    const rate = 1e-3
    const edited = await ultraEditWith({ rate, turn: 2, batch: 2 }).open(all.deep, words, { layer: 2 })
    const before = [...(await edited.logits('what else'))]
    expect(await edited.teachAll!(facts, () => undefined)).toMatchObject([
      { steps: 1 },
      { steps: 1 },
      { steps: 1 },
    ])
    const { hidden, width, held, trace, dispose } = await openTraces(all.deep, 2, words)
    const rowsOf = (flat: ArrayLike<number>, columns: number): number[][] =>
      Array.from({ length: flat.length / columns }, (_, i) =>
        Array.from({ length: columns }, (_, j) => flat[i * columns + j]!),
      )
    const batches: number[][][] = []
    const columns = Array.from({ length: hidden + width }, (_, j) => j)
    for (const turn of [facts.slice(0, 2), facts.slice(2)]) {
      const { traces } = await trace(turn.map(exampleOf))
      const own = traces.map(({ keys, slopes }) => ({ H: rowsOf(keys, hidden), G: rowsOf(slopes, width) }))
      // both projections share the statistics
      for (const { H, G } of own) batches.push(H.map((h, i) => [...h, ...G[i]!]))
      const everything = batches.flat()
      const means = columns.map((j) => mean(everything.map((row) => row[j]!)))
      const deviations = columns.map((j) => {
        let squares = 0
        for (const rows of batches) {
          const centre = mean(rows.map((row) => row[j]!))
          const inside = rows.reduce((sum, row) => sum + (row[j]! - centre) ** 2, 0)
          squares += (rows.length * inside) / (rows.length - 1) + rows.length * (centre - means[j]!) ** 2
        }
        return Math.sqrt(squares / (everything.length - 1))
      })
      for (const [m, { H, G }] of own.entries()) {
        const V = H.map((h, i) => {
          const hat = h.map((v, j) => (v - means[j]!) / (deviations[j]! + 2 ** -23))
          const square = hat.reduce((sum, v) => sum + v * v, 0)
          return G[i]!.map((v, j) => {
            const own = (v - means[hidden + j]!) / (deviations[hidden + j]! + 2 ** -23)
            return -rate * square * own
          })
        })
        const A = columns
          .slice(0, hidden)
          .map((p) =>
            columns.slice(0, hidden).map((q) => H.reduce((s, h) => s + h[p]! * h[q]!, p === q ? 1 : 0)),
          )
        const B = columns
          .slice(0, hidden)
          .map((p) => columns.slice(0, width).map((j) => H.reduce((s, h, i) => s + h[p]! * V[i]![j]!, 0)))
        const change = held.changes()[m]!
        for (const [i, v] of eliminate(A, B).flat().entries()) change[i]! += v
      }
    }
    const expected = [...(await held.questions.logits('what else'))]
    expect(furthest(expected, before)).toBeGreaterThan(1e-2)
    expect(furthest([...(await edited.logits('what else'))], expected)).toBeLessThan(1e-3)
    // statistics begin anew with the model
    const after = [...(await edited.logits('what else'))]
    await edited.reset()
    expect([...(await edited.logits('what else'))]).toEqual(before)
    await edited.teachAll!(facts, () => undefined)
    expect([...(await edited.logits('what else'))]).toEqual(after)
    dispose()
    edited.dispose()
  })
})

describe('norm anchors', () => {
  it('v* keeps its direction and has the norm of the anchor; one that is far too long is not written', () => {
    fc.assert(
      fc.property(numbers(4), numbers(4), fc.double({ min: 0.5, max: 4, noNaN: true }), (v, d, anchor) => {
        const [value, delta] = [Float32Array.from(v), Float32Array.from(d)]
        const wanted = v.map((x, j) => x + d[j]!)
        fc.pre(normOf(wanted) > 0.1 && Math.abs(normOf(wanted) - 2 * anchor) > 1e-3)
        const written = anchoredTo(anchor, 2)(value, delta)
        if (normOf(wanted) > 2 * anchor) expect([...written]).toEqual([0, 0, 0, 0])
        else {
          const found = v.map((x, j) => x + written[j]!)
          expect(normOf(found)).toBeCloseTo(anchor, 4)
          const cosine = found.reduce((s, x, j) => s + x * wanted[j]!, 0) / normOf(found) / normOf(wanted)
          expect(cosine).toBeCloseTo(1, 4)
        }
      }),
    )
    expect(trimmedMean([9, 1, 2, 3], 0.25)).toBe(2)
    expect(trimmedMean([9, 1, 2], 0.25)).toBe(4)
  })

  /** The rule, and every v₀ that it was given. */
  function spy(anchor: number) {
    const values: Float32Array[] = []
    const anchoring: Anchoring = async () => (value, delta) => {
      values.push(value.slice())
      return anchoredTo(anchor, 1e9)(value, delta)
    }
    return { values, anchoring }
  }

  it.each(['rome', 'memit'] as const)(
    '%s: what a projection gives after the edit has the norm of the anchor',
    async (name) => {
      const { values, anchoring } = spy(3)
      const method = name === 'rome' ? romeWith(about, anchoring) : memitWith(about, anchoring)
      // MEMIT in one block and with a light λ writes all of it
      const edited = await method.open(model, words, { layer: 0, weight: 1e-9 })
      await edited.teach(facts[0]!)
      await edited.teach(facts[0]!)
      // v₀ of the first edit is what the unedited projection gives, by hand; of the second what the first has written
      const halves = await openHalves(model, 0)
      const given = words.encode(facts[0]!.prompt).slice(0, 'who is abc'.length)
      const { a } = await halves.below(halves.text(given.length), given)
      const key = a.slice((given.length - 1) * halves.hidden)
      const own = Array.from({ length: halves.width }, (_, j) =>
        key.reduce((sum, v, p) => sum + v * halves.weight[p * halves.width + j]!, 0),
      )
      expect(furthest(values[0]!, own)).toBeLessThan(1e-4)
      expect(Math.abs(normOf(values[0]!) - 3)).toBeGreaterThan(0.1)
      expect(normOf(values[1]!)).toBeCloseTo(3, 3)
      halves.dispose()
      edited.dispose()
    },
  )

  it('the anchor is that of the unedited model, whatever was taught, and the rows use it', {
    timeout: 60_000,
  }, async () => {
    const halves = await openHalves(model, 0)
    const anchor = await normAnchor(halves, words, textsOf(words, model.context))
    expect(anchor).toBeGreaterThan(0)
    const { values, anchoring } = spy(anchor)
    const [row, same] = [methodOf('rome-anchored'), romeWith(about, anchoring)]
    const [one, two] = [
      await row.open(model, words, { layer: 0 }),
      await same.open(model, words, { layer: 0 }),
    ]
    const plain = await methodOf('rome').open(model, words, { layer: 0 })
    for (const fact of facts) for (const edited of [one, two, plain]) await edited.teach(fact)
    expect(values.length).toBe(facts.length)
    expect([...(await one.logits('what else'))]).toEqual([...(await two.logits('what else'))])
    expect([...(await one.logits('what else'))]).not.toEqual([...(await plain.logits('what else'))])
    for (const edited of [one, two, plain]) edited.dispose()
    halves.dispose()
  })
})
