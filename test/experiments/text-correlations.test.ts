/** @file Exponents of a text: of made-up rows whose powers are known, of tokens, and what is refused. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { config } from '../../src/experiments/text-correlations/config.ts'
import {
  contextCurves,
  effectiveContextOf,
  factsOf,
  leavingOneOut,
  visible,
} from '../../src/experiments/text-correlations/estimates.ts'
import { distancesUpTo, type Found } from '../../src/experiments/text-correlations/measure.ts'
import { prepareText, someOf, splitText } from '../../src/experiments/text-correlations/text.ts'
import { textCorrelations } from '../../src/experiments/text-correlations.ts'
import { composeConfig, executeRun } from '../../src/lab/index.ts'
import { random } from '../../src/tensor/index.ts'
import { refusal, rejection } from '../data/helpers.ts'
import { madeUpText } from './madeUpText.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-text-correlations-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (name: string): string => join(root, name)
beforeAll(() => {
  writeFileSync(at('text.txt'), madeUpText(20_000))
  writeFileSync(at('short.txt'), madeUpText(300))
})

const preparing = {
  ...{ threads: 1, signal: new AbortController().signal },
  ...{ log: () => {}, progress: () => {} },
}

describe('exponents of rows whose powers are known', () => {
  const [beta, gamma, alpha, blocks, P] = [1.3, 0.4, 0.15, 8, 2 ** 20]
  const drawn = { seed: 0, replica: 0 }
  /** Covariances of norm t^−β in every block, and noise of mean square 1/P in all together, of which nothing is common. */
  const pairs = (shuffled: boolean): Found[] =>
    distancesUpTo(4096).flatMap((t) =>
      Array.from({ length: blocks }, (_, block) => {
        const signal = shuffled ? 0 : t ** (-2 * beta)
        const norm = signal + blocks / P
        const inner = blocks * signal + blocks / P
        return {
          ...({
            part: 'pairs',
            shuffled,
            of: 'pairs',
            t,
            block,
            size: 4,
            varied: 4,
            pairs: P / blocks,
          } as const),
          ...{ norm: 4 * norm, inner: 4 * inner, ...drawn },
        }
      }),
    )
  const contexts = (shuffled: boolean): Found[] =>
    [0, 1, 2, 3].flatMap((halvings) =>
      [0, 1, 2, 3, 4, 5, 6].flatMap((n) =>
        [0, 1, 2].map((group) => {
          // from n = 5 on more text lowers the loss a lot
          const missing = n >= 5 ? 1.2 ** halvings : 1
          const loss = 3 * Math.max(1, n) ** -gamma * missing * 2 ** ((alpha * halvings) ** 0)
          return {
            ...({
              part: 'contexts',
              shuffled,
              halvings,
              of: 'contexts',
              n,
              group,
              counted: P / 2 ** halvings,
            } as const),
            ...{ loss: shuffled ? 3 : loss, ...drawn },
          }
        }),
      ),
    )
  const decoders: Found[] = [1, 2, 3, 4].flatMap((k) =>
    [0, 1].flatMap((replica) =>
      Array.from({ length: 16 }, (_, i) => ({
        ...({ part: 'decoder', P: 4 ** k, of: 'decoder', context: i + 1, best: 8, steps: 16 } as const),
        ...{ loss: (i + 1) ** -gamma * (4 ** k / (i + 1) ** (2 * beta)) ** -alpha, seed: 0, replica },
      })),
    ),
  )
  const text: Found = {
    ...{ part: 'pairs', shuffled: false, of: 'text', title: 'Known', length: P, kinds: 2, ...drawn },
  }
  const rows = [text, ...pairs(false), ...pairs(true), ...contexts(false), ...contexts(true), ...decoders]
  const facts = factsOf(rows, config.parse({}))

  it('are found', () => {
    expect(facts.beta.value).toBeCloseTo(beta, 10)
    expect(facts.beta.error).toBeCloseTo(0, 10)
    expect(facts.bend.value).toBeCloseTo(1, 10)
    expect(facts.settled).toEqual([1, 2, 3, 4])
    expect(facts.gamma.value).toBeCloseTo(gamma, 10)
    expect(facts.predicted.value).toBeCloseTo(gamma / 2 / beta, 10)
    expect(facts.alphaCounts.value).toBeCloseTo(Math.log2(1.2), 10)
    expect(facts.alphaDecoders!.value).toBeCloseTo(alpha, 10)
  })

  it('of distances above the noise alone, which end where the effective context does', () => {
    const seen = visible(facts.distances)
    // t^−2β = 1/P
    const end = P ** (1 / (2 * beta))
    expect(seen.at(-1)!.t).toBeLessThanOrEqual(end)
    expect(facts.distances[seen.length]!.t).toBeGreaterThan(end)
    for (const less of [1, 16, 256])
      expect(effectiveContextOf(facts.distances, P / less) / (P / less) ** (1 / (2 * beta))).toBeCloseTo(1, 1)
  })

  it('lay the curves of all contexts on one', () => {
    // t^γ L = (P/t^2β)^−α by construction: one power law, whatever the context
    for (const { x, y } of contextCurves(decoders.filter(({ replica }) => replica === 0) as never, {
      gamma,
      z: 2 * beta,
    }))
      for (const [i, place] of x.entries()) expect(y[i]!).toBeCloseTo(place ** -alpha, 10)
    expect(facts.collapse!.value).toBeLessThan(1e-6)
  })

  it('are of the text once, however many seeds there are', () => {
    const twice = [...rows, ...rows.map((row) => ({ ...row, seed: 1 }))]
    const both = factsOf(twice, config.parse({}))
    expect(both.distances).toEqual(facts.distances)
    expect(both.gamma).toEqual(facts.gamma)
    expect(both.alphaDecoders!.n).toBe(4)
  })

  it('have no value where nothing is above the noise', () => {
    const flat = rows.map((row) =>
      row.of === 'pairs' ? { ...row, norm: 4, inner: 4 / blocks / 2 } : row,
    ) as Found[]
    const none = factsOf(flat, config.parse({}))
    expect([none.beta.value, none.predicted.value]).toEqual([Number.NaN, Number.NaN])
    const { headline, claims, charts } = textCorrelations.study.findings(flat, config.parse({}))
    expect(headline).not.toContain('NaN')
    expect(claims.find(({ claim }) => claim.startsWith('β of characters'))!.outcome).toBe('undecided')
    for (const draw of charts) expect(draw().svg).not.toContain('NaN')
  })
})

