/** @file Changes in a text: estimates of rows whose correlations are known, the network of a run, and what is refused. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { config } from '../../src/experiments/text-chunks/config.ts'
import {
  correlationAt,
  innerExcess,
  largestOf,
  lengthAt,
  rangeAt,
  rungOf,
  type Source,
  sourcesOf,
  susceptibilityAt,
} from '../../src/experiments/text-chunks/estimates.ts'
import type { Found, TripRow } from '../../src/experiments/text-chunks/measure.ts'
import { prepareChunks } from '../../src/experiments/text-chunks/texts.ts'
import { textChunks } from '../../src/experiments/text-chunks.ts'
import { config as diffusionConfig } from '../../src/experiments/text-diffusion/config.ts'
import { encodeText, readCorpus } from '../../src/experiments/text-diffusion/corpus.ts'
import { textDiffusion } from '../../src/experiments/text-diffusion.ts'
import { composeConfig, executeRun, loadRun } from '../../src/lab/index.ts'
import { rejection } from '../data/helpers.ts'
import { madeUpText } from './madeUpText.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-text-chunks-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (name: string): string => join(root, name)
const text = at('text.txt')
beforeAll(() => writeFileSync(text, madeUpText(20_000)))

describe('estimates', () => {
  const d = 8
  /** Passages in which C(r)/C(0) is `relative[r]`, each with variances of its own. */
  const rows = (t: number, relative: readonly number[], source: object = { source: 'network' }) =>
    [1, 2, 3].map((scale, passage) => {
      const byDistance = relative.map((c, r) => scale * c * (r === 0 ? d : 2 * (d - r)))
      const trip: TripRow = {
        ...{ of: 'trips', kind: 'text', t, passage, changed: 0.3, byDistance },
        all: byDistance.reduce((a, b) => a + b, 0),
      }
      return { ...source, ...trip, seed: 0, replica: 0 } as unknown as Found
    })
  const loss = (value: number, source: object) =>
    ({ ...source, of: 'loss', loss: value, error: 0.01, d, seed: 0, replica: 0 }) as unknown as Found
  const [network, two, three] = [{ source: 'network' }, { source: 'ngram', n: 2 }, { source: 'ngram', n: 3 }]
  const sources = sourcesOf([
    loss(2, network),
    ...rows(0.3, [1, 0.1, 0]),
    ...rows(0.6, [1, 0.5, 0.25]),
    ...rows(0.9, [1, 0, 0]),
    loss(1.9, three),
    ...rows(0.6, [1, 0.4, 0], three),
    loss(2.2, two),
    ...rows(0.6, [1, 0.2, 0], two),
  ])

  it('are ratios of sums over pairs', () => {
    const own = sources.network
    expect(susceptibilityAt(own, 0.9)).toEqual({ value: 1, error: 0, n: 3 })
    // 1 + 2 (7 · 0.5 + 6 · 0.25)/8
    expect(susceptibilityAt(own, 0.6).value).toBeCloseTo(1 + 10 / 8, 12)
    expect(correlationAt(own, 0.6, 2).value).toBeCloseTo(0.25, 12)
    expect(rangeAt(own, 0.6)).toBe(2)
    expect(lengthAt(own, 0.6).value).toBeCloseTo((0.5 + 2 * 0.25) / 0.75, 12)
    expect(rangeAt(own, 0.3)).toBe(1)
    expect(lengthAt(own, 0.9).value).toBeNaN()
    expect(largestOf(own).t).toBe(0.6)
  })

  it('have errors over passages', () => {
    const uneven: Source = {
      ...sources.network,
      trips: [1, 2, 1, 2].map((all, passage) => ({
        ...(sources.network.trips[0] as (typeof sources.network.trips)[number]),
        ...{ t: 0.5, passage, all, byDistance: [1, 0] },
      })),
    }
    const { value, error, n } = susceptibilityAt(uneven, 0.5)
    expect([value, n]).toEqual([1.5, 4])
    // means without one: 5/3, 4/3, …
    expect(error).toBeCloseTo(Math.sqrt((3 / 4) * 4 * (1 / 6) ** 2), 12)
  })

  it('hold χ inside against χ at the last t, passage by passage', () => {
    expect(innerExcess(sources.network).value).toBeCloseTo(10 / 8, 12)
    // χ rises to the end in passages that differ, by as much in each
    const rising = [0.3, 0.6, 0.9].flatMap((t, i) =>
      [0, 1, 2].map((passage) => ({
        ...sources.network.trips[0]!,
        ...{ t, passage, all: 1 + i + passage, byDistance: [1, 0] },
      })),
    )
    const even = innerExcess({ ...sources.network, trips: rising })
    expect(even.value).toBeCloseTo(-1, 12)
    expect(even.error).toBeCloseTo(0, 12)
    // by 0, 1 and 2: an error as of a mean of three
    const uneven = rising.map((row) => (row.t === 0.9 ? { ...row, all: row.all + row.passage - 1 } : row))
    const found = innerExcess({ ...sources.network, trips: uneven })
    expect(found.value).toBeCloseTo(-1, 12)
    expect(found.error).toBeCloseTo(Math.sqrt(1 / 3), 12)
    expect(innerExcess({ ...sources.network, trips: rising.slice(0, 3) }).value).toBeNaN()
  })

  it('know the rung that the network stands on', () => {
    expect(sources.ngrams.map(({ n }) => n)).toEqual([2, 3])
    expect(rungOf(sources)!.n).toBe(2)
  })
})

