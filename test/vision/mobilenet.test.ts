/** @file MobileNet against PyTorch (fixtures from make_vision.py): a small random network, and the real one where it is there. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/index.ts'
import {
  answersOf,
  imageClassifier,
  mobileNetActivations,
  openMobileNet,
  readMobileNet,
} from '../../src/vision/index.ts'

const fixture = (name: string): string => new URL(`../fixtures/${name}`, import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'treeline-vision-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const stored = readSafetensors(fixture('mobilenet.safetensors')).tensors
const numbers = (name: string): Float32Array => stored.get(name)!.data as Float32Array

/** The largest difference, over the largest number that is expected. */
function apart(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [most, scale] = [0, 0]
  for (let i = 0; i < expected.length; i++) {
    most = Math.max(most, Math.abs(found[i]! - expected[i]!))
    scale = Math.max(scale, Math.abs(expected[i]!))
  }
  return found.length === expected.length ? most / scale : Number.POSITIVE_INFINITY
}

/** A copy of the fixture with some tensors changed; null takes one away. */
function changed(
  name: string,
  change: Record<string, { shape: number[]; data: Float32Array } | null>,
): string {
  const path = join(folder, `${name}.safetensors`)
  const kept = [...stored].filter(([own]) => change[own] !== null)
  writeSafetensors(
    path,
    kept.map(([own, { shape, data }]) => {
      const now = change[own] ?? { shape, data: data as Float32Array }
      return [own, { dtype: 'F32' as const, ...now }]
    }),
  )
  return path
}

describe('a small random network', () => {
  it('has the activations of every layer, with Keras’s padding of odd and even sides', async () => {
    const weights = readMobileNet(fixture('mobilenet.safetensors'))
    const bare = await imageClassifier(
      {
        ...{ shape: [3, 40, 36], classes: weights.classes, layers: weights.layers },
        apply: (x) => mobileNetActivations(weights, x),
      },
      { batchSize: 2 },
    )
    expect(bare.layers.map(({ name }) => name)).toEqual([
      'conv 1',
      ...Array.from({ length: 13 }, (_, i) => `block ${i + 1}`),
      'logits',
    ])
    const found = await bare.activations(numbers('input'))
    for (const [i, { shape }] of bare.layers.entries()) {
      expect(shape).toEqual([...stored.get(`answer/${i}`)!.shape].slice(1))
      expect(apart(found[i]!, numbers(`answer/${i}`)), bare.layers[i]!.name).toBeLessThan(1e-5)
    }
    bare.dispose()
  })

  it.each([
    ['no-mean', { 'conv_dw_3_bn/moving_mean': null }, 'no tensor "conv_dw_3_bn/moving_mean"'],
    [
      'narrow',
      { 'conv_pw_2/kernel': { shape: [1, 1, 5, 6], data: new Float32Array(30) } },
      'tensor "conv_pw_2/kernel" is [1,1,5,6], expected [1, 1, 4, outputs]',
    ],
    [
      'nan',
      { 'conv_preds/bias': { shape: [7], data: new Float32Array(7).fill(Number.NaN) } },
      'tensor "conv_preds/bias" has NaN at element 0',
    ],
  ])('refuses weights that are not right: %s', async (name, change, message) => {
    await expect(openMobileNet(changed(name, change))).rejects.toThrow(message)
  })

  it('refuses images of four channels', async () => {
    await expect(openMobileNet(fixture('mobilenet.safetensors'), { image: [4, 32, 32] })).rejects.toThrow(
      'image: expected 1 or 3 channels, got 4',
    )
  })
})

const models =
  process.env['TREELINE_TEST_MODELS'] ?? new URL('../../../shared/models', import.meta.url).pathname
const real = join(models, 'mobilenet-v1-025-224')

it('has the logits of the real network, and the means of its layers', async () => {
  if (!existsSync(real))
    return void console.log('mobilenet-v1-025-224: skipped, no such model; set TREELINE_TEST_MODELS')
  const expected = readSafetensors(fixture('mobilenet-model.safetensors')).tensors
  const network = await openMobileNet(real, { batchSize: 2 })
  const plane = 224 * 224
  const images = new Float32Array(2 * 3 * plane)
  for (let n = 0; n < 2; n++)
    for (let c = 0; c < 3; c++)
      for (let y = 0; y < 224; y++)
        for (let x = 0; x < 224; x++)
          images[(n * 3 + c) * plane + y * 224 + x] = Math.sin(0.05 * x * (1 + n) + 0.03 * y + c)
  const found = await network.activations(images)
  const logits = expected.get('logits')!.data as Float32Array
  expect(apart(found.at(-1)!, logits)).toBeLessThan(1e-4)
  expect(answersOf(found.at(-1)!, 1000)).toEqual(answersOf(logits, 1000))
  const means = found.slice(0, -1).map((layer) => layer.reduce((sum, x) => sum + x, 0) / layer.length)
  expect(apart(means, expected.get('means')!.data as Float32Array)).toBeLessThan(1e-4)
  network.dispose()
})
