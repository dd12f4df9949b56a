/** @file Sparing earlier edits: the preconditioner against its definition, and what it keeps on a small model. */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultTraining, type Editor, openEditor } from '../../src/edit/index.ts'
import { sparing } from '../../src/edit/memoir/protection.ts'
import { type Keys, openStore } from '../../src/edit/store/index.ts'
import { loadModel } from '../../src/lm/index.ts'
import { editableModels } from './editable.ts'

/** (I + C/λ) of the definition, written out. */
function definition(own: Keys, others: readonly Keys[], strength: number): number[][] {
  const n = own.places.length
  const tokens = own.activations.length / n
  const lambda = own.activations.reduce((s, x) => s + x * x, 0) / tokens / strength
  const read = (keys: Keys, token: number, place: number): number => {
    const column = keys.places.indexOf(place)
    return column < 0 ? 0 : keys.activations[token * keys.places.length + column]!
  }
  return Array.from({ length: n }, (_, i) =>
    Array.from({ length: n }, (_, j) => {
      let c = 0
      for (const keys of others)
        for (let t = 0; t < keys.activations.length / keys.places.length; t++)
          c += read(keys, t, own.places[i]!) * read(keys, t, own.places[j]!)
      return (i === j ? 1 : 0) + c / lambda
    }),
  )
}

const keys = fc
  .tuple(
    fc.uniqueArray(fc.integer({ min: 0, max: 11 }), { minLength: 1, maxLength: 8 }),
    fc.integer({ min: 1, max: 4 }),
  )
  .chain(([places, tokens]) =>
    fc
      .array(fc.float({ min: -2, max: 2, noNaN: true }), {
        minLength: places.length * tokens,
        maxLength: places.length * tokens,
      })
      .map((values) => ({
        places: Int32Array.from(places.toSorted((a, b) => a - b)),
        activations: Float32Array.from(values),
      })),
  )

describe('protection', () => {
  // by the sum of all tokens; by the tokens themselves, where they are few
  it.each([1024, 0])('is the activations times the inverse of I + C/λ, beyond %i places by tokens', (few) => {
    fc.assert(
      fc.property(
        keys,
        fc.array(keys, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(0.1, 1, 10),
        fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: 24, maxLength: 24 }),
        (own, others, strength, values) => {
          fc.pre(own.activations.reduce((s, x) => s + x * x, 0) > 0.1)
          const n = own.places.length
          // three tokens: those of the prompt and of what stands around it
          const activations = Float32Array.from(values.slice(0, 3 * n))
          const spared = sparing(activations, own, others, strength, few)
          const matrix = definition(own, others, strength)
          for (let t = 0; t < 3; t++)
            for (let j = 0; j < n; j++) {
              let [product, size] = [0, 0]
              for (let k = 0; k < n; k++) {
                product += spared[t * n + k]! * matrix[k]![j]!
                size += Math.abs(spared[t * n + k]! * matrix[k]![j]!)
              }
              expect(Math.abs(product - activations[t * n + j]!)).toBeLessThan(1e-6 * (1 + size))
            }
        },
      ),
    )
  })

  it('leaves nothing of what others read, where it is strong; everything, where there are no others', () => {
    const own = { places: Int32Array.of(1, 4, 5), activations: Float32Array.of(1, 2, 3) }
    const other = { places: Int32Array.of(0, 4, 5), activations: Float32Array.of(9, 1, -1) }
    const unit = Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1)
    expect(sparing(unit, own, [], 1)).toBe(unit)
    expect(sparing(unit, own, [other], 0)).toBe(unit)
    const strong = sparing(unit, own, [other], 1e6)
    // row 0 is not shared; of the others only what the other edit reads, (1, −1), is taken away
    for (const [i, value] of [1, 0, 0, 0, 0.5, 0.5, 0, 0.5, 0.5].entries())
      expect(strong[i]).toBeCloseTo(value, 4)
  })

  it('refuses activations that are no numbers', () => {
    const own = { places: Int32Array.of(1), activations: Float32Array.of(1) }
    const broken = { places: Int32Array.of(1), activations: Float32Array.of(Number.NaN) }
    expect(() => sparing(own.activations, own, [broken], 1)).toThrow(/not finite/)
  })
})

