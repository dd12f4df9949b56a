/** @file Training of edits: against PyTorch in float64, finite differences, closed forms of decay, and itself in other groupings. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultTraining, publishedTraining, type Training } from '../../src/edit/index.ts'
import { openEngine } from '../../src/edit/memoir/engine.ts'
import { type Batch, makeDifferentiator, type TrainingExample } from '../../src/edit/memoir/gradient.ts'
import type { Mask } from '../../src/edit/memoir/masks.ts'
import { candidatesOf } from '../../src/edit/memoir/routed.ts'
import { makeTrainer } from '../../src/edit/memoir/train.ts'
import { type LanguageModel, loadModel, logProbabilityOf } from '../../src/lm/index.ts'
import { readFixture } from '../lm/fixtures.ts'
import { type Sizes, writeOracleModel } from './oracle-model.ts'

interface Text {
  readonly prompt: readonly number[]
  readonly target: readonly number[]
}
interface Case {
  readonly name: string
  readonly layer: number
  readonly window: number
  readonly rate: number
  readonly clip: number
  readonly denominator: 'n' | 'n+1'
  readonly decayOf: Training['decay']['of']
  readonly decay: number
  readonly steps: number
  readonly edits: readonly {
    readonly places: readonly number[]
    readonly lessons: readonly Text[]
    /** Of every step, every target token's cross-entropy. */
    readonly losses: readonly (readonly number[])[]
    readonly gradient: readonly number[]
  }[]
  readonly columns: readonly number[]
  readonly memory: readonly number[]
}
const oracle = readFixture<{ sizes: Sizes; cases: Case[] }>('edits.json')
const { hidden, width, vocabulary } = oracle.sizes

let root: string
const models = new Map<boolean, LanguageModel>()
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'treeline-train-'))
  for (const window of [0, 4]) {
    const path = join(root, String(window))
    await writeOracleModel(path, oracle.sizes, window)
    models.set(window > 0, loadModel(path))
  }
})
afterAll(() => {
  for (const model of models.values()) model.dispose()
  rmSync(root, { recursive: true, force: true })
})

const maskOf = (places: readonly number[]): Mask => {
  const mask = new Uint32Array(Math.ceil(hidden / 32))
  for (const p of places) mask[p >>> 5]! |= 1 << (p & 31)
  return mask
}
const engineOf = (model: LanguageModel, layer: number, memory: Float32Array) =>
  openEngine(model, memory, {
    ...{ layer, routerLayer: layer, ones: places.length, background: new Float64Array(hidden) },
  })
async function examplesOf(
  model: LanguageModel,
  layer: number,
  texts: readonly Text[],
): Promise<TrainingExample[]> {
  const engine = engineOf(model, layer, new Float32Array(hidden * width))
  const examples: TrainingExample[] = []
  for (const { prompt, target } of texts) {
    const ids = [...prompt, ...target.slice(0, -1)]
    examples.push({ hiddenStates: await engine.hiddenStates(ids), tokens: ids.length, target })
  }
  engine.dispose()
  return examples
}
/** Largest difference relative to the largest value. */
function apart(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(got.length).toBe(expected.length)
  let [most, scale] = [0, 0]
  for (let i = 0; i < expected.length; i++) {
    most = Math.max(most, Math.abs(got[i]! - expected[i]!))
    scale = Math.max(scale, Math.abs(expected[i]!))
  }
  return most / scale
}
const mean = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length
const noise = (n: number, seed = 1): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin((i + seed) * (i + 3 * seed)) / 4)
const texts: Text[] = [
  { prompt: [3, 1, 4, 1, 5], target: [9, 2, 6] },
  { prompt: [7, 7, 3, 1, 4, 1, 5], target: [9, 2, 6] },
  { prompt: [60], target: [8] },
]
const long = (n: number, seed: number): Text => ({
  prompt: Array.from({ length: n }, (_, i) => (i * i * seed + seed) % vocabulary),
  target: [5, 6],
})
const places = [0, 3, 4, 11, 17, 23, 31, 32, 40, 47]