it('leaving one out: the error of a mean is its standard error', () => {
  const values = [1, 2, 4, 8, 16]
  const { value, error } = leavingOneOut(5, (left) => {
    const own = values.filter((_, i) => i !== left)
    return own.reduce((a, b) => a + b, 0) / own.length
  })
  const squares = values.reduce((sum, x) => sum + (x - 6.2) ** 2, 0)
  expect([value, error]).toEqual([6.2, expect.closeTo(Math.sqrt(squares / 4 / 5), 12)])
})

describe('pieces of a text', () => {
  const ids = Uint16Array.from({ length: 50_000 }, (_, i) => i)

  it('are in one part each, spread over the text', () => {
    const { train, validation, test } = splitText(ids, { most: 20_000 })
    const all = [...train, ...validation, ...test].flatMap((piece) => [...piece])
    expect(new Set(all).size).toBe(all.length)
    expect(all.length).toBeLessThanOrEqual(20_000)
    expect(all.length).toBeGreaterThan(19_000)
    // every quarter of the text has some of each
    for (const part of [train, validation, test])
      expect(new Set(part.map((piece) => Math.floor((4 * piece[0]!) / ids.length))).size).toBe(4)
    expect(train.length / (test.length + validation.length)).toBeCloseTo(4, 5)
  })

  it('more symbols include fewer', () => {
    const { train } = splitText(ids, { most: 50_000 })
    const [few, many] = [1000, 5000].map((P) =>
      someOf(train, random.key(1), P).flatMap((piece) => [...piece]),
    )
    expect([few!.length, many!.length]).toEqual([1000, 5000])
    expect(many!.slice(0, 1000)).toEqual(few)
  })
})

describe('what a run needs', () => {
  const tiny = (more: object) =>
    config.parse({ ...textCorrelations.presets['tiny'], text: at('text.txt'), ...more })

  it('is looked at before it begins', async () => {
    const prepared = await prepareText(tiny({}), preparing)
    expect(prepared).toMatchObject({ title: 'text.txt', symbols: expect.arrayContaining(['e', ' ', '.']) })
    expect(prepared.length).toBeGreaterThan(19_000)
    for (const [more, message] of [
      [
        { text: at('short.txt') },
        /config\.text: expected at least blocks · 4 · reach = 512 symbols, got 3\d\d/,
      ],
      [{ P: [256, 512, 2 ** 20] }, /config\.P: expected at most 1\d+ symbols .* got 1048576/],
      [{ P: [256, 512, 1024], window: 128 }, /config\.P: expected at least four windows of 128, got 256/],
      [{ text: at('absent.txt') }, /cannot read .*absent\.txt/],
      [{ text: 'mobydick' }, /there is no such text.*"moby-dick"/],
      [{ text: 'mnist' }, /mnist: expected a text, this is a set of images/],
      [{ model: at('nowhere') }, /nowhere/],
    ] as const)
      expect((await rejection(prepareText(tiny(more), preparing))).message).toMatch(message)
    expect(refusal(() => composeConfig(textCorrelations, { set: ['P=100,200,300'] })).message).toMatch(
      /config\.P/,
    )
  })

  it('may be tokens of a model', async () => {
    const model = at('model')
    mkdirSync(model)
    const tokens = ['e', 't', 'a', 'o', 'i', 'n', 's', 'h', 'r', 'd', '.', 'Ġ', 'et', 'te']
    writeFileSync(
      join(model, 'tokenizer.json'),
      JSON.stringify({
        version: '1.0',
        added_tokens: [],
        pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
        decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
        model: {
          type: 'BPE',
          vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
          merges: ['e t', 't e'],
        },
      }),
    )
    const prepared = await prepareText(tiny({ model, symbols: 6 }), preparing)
    expect(prepared.symbols).toHaveLength(6)
    const characters = await prepareText(tiny({}), preparing)
    expect(prepared.length).toBeLessThan(characters.length)
    const { summary } = await executeRun(
      textCorrelations,
      composeConfig(textCorrelations, {
        preset: 'tiny',
        values: { text: at('text.txt'), model, train: false },
      }),
      { root: at('runs'), threads: 1 },
    )
    expect(summary.headline).toContain('for tokens of text.txt')
    expect(summary.claims.some(({ claim }) => claim.includes('tiny-Shakespeare'))).toBe(false)
  })
})
