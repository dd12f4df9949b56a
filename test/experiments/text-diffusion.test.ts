/** @file Masked diffusion of a text: estimates of rows made by hand, the windows, the network that leaves a run, and what is refused. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { config } from '../../src/experiments/text-diffusion/config.ts'
import {
  prepareText,
  readCorpus,
  someWindows,
  spreadWindows,
  textFrom,
} from '../../src/experiments/text-diffusion/corpus.ts'
import { lengthOf, lossOf, ofRho, partsOf } from '../../src/experiments/text-diffusion/estimates.ts'
import { type Found, looksOf, modelFile } from '../../src/experiments/text-diffusion/measure.ts'
import { textDiffusion } from '../../src/experiments/text-diffusion.ts'
import { cellFolder, composeConfig, executeRun, exportRun, loadRun } from '../../src/lab/index.ts'
import { random } from '../../src/tensor/index.ts'
import { rejection } from '../data/helpers.ts'
import { madeUpText } from './madeUpText.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-text-diffusion-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (name: string): string => join(root, name)
const { signal } = new AbortController()

describe('estimates', () => {
  const rows = (replica: number, rho: readonly number[]) =>
    rho.map(
      (value, i) =>
        ({
          ...{ part: 'steps', of: 'overlap', step: 8, r: i + 1, rho: value, seed: 0, replica },
          // blocks that differ by ±0.1 in ρ(2)
          without: [1, -1, 1, -1].map((sign) => (i === 1 ? value + 0.1 * sign : value)),
        }) as Found & { of: 'overlap' },
    )
  const one = rows(0, [0.9, 0.6, 0.2])

  it('of one network leave out one block at a time', () => {
    const length = lengthOf(one)
    expect(length.value).toBeCloseTo(2.25, 12)
    // ξ without a block: 2 + 0.2/0.5 and, as ρ(2) is then 1/2, 2; √(3/4 · 4 · 0.2²)
    expect(length.error).toBeCloseTo(Math.sqrt(0.75 * 4 * 0.2 ** 2), 10)
    expect(ofRho(one, ([, second]) => second!).error).toBeCloseTo(Math.sqrt(0.75 * 4 * 0.1 ** 2), 10)
  })

  it('of several are over networks', () => {
    const both = lengthOf([...one, ...rows(1, [0.9, 0.4, 0.2])])
    expect(both.value).toBeCloseTo((2.25 + 1.8) / 2, 12)
    expect(both.error).toBeCloseTo(0.225, 10)
  })

  it('a length that is not reached is no number to be claimed', () => {
    expect(lengthOf(rows(0, [0.9, 0.8, 0.7])).error).toBeNull()
  })

  it('the loss has the error of windows, or of networks', () => {
    const loss = (replica: number, value: number) =>
      ({ part: 'steps', of: 'loss', step: 8, loss: value, error: 0.3, seed: 0, replica }) as never
    expect(lossOf([loss(0, 2)])).toEqual({ value: 2, error: 0.3 })
    expect(lossOf([loss(0, 2), loss(1, 3)]).error).toBeCloseTo(0.5, 12)
  })

  it('looks are at doublings and at the end', () => {
    expect(looksOf({ firstLook: 16, steps: 64 })).toEqual([16, 32, 64])
    expect(looksOf({ firstLook: 16, steps: 72 })).toEqual([16, 32, 64, 72])
    expect(looksOf({ firstLook: 64, steps: 32 })).toEqual([32])
  })
})

describe('windows', () => {
  const ids = Uint16Array.from({ length: 103 }, (_, i) => i)

  it('are spread from the first symbol to the last', () => {
    expect(Array.from(spreadWindows(ids, 3, 3))).toEqual([0, 1, 2, 50, 51, 52, 100, 101, 102])
    expect(Array.from(spreadWindows(ids, 1, 2))).toEqual([0, 1])
  })

  it('of few are among those of more, and do not overlap', () => {
    const [few, more] = [4, 10].map((P) => someWindows(ids, P, 10, random.key(1))) as [Int32Array, Int32Array]
    expect(Array.from(more.slice(0, 40))).toEqual(Array.from(few))
    expect(new Set(more).size).toBe(100)
  })
})

describe('texts', () => {
  it('are read as letters, nine tenths to learn from', async () => {
    writeFileSync(at('text.txt'), `${'Ça va? '.repeat(500)}`)
    const corpus = await readCorpus(config.parse({ text: at('text.txt') }))
    expect(corpus.symbols.toSorted()).toEqual([' ', 'a', 'c', 'v'])
    expect(textFrom(corpus.train.subarray(0, 12), corpus.symbols)).toBe('ca va ca va ')
    expect(corpus.train.length).toBe(Math.floor(0.9 * (corpus.train.length + corpus.heldOut.length)))
  })

  it.each([
    ['invalid UTF-8', Uint8Array.of(0x61, 0xff, 0xfe, 0x62), 'TL_BAD_FILE', /expected text in UTF-8/],
    [
      'too short',
      'a short text',
      'TL_BAD_CONFIG',
      /expected at least 327680 symbols.*lower validation or window/,
    ],
    ['of one symbol', 'a'.repeat(1000), 'TL_BAD_ARGUMENT', /at least two kinds of symbols/],
    [
      'without letters',
      '12 3 '.repeat(100),
      'TL_BAD_ARGUMENT',
      /without-letters.txt .alphabet=all keeps more/,
    ],
  ])('%s is refused in one line', async (name, content, code, message) => {
    const path = at(`${name.replaceAll(' ', '-')}.txt`)
    writeFileSync(path, content)
    const refused = await rejection(prepareText(config.parse({ text: path }), { signal }))
    expect(refused.code).toBe(code)
    expect(refused.message).toMatch(message)
    expect(refused.message).not.toContain('\n')
  })

  it('that are missing are refused in one line', async () => {
    const refused = await rejection(prepareText(config.parse({ text: at('none.txt') }), { signal }))
    expect([refused.code, refused.message.includes('none.txt')]).toEqual(['TL_IO', true])
  })

  it('need as many windows as are asked for', async () => {
    writeFileSync(at('small.txt'), madeUpText(20_000))
    const wanted = { text: at('small.txt'), window: 16, validation: 32, reach: 4 }
    const refused = async (more: object) =>
      (await rejection(prepareText(config.parse({ ...wanted, ...more }), { signal }))).message
    expect(await refused({ data: { P: [4096], window: 16, validation: 16 } })).toMatch(
      /config.data.P: expected at most \d+ windows of 16, got 4096/,
    )
    expect(await refused({ reach: 16, data: { P: [] } })).toMatch(/config.reach: .*less than the window, 16/)
  })
})

it('looks at held-out text, and stops where it is predicted worse again', async () => {
  // the last tenth has letters of its own: the more is learned, the worse they are predicted
  const alien = Array.from(random.sampleIntegers(random.key(3), 2000, 2), (x) => 'zq'[x]!).join('')
  writeFileSync(at('alien.txt'), madeUpText(18_000).slice(0, 18_000) + alien)
  const given = composeConfig(textDiffusion, {
    preset: 'tiny',
    values: {
      ...{ text: at('alien.txt'), learningRate: 0.02 },
      data: { P: [32], window: 16, steps: 512, learningRate: 0.02, validation: 32, samples: 32 },
    },
  })
  const { folder } = await executeRun(textDiffusion, given, { root: at('runs'), threads: 1 })
  const { losses, dataLosses, dataOverlaps, text } = partsOf(loadRun(folder).result['rows'] as never)
  expect(losses.at(-1)!.loss).toBeGreaterThan(losses[0]!.loss)
  expect(text.frequencies).toBeGreaterThan(5)
  const best = dataLosses.reduce((a, b) => (b.loss < a.loss ? b : a))
  const last = dataLosses.at(-1)!
  expect(last.step).toBeLessThan(512)
  expect(last.step).toBeGreaterThan(1.6 * best.step)
  expect(last.loss).toBeGreaterThan(1.01 * best.loss)
  expect(new Set(dataOverlaps.map(({ step }) => step))).toEqual(new Set([best.step]))
})

it('a run leaves its networks, the last of which is exported', async () => {
  writeFileSync(at('made-up.txt'), madeUpText(20_000))
  const given = composeConfig(textDiffusion, {
    preset: 'tiny',
    values: { text: at('made-up.txt'), data: { P: [] } },
  })
  const { folder } = await executeRun(textDiffusion, given, { root: at('runs'), threads: 1 })
  for (const step of [16, 32, 64])
    expect(existsSync(join(cellFolder(folder, 0, 0), modelFile(step)))).toBe(true)
  const out = at('network.onnx')
  const { about } = await exportRun(loadRun(folder), [textDiffusion], out)
  expect(about).toMatch(/tokens i32\[1, 16\], −1 where masked/)
  expect(readFileSync(out).length).toBeGreaterThan(1000)
})