describe('an edit beside PyTorch in float64', () => {
  // ten steps in f32: errors of 1e-7 a step, which the loss's curvature lets grow
  it.each(oracle.cases)('$name', async ({ edits, layer, window, steps, ...given }) => {
    const model = models.get(window > 0)!
    const training: Training = {
      ...publishedTraining,
      ...{ rate: given.rate, clip: given.clip, denominator: given.denominator, maxSteps: steps },
      stop: { rule: 'loss', loss: 0 },
      decay: { of: given.decayOf, rate: given.decay },
    }
    const trainer = makeTrainer(model, layer)
    // weights that the runtime packs, and weights that it is given
    const differentiators = [makeDifferentiator(model, layer), makeDifferentiator(model, layer, 0)]
    const memory = new Float32Array(hidden * width)
    for (const { places: own, lessons: about, losses, gradient } of edits) {
      const examples = await examplesOf(model, layer, about)
      for (const { prepare } of differentiators) {
        const batch = await prepare(examples, Int32Array.from(own), given.denominator)
        await batch.evaluate(
          Float32Array.from(own.flatMap((p) => [...memory.subarray(p * width, (p + 1) * width)])),
        )
        expect(apart(batch.losses, losses[0]!)).toBeLessThan(2e-6)
        expect(apart(batch.gradient, gradient)).toBeLessThan(1e-5)
      }
      const taught = await trainer.teach(memory, maskOf(own), examples, training)
      expect(taught.steps).toBe(steps)
      const [first, last] = [losses[0]!, losses.at(-1)!]
      const found = taught.losses
      expect(
        apart([found.first, found.last, found.worst], [mean(first), mean(last), Math.max(...last)]),
      ).toBeLessThan(1e-4)
      for (const [i, p] of taught.places.entries())
        memory.set(taught.values.subarray(i * width, (i + 1) * width), p * width)
    }
    const changed = Array.from({ length: hidden }, (_, p) => p).filter((p) =>
      memory.subarray(p * width, (p + 1) * width).some((v) => v !== 0),
    )
    expect(changed).toEqual(given.columns)
    const columns = changed.flatMap((p) => [...memory.subarray(p * width, (p + 1) * width)])
    expect(apart(columns, given.memory)).toBeLessThan(1e-4)
    trainer.dispose()
    for (const one of differentiators) one.dispose()
  })
})

