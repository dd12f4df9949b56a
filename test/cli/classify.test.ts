/** @file `treeline classify` as people and scripts meet it: shares as Transformers has them, and mistakes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { treeline } from './caught.ts'

const fixtures = fileURLToPath(new URL('../fixtures/clip', import.meta.url))
const model = join(fixtures, 'openai')
const labels = ['cat', 'mat', 'the photo']
const root = mkdtempSync(join(tmpdir(), 'treeline-classify-'))
const picture = join(root, 'picture.png')
const fixture = openCheckpoint(join(fixtures, 'expected.safetensors'))
beforeAll(() => writeFileSync(picture, Uint8Array.from(fixture.tensors.get('file')!.f32())))
afterAll(() => {
  fixture.close()
  rmSync(root, { recursive: true, force: true })
})

test('shares of the labels are those of Transformers', async () => {
  const words = ['classify', model, picture, picture, '--labels', labels.join(',')]
  const { code, out, err } = await treeline(...words, '--json')
  expect([code, err]).toEqual([0, ''])
  const found = JSON.parse(out) as { image: string; probabilities: Record<string, number> }[]
  expect(found.map(({ image }) => image)).toEqual([picture, picture])
  const shares = fixture.tensors.get('shares')!.f32()
  for (const [i, label] of labels.entries())
    for (const { probabilities } of found) expect(probabilities[label]).toBeCloseTo(shares[i]!, 4)
  const read = await treeline(...words)
  const [likely] = labels.toSorted((a, b) => shares[labels.indexOf(b)]! - shares[labels.indexOf(a)]!)
  expect(read.out.split('\n')[0]).toContain(`picture.png  ${likely} `)
})

test.each([
  [[model, picture], "required option '--labels <a,b,c>' not specified", 2],
  [[model, picture, '--labels', 'cat,,dog'], '--labels cat,,dog: expected words with commas between', 2],
  [[model, picture, '--labels', 'cat', '--template', 'x'], 'template: expected {} where the label goes', 1],
  [[model, join(model, 'config.json'), '--labels', 'cat'], 'expected a PNG or a JPEG', 1],
  [[join(fixtures, 'siglip'), picture, '--labels', 'cat'], '"model_type" is "siglip_vision_model"', 1],
  [[root, picture, '--labels', 'cat'], 'name a folder of a CLIPModel', 1],
])('%j is refused', async (words, message, exit) => {
  const { code, out, err } = await treeline('classify', ...words)
  expect([code, out]).toEqual([exit, ''])
  expect(err).toContain(message)
  expect(err.trim().split('\n')).toHaveLength(1)
})
