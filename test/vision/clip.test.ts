/** @file CLIP and SigLIP beside Transformers on random small models: ids, states, embeddings, logits; pictures beside Pillow; mistakes. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import type { Picture } from '../../src/data/index.ts'
import { compile, type Tensor, tensor } from '../../src/tensor/index.ts'
import { siglipShape } from '../../src/vision/clip/config.ts'
import { readClip } from '../../src/vision/clip/openClip.ts'
import { siglipImageTower } from '../../src/vision/clip/towers.ts'
import { openClip, zeroShotClassifier } from '../../src/vision/index.ts'
import { preprocessor } from '../../src/vision/preprocess.ts'
import { weightReader } from '../../src/vision/weights.ts'

const root = fileURLToPath(new URL('../fixtures/clip', import.meta.url))
const fixture = openCheckpoint(join(root, 'expected.safetensors'))
const texts = JSON.parse(String(fixture.metadata['texts'])) as string[]
const expected = (name: string): Float32Array => fixture.tensors.get(name)!.f32()
const shapeOf = (name: string): number[] => [...fixture.tensors.get(name)!.shape]
const folderOf = (name: string): string => join(root, name)

/** The largest difference relative to the largest value. */
function distance(actual: ArrayLike<number>, wanted: Float32Array): number {
  expect(actual.length).toBe(wanted.length)
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  return wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i]!)), 0) / largest
}
/** States of the fixture from the embedding on. */
const statesOf = (prefix: string): Float32Array[] =>
  [...fixture.tensors.keys()]
    .filter((name) => name.startsWith(prefix))
    .map((_, i) => expected(`${prefix}${i}`))

/** Ids of the texts of the fixture, by the tokenizer of a folder. */
async function tokenized(name: string): Promise<number[][]> {
  const clip = await openClip(folderOf(name))
  clip.dispose()
  return texts.map((text) => clip.tokenize(text))
}

const pixelsOf = (name: string): Tensor =>
  tensor(expected(`${name}.pixels`), { shape: shapeOf(`${name}.pixels`) })

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'treeline-clip-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe.each(['openai', 'laion'])('a CLIPModel (%s)', (name) => {
  it('has the states of Transformers after every block, of pictures and of texts', async () => {
    const { image, text } = readClip(folderOf(name))
    const seen = compile((pixels: Tensor) => [...image(pixels).states])
    const states = await seen(pixelsOf(name))
    const wanted = statesOf(`${name}.vision.`)
    expect(states).toHaveLength(4)
    expect(wanted).toHaveLength(4)
    for (const [i, state] of states.entries())
      expect(distance(state.data as Float32Array, wanted[i]!)).toBeLessThan(1e-5)
    const [count, length] = shapeOf(`${name}.ids`) as [number, number]
    const ids = tensor(Int32Array.from(expected(`${name}.ids`)), { shape: [count, length] })
    const read = compile((x: Tensor, ends: Tensor) => [...text(x, ends).states])
    const ends = tensor(new Float32Array(count * length), { shape: [count, length] })
    const all = await read(ids, ends)
    const ofTexts = statesOf(`${name}.text.`)
    expect(ofTexts).toHaveLength(all.length)
    // behind the end of a text are places that nobody reads; Transformers masks them, here they follow the text
    const lengths = (await tokenized(name)).map((own) => own.length)
    for (const [i, state] of all.entries()) {
      const width = state.shape[2]!
      for (const [n, own] of lengths.entries()) {
        const part = (rows: Float32Array) => rows.subarray(n * length * width, (n * length + own) * width)
        expect(distance(part(state.data as Float32Array), part(ofTexts[i]!))).toBeLessThan(1e-5)
      }
    }
  })

  it('reads texts into its ids, whatever is in them', async () => {
    const [, length] = shapeOf(`${name}.ids`) as [number, number]
    const ids = expected(`${name}.ids`)
    for (const [i, own] of (await tokenized(name)).entries()) {
      expect(own).toEqual([...ids.subarray(i * length, i * length + own.length)])
      const padding = own.at(-1)
      expect([...ids.subarray(i * length + own.length, (i + 1) * length)].every((id) => id === padding)).toBe(
        true,
      )
    }
  })

  it('has its embeddings and logits, in groups of any size', async () => {
    for (const batchSize of [1, 3, 8]) {
      const clip = await openClip(folderOf(name), { batchSize })
      const [images, words] = [
        await clip.embedImages(expected(`${name}.pixels`)),
        await clip.embedTexts(texts),
      ]
      expect(distance(images, expected(`${name}.images`))).toBeLessThan(1e-5)
      expect(distance(words, expected(`${name}.texts`))).toBeLessThan(1e-5)
      const { dimension, scale } = clip
      const logits = Array.from({ length: 4 }, (_, n) =>
        texts.map((_text, t) =>
          Array.from({ length: dimension }).reduce<number>(
            (sum, _one, i) => sum + scale * images[n * dimension + i]! * words[t * dimension + i]!,
            0,
          ),
        ),
      ).flat()
      expect(distance(logits, expected(`${name}.logits`))).toBeLessThan(1e-5)
      clip.dispose()
    }
  })
})