describe('runs', () => {
  it('take the network of a run, of any of its looks, and the text of that run', async () => {
    const trained = composeConfig(textDiffusion, { preset: 'tiny', values: { text, data: { P: [] } } })
    const { folder } = await executeRun(textDiffusion, trained, { root: at('runs'), threads: 1 })
    const chunks = async (values: object) =>
      loadRun(
        (
          await executeRun(
            textChunks,
            composeConfig(textChunks, { preset: 'tiny', values: { model: folder, ngrams: [1], ...values } }),
            { root: at('runs'), threads: 1 },
          )
        ).folder,
      )
    const losses = [await chunks({}), await chunks({ step: 16 })].map(({ result }) => result['loss'])
    // a masked character stays what it is as often as its frequency says; single characters depend on nothing else
    const single = (await chunks({})).result['rows'] as unknown as Found<TripRow>[]
    const { train, heldOut, symbols } = await readCorpus(diffusionConfig.parse({ text }))
    const shares = (ids: Uint16Array) =>
      symbols.map((_, id) => ids.filter((own) => own === id).length / ids.length)
    const [p, q] = [shares(train), shares(heldOut)]
    const other = 1 - p.reduce((sum, share, id) => sum + share * q[id]!, 0)
    for (const t of [0.3, 0.7]) {
      const own = single.filter((row) => row.source === 'ngram' && row.of === 'trips' && row.t === t)
      const changed = own.reduce((sum, row) => sum + row.changed, 0) / own.length
      expect(Math.abs(changed - t * other)).toBeLessThan(0.06)
    }
    const known = loadRun(folder).result['loss'] as number
    // other windows with other masks, of the same network
    expect(Math.abs((losses[0] as number) - known)).toBeLessThan(0.3)
    expect(losses[1]).toBeGreaterThan(losses[0] as number)

    const refused = async (values: object) =>
      (await rejection(prepareChunks(config.parse({ model: folder, ...values })))).message
    expect(await refused({ step: 24 })).toMatch(/config.step: .* steps 16, 32, 64, got 24/)
    expect(await refused({ passages: 4096 })).toMatch(/config.text: expected at least .* lower passages/)
    const chunksRun = loadRun(
      (
        await executeRun(
          textChunks,
          composeConfig(textChunks, {
            preset: 'tiny',
            values: { text, ngrams: [] },
          }),
          { root: at('runs'), threads: 1 },
        )
      ).folder,
    )
    expect(await refused({ model: chunksRun.folder })).toMatch(
      /config.model: .*text-diffusion, got one of text-chunks/,
    )
    expect(await refused({ model: at('nowhere') })).toContain('nowhere')
    rmSync(join(folder, 'cells'), { recursive: true })
    expect(await refused({})).toMatch(/config.model: .* has no network yet/)
  })

  it('refuse windows that no transform fits, and texts that cannot be read', async () => {
    const refused = async (values: object) => rejection(prepareChunks(config.parse({ text, ...values })))
    expect((await refused({ train: { window: 24 } })).message).toMatch(/expected a power of two, got 24/)
    writeFileSync(at('bytes.txt'), Uint8Array.of(0x61, 0xff, 0x62))
    expect((await refused({ text: at('bytes.txt') })).message).toMatch(/expected text in UTF-8/)
    expect((await refused({ text: at('none.txt') })).code).toBe('TL_IO')
  })

  it('read another text with the symbols of the run', async () => {
    writeFileSync(at('other.txt'), 'a b! '.repeat(20))
    const { train } = await encodeText({ text: at('other.txt'), alphabet: 'letters' }, [' ', 'b', 'x'])
    expect(Array.from(train.subarray(0, 4))).toEqual([2, 0, 1, 0])
  })
})