describe('the gradient', () => {
  it.each([0, 1, 2, 3])(
    'of block %i is that of what the runtime answers, by finite differences',
    async (layer) => {
      const model = models.get(false)!
      const memory = noise(hidden * width)
      const engine = engineOf(model, layer, memory)
      const edits = [{ number: 1, mask: maskOf(places) }]
      const identity = Float32Array.from({ length: hidden }, (_, i) => i)
      // whatever the prompt, the edit answers
      const routing = { candidates: candidatesOf(edits, places.length, identity), need: 0 }
      const start = memory.slice()
      const loss = async (direction: Float32Array, by: number): Promise<number> => {
        memory.set(start)
        for (const [i, p] of places.entries())
          for (let j = 0; j < width; j++) memory[p * width + j]! += by * direction[i * width + j]!
        let total = 0
        for (const { prompt, target } of texts) {
          const ids = [...prompt, ...target.slice(0, -1)]
          const rows = target.map((_, j) => prompt.length - 1 + j)
          const { logits } = await engine.read(ids, rows, routing)
          for (const [j, id] of target.entries())
            total -=
              logProbabilityOf(logits.subarray(j * vocabulary, (j + 1) * vocabulary), id) /
              (target.length + 1) /
              texts.length
        }
        return total
      }
      const differentiator = makeDifferentiator(model, layer)
      const batch = await differentiator.prepare(
        await examplesOf(model, layer, texts),
        Int32Array.from(places),
        'n+1',
      )
      await batch.evaluate(
        Float32Array.from(places.flatMap((p) => [...start.subarray(p * width, (p + 1) * width)])),
      )
      const norm = Math.hypot(...batch.gradient)
      const directions = [batch.gradient, noise(batch.gradient.length, 5), noise(batch.gradient.length, 9)]
      for (const direction of directions) {
        const unit = direction.map((v) => v / Math.hypot(...direction))
        const slope = unit.reduce((s, v, i) => s + v * batch.gradient[i]!, 0)
        // fourth order: truncation far below the rounding of f32 logits, about 1e-6 / h
        const h = 2 ** -5
        const [a, b, c, d] = [
          await loss(unit, h),
          await loss(unit, -h),
          await loss(unit, 2 * h),
          await loss(unit, -2 * h),
        ]
        expect(Math.abs((8 * (a - b) - (c - d)) / (12 * h) - slope)).toBeLessThan(1e-3 * norm)
      }
      engine.dispose()
      differentiator.dispose()
    },
  )

  it('of several passages is the mean of theirs, in one group or in many', async () => {
    const model = models.get(true)!
    const differentiator = makeDifferentiator(model, 1)
    const rows = noise(places.length * width)
    for (const all of [texts, [long(200, 3), long(200, 5), long(200, 7), long(20, 9)]]) {
      const examples = await examplesOf(model, 1, all)
      const evaluated = async (list: TrainingExample[]) => {
        const batch = await differentiator.prepare(list, Int32Array.from(places), 'n')
        await batch.evaluate(rows)
        // again: nothing is left over from the first time
        await batch.evaluate(rows)
        return batch
      }
      const together = await evaluated(examples)
      const apiece: Batch[] = []
      for (const example of examples) apiece.push(await evaluated([example]))
      expect(
        apart(
          together.losses,
          apiece.flatMap(({ losses }) => [...losses]),
        ),
      ).toBeLessThan(1e-6)
      const average = together.gradient.map((_, i) => mean(apiece.map(({ gradient }) => gradient[i]!)))
      expect(apart(together.gradient, average)).toBeLessThan(1e-5)
    }
    differentiator.dispose()
  })

  it('with directions M A instead of A is M times as it was, over groups too', async () => {
    const model = models.get(true)!
    const differentiator = makeDifferentiator(model, 1)
    const rows = noise(places.length * width)
    const examples = await examplesOf(model, 1, [...texts, long(300, 3), long(300, 5)])
    const batch = await differentiator.prepare(examples, Int32Array.from(places), 'n')
    await batch.evaluate(rows)
    const plain = batch.gradient.slice()
    const n = places.length
    const m = noise(n * n)
    const { activations } = batch
    const directions = activations.map((_, at) => {
      const [t, j] = [Math.floor(at / n), at % n]
      let sum = 0
      for (let i = 0; i < n; i++) sum += activations[t * n + i]! * m[i * n + j]!
      return sum
    })
    await batch.evaluate(rows, directions)
    const wanted = plain.map((_, at) => {
      const [j, c] = [Math.floor(at / width), at % width]
      let sum = 0
      for (let i = 0; i < n; i++) sum += m[i * n + j]! * plain[i * width + c]!
      return sum
    })
    expect(apart(batch.gradient, wanted)).toBeLessThan(1e-5)
    differentiator.dispose()
  })

  it('n + 1 divides it by one more than the target has tokens', async () => {
    const model = models.get(false)!
    const differentiator = makeDifferentiator(model, 1)
    const examples = await examplesOf(model, 1, [texts[0]!])
    const rows = noise(places.length * width)
    const [n, more] = [
      await differentiator.prepare(examples, Int32Array.from(places), 'n'),
      await differentiator.prepare(examples, Int32Array.from(places), 'n+1'),
    ]
    await n.evaluate(rows)
    await more.evaluate(rows)
    expect(
      apart(
        more.gradient.map((v) => v * 4),
        n.gradient.map((v) => v * 3),
      ),
    ).toBeLessThan(1e-6)
    differentiator.dispose()
  })
})