describe('classes by their words', () => {
  it('takes the mean of the templates, and gives scale times the cosine', async () => {
    const clip = await openClip(folderOf('openai'))
    const pixels = expected('openai.pixels')
    const one = await zeroShotClassifier(clip, ['cat', 'mat'])
    const [images, words] = [
      await clip.embedImages(pixels),
      await clip.embedTexts(['a photo of a cat', 'a photo of a mat']),
    ]
    const cosine = words.subarray(clip.dimension).reduce((sum, x, i) => sum + x * images[i]!, 0)
    expect((await one.logits(pixels))[1]).toBeCloseTo(clip.scale * cosine, 4)
    const two = await zeroShotClassifier(clip, ['cat'], ['a photo of a {}', 'the {}'])
    const rows = await clip.embedTexts(['a photo of a cat', 'the cat'])
    const mean = Array.from({ length: clip.dimension }, (_, i) => rows[i]! + rows[clip.dimension + i]!)
    expect(
      distance(
        two.weights,
        Float32Array.from(mean, (x) => x / Math.hypot(...mean)),
      ),
    ).toBeLessThan(1e-6)
    await expect(zeroShotClassifier(clip, ['cat', 'cat'])).rejects.toThrow('"cat" stands there twice')
    await expect(zeroShotClassifier(clip, ['cat'], ['a cat'])).rejects.toThrow(
      'expected {} where the label goes',
    )
    await expect(clip.embedImages(new Float32Array(5))).rejects.toThrow('expected images [N, 3, 24, 24]')
    clip.dispose()
  })
})

describe('a SigLIP image tower', () => {
  it('has the states of Transformers, and what its head makes of them', async () => {
    const path = join(folderOf('siglip'), 'config.json')
    const weights = openCheckpoint(folderOf('siglip'))
    const shape = siglipShape(JSON.parse(readFileSync(path, 'utf8')), path)
    const tower = siglipImageTower(weightReader(weights, 'SigLIP'), shape)
    const run = compile((pixels: Tensor) => {
      const { states, pooled } = tower(pixels)
      return [...states, pooled]
    })
    const found = await run(pixelsOf('siglip'))
    const wanted = [...statesOf('siglip.vision.'), expected('siglip.last'), expected('siglip.pooled')]
    expect(found).toHaveLength(wanted.length)
    for (const [i, state] of found.entries())
      expect(distance(state.data as Float32Array, wanted[i]!)).toBeLessThan(1e-5)
    weights.close()
  })
})