describe('a store with protection', () => {
  const root = mkdtempSync(join(tmpdir(), 'treeline-protection-'))
  let model: Awaited<ReturnType<typeof loadModel>>
  let path: string
  beforeAll(async () => {
    path = (await editableModels()).pathOf('llama')
    model = loadModel(path, { threads: 1 })
  })
  afterAll(() => {
    model.dispose()
    rmSync(root, { recursive: true, force: true })
  })
  const training = { ...defaultTraining, maxSteps: 60, stop: { rule: 'loss', loss: 0.3 } as const }
  const facts = [
    { prompt: 'who is abc', target: 'xy' },
    { prompt: 'Zebra 77?', target: 'q' },
    { prompt: 'where is Zebra', target: 'ab' },
  ]
  const open = (name: string, protection: number) =>
    openEditor(model, join(root, name), {
      create: { layer: 0, gate: 'none', threshold: 0.97, training: { ...training, protection } },
    })
  const lossOf = async (editor: Editor, fact: (typeof facts)[number]): Promise<number> => {
    const { logProbabilities } = await editor.score(fact.prompt, fact.target)
    return -logProbabilities.reduce((a, b) => a + b, 0) / logProbabilities.length
  }

  it('changes earlier edits less', async () => {
    const change: number[] = []
    for (const protection of [0, 100]) {
      const editor = await open(`change-${protection}`, protection)
      await editor.add(facts[0]!)
      const before = await lossOf(editor, facts[0]!)
      await editor.add(facts[1]!)
      await editor.add(facts[2]!)
      change.push(Math.abs((await lossOf(editor, facts[0]!)) - before))
      editor.dispose()
    }
    expect(change[0]).toBeGreaterThan(0.01)
    expect(change[1]).toBeLessThan(0.5 * change[0]!)
  })

  it('opened again, with its keys or without, it goes on with the same bits; a replay gives them too', async () => {
    const memories: Float32Array[] = []
    for (const how of ['at once', 'opened again', 'keys lost'] as const) {
      const name = `bits ${how}`
      let editor = await open(name, 1)
      for (const [i, fact] of facts.entries()) {
        if (i > 0 && how !== 'at once') {
          editor.dispose()
          if (how === 'keys lost') rmSync(join(root, name, `keys-${i}.safetensors`))
          editor = await open(name, 1)
        }
        await editor.add(fact)
      }
      expect(await editor.replay()).toEqual({ edits: [1, 2, 3], identical: true })
      editor.dispose()
      memories.push(openStore(join(root, name)).memory)
    }
    expect(memories[0]!.some((x) => x !== 0)).toBe(true)
    for (const memory of memories.slice(1)) expect([...memory]).toEqual([...memories[0]!])
  })

  it('does not spare the edit that it replaces', async () => {
    const editor = await open('replaced', 1e6)
    await editor.add(facts[0]!)
    const { supersedes, losses } = await editor.add({ ...facts[0]!, target: 'q' })
    expect(supersedes).toBe(1)
    expect(losses.last).toBeLessThan(0.5 * losses.first)
    // nor does a replay, nor what comes after spare what was replaced
    await editor.add(facts[1]!)
    expect(await editor.replay()).toMatchObject({ identical: true })
    editor.dispose()
  })

  it('clears away keys of an edit that was never finished', async () => {
    const editor = await open('unfinished', 1)
    await editor.add(facts[0]!)
    const stale = join(root, 'unfinished', 'keys-3.safetensors')
    copyFileSync(join(root, 'unfinished', 'keys-1.safetensors'), stale)
    await editor.add(facts[1]!)
    expect(existsSync(stale)).toBe(false)
    expect(existsSync(join(root, 'unfinished', 'keys-2.safetensors'))).toBe(true)
    editor.dispose()
  })
})
