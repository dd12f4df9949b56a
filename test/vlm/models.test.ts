/** @file LLaVA, Idefics3 and SmolVLM beside Transformers on random small models: ids, logits, greedy tokens; the second stream; mistakes. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { argmaxOf } from '../../src/lm/index.ts'
import { random } from '../../src/tensor/index.ts'
import { contrast, openVisionLanguageModel, type VisionLanguageModel } from '../../src/vlm/index.ts'
import { waves } from './pictures.ts'

const root = fileURLToPath(new URL('../fixtures/vlm', import.meta.url))
interface Case {
  readonly name: string
  readonly sizes: readonly [number, number][]
  readonly question: string
  readonly text: string
  readonly ids: readonly number[]
  readonly rows: readonly number[]
  readonly greedy: readonly number[]
}
const expected = JSON.parse(readFileSync(join(root, 'expected.json'), 'utf8')) as Record<string, Case[]>
const fixture = openCheckpoint(join(root, 'expected.safetensors'))
const oracle = (name: string): Float32Array => fixture.tensors.get(name)!.f32()
const names = ['llava', 'idefics3', 'smolvlm']
const imagesOf = ({ sizes }: Case) => sizes.map((size, i) => waves(i + 1, ...size))
const furthest = (a: ArrayLike<number>, b: Float32Array): number =>
  b.reduce((most, value, i) => Math.max(most, Math.abs(value - a[i]!)), 0)

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'treeline-vlm-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe.each(names)('a folder of %s', (name) => {
  const cases = expected[name]!
  let model: VisionLanguageModel
  beforeAll(() => {
    model = openVisionLanguageModel(join(root, name))
  })
  afterAll(() => model.dispose())

  it.each(cases)('reads a prompt as Transformers does: $name', async (one) => {
    const { ids, x } = await model.prompt({ images: imagesOf(one), question: one.question })
    expect(ids).toEqual(one.ids)
    expect(x).toHaveLength(ids.length * 32)
  })

  it.each(cases)('has its logits after every token, to 1e-3: $name', async (one) => {
    const prompt = await model.prompt({ images: imagesOf(one), question: one.question })
    const logits = await model.logits(
      prompt,
      one.ids.map((_, i) => i),
    )
    const { vocabulary } = model.language.config
    const wanted = oracle(`${name}.${one.name}.logits`)
    const row = (all: Float32Array, i: number) => all.subarray(i * vocabulary, (i + 1) * vocabulary)
    expect(logits).toHaveLength(one.ids.length * vocabulary)
    for (const [i, place] of one.rows.entries())
      expect(furthest(row(logits, place), row(wanted, i))).toBeLessThan(1e-3)
    const sums = one.ids.map((_, i) => row(logits, i).reduce((sum, value) => sum + value, 0))
    expect(furthest(sums, oracle(`${name}.${one.name}.sum`))).toBeLessThan(1e-2)
  })

  it.each(cases)('makes its 32 greedy tokens: $name', async (one) => {
    const made = await model.generate({ images: imagesOf(one), question: one.question, maxTokens: 32 })
    expect(one.greedy).toHaveLength(32)
    expect(made.ids).toEqual(one.greedy)
    expect(made.promptIds).toEqual(one.ids)
    expect(made.finish).toBe('length')
  })

  it('takes a text as it is, image tokens included', async () => {
    const [one] = cases as [Case]
    const made = await model.generate({ images: imagesOf(one), raw: one.text, maxTokens: 8 })
    expect(made.promptIds).toEqual(one.ids)
    expect(made.ids).toEqual(one.greedy.slice(0, 8))
  })

  it('leaves the model alone where a rule says nothing: λ = 0, a gate that never opens, no picture', async () => {
    const [one, , none] = cases as [Case, Case, Case]
    for (const rule of [
      contrast.m3id({ lambda: 0, alpha: 0.3 }),
      contrast.m3id({ lambda: 0.3, alpha: 1e-9 }),
      contrast.cfg({ scale: 1 }),
    ]) {
      const { ids, counts } = await model.generate({
        ...{ images: imagesOf(one), question: one.question, maxTokens: 32, contrast: rule },
      })
      expect(ids).toEqual(one.greedy)
      expect(counts.unconditioned).toBe(0)
    }
    const bare = await model.generate({
      ...{ question: none.question, maxTokens: 32 },
      contrast: contrast.m3id({ lambda: 0.5, alpha: 1.01 }),
    })
    expect(bare.ids).toEqual(none.greedy)
  })

  it('contrasts both streams token by token as two whole texts would be', async () => {
    const [one] = cases as [Case]
    const images = imagesOf(one)
    for (const rule of [
      contrast.m3id({ lambda: 0.2, alpha: 1.01 }),
      contrast.m3id({ lambda: 0.2, alpha: 0.2 }),
      contrast.cfg({ scale: 2.5, cutoff: 0.1 }),
    ]) {
      const cached = await model.generate({ images, question: one.question, maxTokens: 20, contrast: rule })
      const [withImage, without] = [
        await model.prompt({ images, question: one.question }),
        await model.prompt({ question: one.question }),
      ]
      const made: number[] = []
      for (let t = 0; t < 20; t++) {
        const rows = await Promise.all(
          [withImage, without].map((prompt) => {
            const more = model.language.weights.embed(made, made)
            const x = new Float32Array(prompt.x.length + more.length)
            x.set(prompt.x)
            x.set(more, prompt.x.length)
            return model.logits({ ...prompt, x })
          }),
        )
        made.push(argmaxOf(rule(rows[0]!, rows[1]!, t)))
      }
      expect(cached.ids).toEqual(made)
      expect(cached.ids).not.toEqual(one.greedy.slice(0, 20))
      expect(cached.counts.together).toBeGreaterThan(0)
    }
  })
})

describe('a picture and the text it is asked with', () => {
  const open = (name: string) => openVisionLanguageModel(join(root, name))
  const [one] = expected['llava'] as [Case]
  const asked = { images: imagesOf(one), question: one.question }

  it('goes through the second stream only while the gate is open', async () => {
    const model = open('llava')
    const always = await model.generate({
      ...{ ...asked, maxTokens: 12, contrast: contrast.cfg({ scale: 1.5 }) },
    })
    // all tokens but the last made, which nobody runs, in batches of two
    expect(always.counts.together).toBe(11)
    expect(always.counts.conditioned).toBe(one.ids.length + 11)
    const cfg = contrast.cfg({ scale: 1.5 })
    const seldom = await model.generate({
      ...{ ...asked, maxTokens: 12 },
      contrast: Object.assign((...rows: Parameters<typeof cfg>) => cfg(...rows), {
        normalizes: true,
        needs: (_: unknown, t: number) => t === 2 || t === 3,
      }),
    })
    // what it had missed at once, then a token in each of two batches
    const { ids: bare } = await model.prompt({ question: one.question })
    expect(seldom.counts).toEqual({
      ...{ conditioned: one.ids.length + 11, unconditioned: bare.length + 2 + 2, together: 2 },
    })
    model.dispose()
  })

  it('measures how far each token depends on it', async () => {
    const model = open('llava')
    const measured = await model.generate({ ...asked, maxTokens: 6, measuresDependency: true })
    expect(measured.ids).toEqual(one.greedy.slice(0, 6))
    expect(measured.dependencies).toHaveLength(6)
    expect(measured.dependencies!.every((value) => value > 0 && value <= 1)).toBe(true)
    const { dependencies } = await model.generate({
      ...{ question: one.question, maxTokens: 6, measuresDependency: true },
    })
    expect(dependencies).toEqual([0, 0, 0, 0, 0, 0])
    model.dispose()
  })

  it('composes with the repetition penalty and draws, and leaves both alone where it says nothing', async () => {
    const model = open('llava')
    const how = {
      sampling: { temperature: 0.8, topP: 0.9, repetitionPenalty: 1.3 },
      key: random.key(4),
      maxTokens: 24,
    }
    const plain = await model.generate({ ...asked, ...how })
    const idle = await model.generate({ ...asked, ...how, contrast: contrast.m3id({ lambda: 0, alpha: 1 }) })
    expect(idle.ids).toEqual(plain.ids)
    // rows that the gate leaves alone have the model's own scale
    const closed = contrast.m3id({ lambda: 0.5, alpha: 1e-6 })
    const through = Object.assign((...rows: Parameters<typeof closed>) => closed(...rows), {
      normalizes: true,
    })
    expect((await model.generate({ ...asked, ...how, contrast: through })).ids).toEqual(plain.ids)
    const open1 = await model.generate({
      ...{ ...asked, ...how, contrast: contrast.m3id({ lambda: 0.2, alpha: 1.01, cutoff: 0.1 }) },
    })
    expect(open1.ids).not.toEqual(plain.ids)
    model.dispose()
  })

  it('is contrasted with a disturbed one', async () => {
    const model = open('idefics3')
    const [own] = expected['idefics3'] as [Case]
    const ask = { images: imagesOf(own), question: own.question, maxTokens: 16 }
    const disturb = (tile: Float32Array) => tile.map((value, i) => value + Math.sin(i))
    const vcd = await model.generate({ ...ask, contrast: contrast.vcd({ alpha: 1, beta: 0 }), disturb })
    const same = await model.generate({
      ...{ ...ask, contrast: contrast.vcd({ alpha: 1 }), disturb: (tile: Float32Array) => tile },
    })
    expect(vcd.counts.unconditioned).toBe(vcd.counts.conditioned)
    expect(same.ids).toEqual(own.greedy.slice(0, 16))
    expect(vcd.ids).not.toEqual(same.ids)
    model.dispose()
  })

  it('is seen as a whole where tiles are not wanted', async () => {
    const model = openVisionLanguageModel(join(root, 'idefics3'), { tiles: false })
    const [own] = expected['idefics3'] as [Case]
    const { ids } = await model.prompt({ images: imagesOf(own), question: own.question })
    expect(ids.filter((id) => id === model.imageToken)).toHaveLength(9)
    model.dispose()
  })
})

describe('mistakes', () => {
  const copy = (name: string, as: string, change: (config: Record<string, unknown>) => void): string => {
    const path = join(folder, as)
    cpSync(join(root, name), path, { recursive: true })
    const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as Record<string, unknown>
    change(config)
    writeFileSync(join(path, 'config.json'), JSON.stringify(config))
    return path
  }
  const opening = (path: string) => () => openVisionLanguageModel(path).dispose()

  it('names what is wrong with a folder, in one line', () => {
    expect(opening(copy('llava', 'other', (c) => Object.assign(c, { model_type: 'paligemma' })))).toThrow(
      /"model_type" is "paligemma", a layout that is not supported: expected llava, idefics3, smolvlm/,
    )
    const text = copy('llava', 'text', (c) => {
      Object.assign(c, { model_type: 'llama' })
      delete c['vision_config']
    })
    expect(opening(text)).toThrow(/"model_type" is "llama", no model that sees pictures/)
    expect(opening(join(folder, 'none'))).toThrow(/cannot read .*config\.json: no such file/)
    expect(opening(join(root, 'llava/model.safetensors'))).toThrow(/one file holds no vision-language model/)
    const bare = copy('llava', 'bare', () => {})
    rmSync(join(bare, 'preprocessor_config.json'))
    expect(opening(bare)).toThrow(/no preprocessor_config\.json: it says how pictures are cut and scaled/)
    const odd = copy('idefics3', 'odd', (c) => Object.assign(c, { scale_factor: 5 }))
    expect(opening(odd)).toThrow(/"scale_factor" should divide 6 patches a side, got 5/)
    const beyond = copy('llava', 'beyond', (c) => Object.assign(c, { image_token_index: 5000 }))
    expect(opening(beyond)).toThrow(/the image token is 5000: expected one below "vocab_size", 276/)
    const layer = copy('llava', 'layer', (c) => Object.assign(c, { vision_feature_layer: -9 }))
    expect(opening(layer)).toThrow(/"vision_feature_layer" is -9: expected numbers of layers from -4 to 3/)
  })

  it('names what is wrong with a prompt, in one line', async () => {
    const model = openVisionLanguageModel(join(root, 'smolvlm'), { context: 80 })
    const images = [waves(1, 40, 60), waves(2, 60, 40)]
    await expect(model.prompt({ images, question: 'what' })).rejects.toThrow(
      /\d+ tokens, \d+ of them of 2 pictures; the context holds 80: give fewer pictures, or do without tiles/,
    )
    await expect(model.prompt({ images, raw: 'one <image> only' })).rejects.toThrow(
      /expected one <image> for each of 2 pictures, got 1/,
    )
    writeFileSync(join(folder, 'film.png'), 'GIF89a')
    expect(() => model.look(join(folder, 'film.png'))).toThrow(/film\.png: a GIF: expected a PNG or a JPEG/)
    model.dispose()
  })
})