describe('pictures for a tower', () => {
  const read = (name: string): Picture => {
    const [height, width] = shapeOf(name) as [number, number, number]
    return { height, width, channels: 3, data: Uint8Array.from(expected(name)) }
  }
  const label = join(folderOf('openai'), 'preprocessor_config.json')
  const settings = JSON.parse(readFileSync(label, 'utf8'))

  it('are cut as by Pillow, within a grey level, from odd sizes', () => {
    const steps = preprocessor(settings, label, 24, 'clip')
    for (let i = 0; i < 5; i++) {
      const cut = steps.crop(read(`picture.${i}`))
      const wanted = expected(`cropped.${i}`)
      expect(cut.data.length).toBe(wanted.length)
      expect(wanted.every((value, k) => Math.abs(value - cut.data[k]!) <= 1)).toBe(true)
    }
  })

  it('are scaled by mean and deviation of each channel', () => {
    const picture = read('picture.1')
    const numbers = preprocessor(settings, label, 24, 'clip').apply(picture)
    expect(numbers[0]).toBeCloseTo((picture.data[0]! / 255 - 0.48145466) / 0.26862954, 5)
    expect(numbers[2 * 576 + 5]).toBeCloseTo((picture.data[3 * 5 + 2]! / 255 - 0.40821073) / 0.27577711, 5)
    const grey = { height: 24, width: 24, channels: 1 as const, data: new Uint8Array(576).fill(100) }
    expect(
      preprocessor({ image_mean: [0, 0, 0], image_std: [1, 1, 1] }, label, 24, 'siglip').apply(grey)[600],
    ).toBeCloseTo(100 / 255, 6)
  })

  it('are refused where the settings do not belong to the tower', () => {
    const of = (changes: object) => preprocessor({ ...settings, ...changes }, 'p.json', 24, 'clip')
    const picture = read('picture.0')
    expect(() => of({ crop_size: 20 }).apply(picture)).toThrow(
      'makes pictures of 20 × 20, but the network sees 24 × 24',
    )
    expect(() => of({ crop_size: 30 }).apply(picture)).toThrow('expected a crop within what "size" gives')
    expect(() => of({ resample: 0 })).toThrow(
      '"resample" is 0, which is not supported: expected 1, 2, 3 or 4',
    )
    expect(() => of({ size: { shortest_edge: 15000 } })).toThrow('expected at most 4096 pixels')
    expect(() => of({ image_std: [1, 0, 1] })).toThrow('"image_std" is [1,0,1]')
    expect(() => of({ size: { longest_edge: 3 } })).toThrow(
      'expected "shortest_edge", or "height" and "width"',
    )
  })
})

describe('folders that are no CLIP', () => {
  const broken = (name: string, change: (folder: string) => void): string => {
    const own = join(folder, name)
    cpSync(folderOf('openai'), own, { recursive: true })
    change(own)
    return own
  }
  const edit =
    (file: string, change: (value: Record<string, Record<string, unknown>>) => void) => (own: string) => {
      const path = join(own, file)
      const value = JSON.parse(readFileSync(path, 'utf8'))
      change(value)
      writeFileSync(path, JSON.stringify(value))
    }
  it.each([
    [
      'another architecture',
      edit('config.json', (c) => Object.assign(c, { model_type: 'bert' })),
      /"model_type" is "bert", .*expected "clip"/,
    ],
    [
      'an activation',
      edit('config.json', (c) => Object.assign(c['text_config']!, { hidden_act: 'mish' })),
      /text_config: "hidden_act" is "mish"/,
    ],
    [
      'heads',
      edit('config.json', (c) => Object.assign(c['vision_config']!, { num_attention_heads: 5 })),
      /should divide "hidden_size", got 5 and 32/,
    ],
    [
      'another width',
      edit('config.json', (c) => Object.assign(c['vision_config']!, { intermediate_size: 50 })),
      /is \[48, ?32\], expected \[50,32\]/,
    ],
    [
      'more layers',
      edit('config.json', (c) => Object.assign(c['text_config']!, { num_hidden_layers: 4 })),
      /no tensor "text_model.encoder.layers.3/,
    ],
    [
      'no preprocessing',
      (own: string) => rmSync(join(own, 'preprocessor_config.json')),
      /no preprocessor_config.json: it says how pictures are cut/,
    ],
    [
      'no configuration',
      (own: string) => rmSync(join(own, 'config.json')),
      /config.json: no such file: name a folder of a CLIPModel/,
    ],
    ['no tokenizer', (own: string) => rmSync(join(own, 'tokenizer.json')), /no tokenizer.json/],
    ['no weights', (own: string) => rmSync(join(own, 'model.safetensors')), /safetensors/],
  ])('%s', async (name, change, says) => {
    await expect(openClip(broken(name, change))).rejects.toThrow(says)
  })
})
