/** @file `treeline caption` and `treeline ask` as people and scripts meet them: Transformers' tokens, rules, and mistakes. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { waves } from '../vlm/pictures.ts'
import { treeline } from './caught.ts'

const fixtures = fileURLToPath(new URL('../fixtures/vlm', import.meta.url))
const [llava, smolvlm] = [join(fixtures, 'llava'), join(fixtures, 'smolvlm')]
const root = mkdtempSync(join(tmpdir(), 'treeline-caption-'))
const [picture, other] = [join(root, 'one.png'), join(root, 'other.png')]
interface Case {
  readonly question: string
  readonly text: string
  readonly ids: readonly number[]
  readonly greedy: readonly number[]
}
const [one, two] = (
  JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8')) as { llava: [Case, Case] }
).llava

function write(path: string, seed: number, height: number, width: number): void {
  const png = new PNG({ width, height, colorType: 2 })
  const { data } = waves(seed, height, width)
  for (let i = 0; i < height * width; i++) png.data.set([...data.subarray(3 * i, 3 * i + 3), 255], 4 * i)
  writeFileSync(path, PNG.sync.write(png, { colorType: 2 }))
}
// the folder says that token 2, a letter here, ends a text, which Transformers was told to overlook
const cutAt = (ids: readonly number[]): readonly number[] =>
  ids.includes(2) ? ids.slice(0, ids.indexOf(2)) : ids

beforeAll(() => {
  write(picture, 1, 30, 47)
  write(other, 2, 21, 33)
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

interface Said {
  readonly image: string
  readonly promptIds: readonly number[]
  readonly ids: readonly number[]
  readonly text: string
  readonly finish: string
  readonly pdm?: readonly number[]
}
const said = async (...words: string[]): Promise<Said[]> => {
  const { code, out, err } = await treeline('caption', ...words, '--json')
  expect([code, err]).toEqual([0, ''])
  return JSON.parse(out) as Said[]
}

test('says the greedy tokens of Transformers, of a question and of a text as it is', async () => {
  const words = [llava, picture, '--max-tokens', '32']
  const [asked, raw] = [
    await said(...words, '--prompt', one.question),
    await said(...words, '--prompt', one.text, '--raw-prompt'),
  ]
  for (const [found] of [asked, raw] as [Said][]) {
    expect(Object.keys(found)).toEqual(['image', 'promptIds', 'ids', 'text', 'finish'])
    expect(found.image).toBe(picture)
    expect(found.promptIds).toEqual(one.ids)
    expect(found.ids).toEqual(cutAt(one.greedy))
  }
})

test('is greedy under rules that say nothing, and says something else under others', async () => {
  const words = [llava, picture, '--prompt', one.question, '--max-tokens', '12']
  const [plain] = await said(...words)
  for (const idle of [
    ['--m3id', 'lambda=0'],
    ['--m3id', 'alpha=1e-9'],
    ['--cfg', '1'],
  ])
    expect(await said(...words, ...idle)).toEqual([plain])
  for (const rule of [
    ['--m3id', 'lambda=.3,alpha=1.01,cutoff=.1'],
    ['--cfg', 'scale=3'],
    ['--vcd', 'alpha=2'],
  ]) {
    const [other] = await said(...words, ...rule)
    expect(other!.ids).not.toEqual(plain!.ids)
    expect(other!.promptIds).toEqual(plain!.promptIds)
  }
  // draws and noise come from the seed
  const drawn = [...words, '--vcd', '--temperature', '1', '--seed', '3']
  expect(await said(...drawn)).toEqual(await said(...drawn))
})

test('describes several pictures, each by itself, with its dependency on them', async () => {
  const words = [smolvlm, picture, other, '--max-tokens', '5']
  const found = await said(...words, '--pdm')
  expect(found.map(({ image }) => image)).toEqual([picture, other])
  for (const { ids, pdm } of found) {
    expect(pdm).toHaveLength(ids.length)
    expect(pdm!.every((value) => value >= 0 && value <= 1)).toBe(true)
  }
  const { out } = await treeline('caption', ...words)
  expect(out.startsWith(`${picture}: ${found[0]!.text}\n`)).toBe(true)
  expect(out.endsWith(`${other}: ${found[1]!.text}\n`)).toBe(true)
  const whole = await said(...words, '--no-tiles')
  expect(whole[0]!.promptIds.length).toBeLessThan(found[0]!.promptIds.length)
})

test('answers a question about pictures, and says how probable yes and no are', async () => {
  const { code, out } = await treeline(
    ...['ask', llava, picture, other, '--question', two.question, '--max-tokens', '4', '--json'],
  )
  expect(code).toBe(0)
  const found = JSON.parse(out) as { answer: string; ids: number[]; probabilities: Record<string, number> }
  expect(Object.keys(found)).toEqual(['answer', 'ids', 'probabilities'])
  expect(Object.keys(found.probabilities)).toEqual(['yes', 'no'])
  expect(found.probabilities['yes']! + found.probabilities['no']!).toBeLessThanOrEqual(1)
  expect(found.ids).toHaveLength(4)
})

test('warns where a rule will make a long text fall apart', async () => {
  const words = ['caption', llava, picture, '--m3id', 'lambda=.05,alpha=1.01', '--max-tokens', '60']
  const { err } = await treeline(...words)
  expect(err).toMatch(/^--m3id: after 60 tokens the difference counts 19 times: .*\n$/)
  expect((await treeline(...words, '--quiet')).err).toBe('')
})

test.each([
  [[llava, picture, '--m3id', 'gamma=2'], '--m3id gamma=2: there is no "gamma"', 2],
  [[llava, picture, '--m3id', 'alpha'], '--m3id alpha: expected alpha=NUMBER, got alpha', 2],
  [[llava, picture, '--m3id', 'alpha=-1'], 'm3id: alpha: expected a number > 0, got -1', 1],
  [[llava, picture, '--cfg', 'alpha=.3'], '--cfg: expected a scale, such as --cfg 2', 2],
  [[llava, picture, '--cfg', '2', '--vcd'], "'--cfg <scale>' cannot be used with option '--vcd", 2],
  [[llava, picture, '--vcd', 'step=1000'], 'step: expected a whole number from 0 to 999, got 1000', 1],
  [[llava, picture, '--vcd', '--pdm'], 'a dependency is measured without pictures', 1],
  [
    [llava, picture, '--prompt', 'no place', '--raw-prompt'],
    'expected one <image> for each of 1 pictures, got 0',
    1,
  ],
  [[join(fixtures, '../lm-tiny'), picture], 'no such file', 1],
  [[join(fixtures, '../clip/openai'), picture], '"model_type" is "clip", a layout that is not supported', 1],
  [[llava, join(llava, 'config.json')], 'expected a PNG or a JPEG', 1],
  [[llava, join(root, 'none.png')], 'none.png', 1],
])('%j is refused', async (words, message, exit) => {
  const { code, out, err } = await treeline('caption', ...words)
  expect([code, out]).toEqual([exit, ''])
  expect(err).toContain(message)
  expect(err.trim().split('\n')).toHaveLength(1)
})

test('a folder without a processor is refused by name', async () => {
  const bare = join(root, 'bare')
  cpSync(smolvlm, bare, { recursive: true })
  rmSync(join(bare, 'preprocessor_config.json'))
  const { code, err } = await treeline('caption', bare, picture)
  expect(code).toBe(1)
  expect(err).toContain('no preprocessor_config.json')
})