describe('training', () => {
  const teach = async (training: Training, memory: Float32Array, about = texts) => {
    const model = models.get(false)!
    const trainer = makeTrainer(model, 1)
    const taught = await trainer.teach(memory, maskOf(places), await examplesOf(model, 1, about), training)
    trainer.dispose()
    return taught
  }
  const rowsOf = (memory: Float32Array, which: ArrayLike<number>): number[] =>
    Array.from(which).flatMap((p) => [...memory.subarray(p * width, (p + 1) * width)])

  it('decay: none leaves other rows; active columns fade alone; dense fades all of them by (1 − 1e-5) a step', async () => {
    const memory = noise(hidden * width)
    const steps = 30
    // a gradient clipped to nothing: what is left is the decay
    const still = (of: Training['decay']['of'], rate: number): Training => ({
      ...publishedTraining,
      ...{ clip: 0, stop: { rule: 'loss', loss: 0 }, decay: { of, rate } },
    })
    const none = await teach(still('none', 1e-5), memory)
    expect([...none.places]).toEqual(places)
    expect([...none.values]).toEqual(rowsOf(memory, places))
    const active = await teach(still('active-columns', 1e-2), memory)
    expect([...active.places]).toEqual(places)
    const faded = rowsOf(memory, places).map((v) => v * (1 - 1e-2) ** steps)
    expect(apart(active.values, faded)).toBeLessThan(2e-6)
    const dense = await teach(still('dense', 1e-5), memory)
    expect(dense.places.length).toBe(hidden)
    // each rounding is at most 6e-8 of the value
    expect(
      apart(
        dense.values,
        memory.map((v) => v * (1 - 1e-5) ** steps),
      ),
    ).toBeLessThan(2e-6)
    // with a gradient, the rows without one still fade by just that
    const published = await teach({ ...publishedTraining, stop: { rule: 'loss', loss: 0 } }, memory)
    const others = Array.from({ length: hidden }, (_, p) => p).filter((p) => !places.includes(p))
    const expected = rowsOf(memory, others).map((v) => v * (1 - 1e-5) ** published.steps)
    expect(published.steps).toBe(steps)
    expect(apart(rowsOf(published.values, others), expected)).toBeLessThan(2e-6)
    expect(apart(rowsOf(published.values, places), rowsOf(memory, places))).toBeGreaterThan(0.01)
  })

  const one = [texts[2]!]

  it('momentum adds its share of the last step to the next', async () => {
    const endless = { ...defaultTraining, stop: { rule: 'loss', loss: 0 } } as const
    const wholeOf = ({ places, values }: { places: Int32Array; values: Float32Array }): Float32Array => {
      const whole = new Float32Array(hidden * width)
      for (const [i, p] of places.entries()) whole.set(values.subarray(i * width, (i + 1) * width), p * width)
      return whole
    }
    const start = new Float32Array(hidden * width)
    const first = await teach({ ...endless, maxSteps: 1, momentum: 0 }, start, one)
    const onward = await teach({ ...endless, maxSteps: 1, momentum: 0 }, wholeOf(first), one)
    const both = await teach({ ...endless, maxSteps: 2, momentum: 0.5 }, start, one)
    // rows began at 0, so that the first step is what they are after it
    const expected = onward.values.map((v, i) => v + 0.5 * first.values[i]!)
    expect(apart(both.values, expected)).toBeLessThan(1e-6)
    expect(apart(both.values, onward.values)).toBeGreaterThan(1e-3)
  })

  it('stops when every token is learned, or at the last step', async () => {
    const memory = new Float32Array(hidden * width)
    const learned = await teach(defaultTraining, memory, one)
    expect(learned.stopped).toBe('loss')
    expect(learned.losses.worst).toBeLessThan(0.1)
    expect(learned.losses.last).toBeLessThanOrEqual(learned.losses.worst)
    // one step less, and it was not
    const before = await teach({ ...defaultTraining, maxSteps: learned.steps - 1 }, memory, one)
    expect(before).toMatchObject({ stopped: 'steps', steps: learned.steps - 1 })
    expect(before.losses.worst).toBeGreaterThanOrEqual(0.1)
    expect(before.losses.first).toBe(learned.losses.first)
    // learned already: no step, the rows as they were
    const again = new Float32Array(hidden * width)
    for (const [i, p] of learned.places.entries())
      again.set(learned.values.subarray(i * width, (i + 1) * width), p * width)
    const idle = await teach(defaultTraining, again, one)
    expect(idle.steps).toBe(0)
    expect([...idle.values]).toEqual([...learned.values])
    expect(defaultTraining).toMatchObject({
      ...{ rate: 2, momentum: 0.8, protection: 1 },
      clip: 1,
      maxSteps: 100,
      stop: { rule: 'loss', loss: 0.1 },
      decay: { of: 'none' },
    })
  })

  it('the published rule stops after a step that began at a loss below 0.02 and within 1e-4 of the one before', async () => {
    const memory = new Float32Array(hidden * width)
    const rule: Training = { ...publishedTraining, maxSteps: 400, rate: 0.3 }
    const taught = await teach(rule, memory, one)
    expect(taught.stopped).toBe('loss')
    const loss = async (steps: number): Promise<number> => {
      const model = models.get(false)!
      const differentiator = makeDifferentiator(model, 1)
      const batch = await differentiator.prepare(
        await examplesOf(model, 1, one),
        Int32Array.from(places),
        'n+1',
      )
      const { values } = await teach(
        { ...rule, maxSteps: steps, stop: { rule: 'loss', loss: 0 } },
        memory,
        one,
      )
      await batch.evaluate(Float32Array.from(rowsOf(values, places)))
      differentiator.dispose()
      return batch.losses.reduce((s, l, i) => s + l * batch.weights[i]!, 0)
    }
    const [a, b, c] = [
      await loss(taught.steps - 3),
      await loss(taught.steps - 2),
      await loss(taught.steps - 1),
    ]
    expect(c).toBeLessThanOrEqual(0.02)
    expect(Math.abs(c - b)).toBeLessThanOrEqual(1e-4)
    expect(b > 0.02 || Math.abs(b - a) > 1e-4).toBe(true)
  })
})
