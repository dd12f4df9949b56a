/** @file Round trips of passages: a share of the characters is masked and filled again; which of them change together. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { breathe } from '../../base/index.ts'
import {
  changesOf,
  covarianceByDistance,
  type Denoiser,
  fillMasks,
  fixedMasks,
  maskedDenoiser,
  maskedLosses,
  ngramFill,
  ngramLogProbability,
  ngramModel,
  trainMasked,
} from '../../diffusion/index.ts'
import { appendMetric, type Bench, type Measured, readMetrics, truncateMetrics } from '../../lab/index.ts'
import type { TransformerParameters } from '../../nn/index.ts'
import { random } from '../../tensor/index.ts'
import { type Corpus, spreadWindows, textFrom } from '../text-diffusion/corpus.ts'
import { lossOver, type Network, networkOf } from '../text-diffusion/measure.ts'
import { loadModel } from '../text-diffusion/model.ts'
import type { Config } from './config.ts'
import { modelOf, type PreparedChunks, readTexts } from './texts.ts'

/** What fills the masks: the network, or an exact model that sees n − 1 characters. */
export type Cell = { readonly source: 'network' } | { readonly source: 'ngram'; readonly n: number }

/** Whose passages: those of the text, or the same characters in random order. */
type Kind = 'text' | 'shuffled'

/** Round trips of one passage at one t: sums of covariances of σ = ±1 over ordered pairs. */
export interface TripRow {
  readonly of: 'trips'
  readonly kind: Kind
  readonly t: number
  readonly passage: number
  /** Share of characters that changed. */
  readonly changed: number
  /** Of all pairs, i = j among them: the variance of Σ σ. */
  readonly all: number
  /** At distances r = 0 … reach. */
  readonly byDistance: readonly number[]
}

/** A passage and one round trip of it. */
export interface PassageRow {
  readonly of: 'passage'
  readonly t: number
  readonly before: string
  readonly after: string
}

/** Loss of held-out windows, nats a character: exact for n-grams, a bound for the network. */
export interface LossRow {
  readonly of: 'loss'
  readonly loss: number
  readonly error: number | null
  /** Characters of a passage. */
  readonly d: number
}

export type Row = TripRow | PassageRow | LossRow
export type Found<R extends Row = Row> = Measured<Cell, Row> & R

/** The text and the width of its passages. */
export interface Resource {
  readonly corpus: Corpus
  readonly d: number
}

type ChunkBench = Bench<Config, Resource, PreparedChunks>

/** Held-out windows of losses. */
const lossWindows = 256

/** Passages whose round trips are shown at each t. */
const shownPassages = 1

/** Fill masks (−1) of strings [B, d]. */
type Fill = (tokens: Int32Array, key: random.Key) => Promise<Int32Array> | Int32Array

/** `trajectories` copies of each passage, each character masked with probability t. */
function masked(
  passages: Int32Array,
  d: number,
  trajectories: number,
  t: number,
  key: random.Key,
): Int32Array {
  const out = new Int32Array(passages.length * trajectories)
  const units = random.sampleUniform(key, out.length)
  for (let at = 0; at < out.length; at++) {
    const passage = Math.floor(at / (d * trajectories))
    out[at] = units[at]! < t ? -1 : passages[passage * d + (at % d)]!
  }
  return out
}

/** Round trips of all passages at one t. */
async function tripsAt(
  passages: Int32Array,
  fill: Fill,
  {
    kind,
    t,
    key,
    d,
    config,
    symbols,
  }: {
    readonly kind: Kind
    readonly t: number
    readonly key: random.Key
    readonly d: number
    readonly config: Config
    readonly symbols: readonly string[]
  },
): Promise<Row[]> {
  const n = config.trajectories
  const [forMasks, forFill] = random.split(key)
  const filled = await fill(masked(passages, d, n, t, forMasks), forFill)
  return Array.from({ length: passages.length / d }, (_, passage): Row[] => {
    const before = passages.subarray(passage * d, (passage + 1) * d)
    const own = filled.subarray(passage * n * d, (passage + 1) * n * d)
    const values = changesOf(before, own, d)
    const C = covarianceByDistance({ values, n, d, s: 2 })
    // C(r) is a mean over d − r pairs, each of which stands for two ordered ones
    const sums = Array.from(C, (value, r) => value * (d - r) * (r === 0 ? 1 : 2))
    const changed = values.reduce((sum, value) => sum + Number(value > 0), 0) / values.length
    return [
      {
        ...{ of: 'trips', kind, t, passage, changed, all: sums.reduce((a, b) => a + b, 0) },
        byDistance: sums.slice(0, Math.min(config.reach, d - 1) + 1),
      },
      ...(kind === 'text' && passage < shownPassages
        ? [
            {
              ...{ of: 'passage' as const, t },
              ...{ before: textFrom(before, symbols), after: textFrom(own.subarray(0, d), symbols) },
            },
          ]
        : []),
    ]
  }).flat()
}

/** Held-out passages, and windows for losses: the same for every source. */
const passagesOf = ({ resource: { corpus, d }, config }: ChunkBench) => ({
  passages: spreadWindows(corpus.heldOut, config.passages, d),
  windows: spreadWindows(corpus.heldOut, Math.min(lossWindows, Math.floor(corpus.heldOut.length / d)), d),
})

const lossRow = (losses: ArrayLike<number>, d: number): LossRow => ({ of: 'loss', ...lossOver(losses), d })

async function ofNgram(n: number, bench: ChunkBench): Promise<Row[]> {
  const { resource, config, key, signal, progress } = bench
  const { corpus, d } = resource
  const model = ngramModel(corpus.train, corpus.symbols.length, n)
  const { passages, windows } = passagesOf(bench)
  const rows: Row[] = [
    lossRow(
      ngramLogProbability(model, windows, d).map((log) => -log / d),
      d,
    ),
  ]
  for (const [i, t] of config.t.entries()) {
    const forT = random.foldIn(random.foldIn(key, 10 + n), i)
    progress(i / config.t.length, `${n}-gram, t = ${t}`)
    const batches: Row[] = await tripsAt(
      passages,
      async (tokens, own) => {
        // passage by passage, so that a run can be cut between them
        const out = new Int32Array(tokens.length)
        const size = config.trajectories * d
        for (let at = 0; at < tokens.length; at += size) {
          signal.throwIfAborted()
          out.set(ngramFill(model, tokens.subarray(at, at + size), d, random.foldIn(own, at / size)), at)
          progress((i + at / tokens.length) / config.t.length, `${n}-gram, t = ${t}`)
          await breathe()
        }
        return out
      },
      { kind: 'text', t, key: forT, d, config, symbols: corpus.symbols },
    )
    rows.push(...batches)
  }
  return rows
}

/** The network of the run, or one that is trained here and goes on where it was cut. */
async function networkFor(
  bench: ChunkBench,
  share: number,
): Promise<{ network: Network; parameters: TransformerParameters }> {
  const { config, resource, key, folder, threads, signal, progress } = bench
  const found = modelOf(config)
  if (found) return loadModel(found)
  const { window, steps, batchSize, learningRate } = config.train
  const network = networkOf(config.train, resource.corpus.symbols.length, window)
  const { parameters } = await trainMasked(network, {
    ...{ source: { sequence: resource.corpus.train }, parameters: network.init(random.foldIn(key, 2)) },
    ...{ steps, batchSize, learningRate, key: random.foldIn(key, 3), threads, signal },
    checkpoint: { path: join(folder, 'state.safetensors'), every: 128 },
    config: bench.prepared,
    onProgress: (done, loss) => progress(share * done, `training, loss ${loss.toFixed(3)}`),
  })
  return { network, parameters }
}

async function ofNetwork(bench: ChunkBench): Promise<Row[]> {
  const { config, resource, key, folder, threads, signal, progress } = bench
  const { corpus, d } = resource
  // what is done is kept: the journal of the shares of masks
  const journal = join(folder, 'trips.jsonl')
  const share = modelOf(config) ? 0 : 0.5
  const { network, parameters } = await networkFor(bench, share)
  const done = existsSync(journal) ? readMetrics(journal) : []
  if (done.length === 0) truncateMetrics(journal, -1)
  const losses = maskedLosses(network, { threads })
  const denoisers = maskedDenoiser(network, { threads })
  const denoiser: Denoiser = denoisers.with(parameters)
  const { passages, windows } = passagesOf(bench)
  // characters of the text in random order
  const order = random.samplePermutation(random.foldIn(key, 5), corpus.heldOut.length)
  const shuffled = spreadWindows(
    Uint16Array.from(order, (at) => corpus.heldOut[at]!),
    Math.max(1, config.shuffledPassages),
    d,
  )
  try {
    if (done.length === 0)
      appendMetric(journal, {
        step: 0,
        rows: [lossRow(await losses.of(parameters, fixedMasks(windows, d, random.foldIn(key, 6))), d)],
      })
    for (const [i, t] of config.t.entries()) {
      if (done.some(({ step }) => step === i + 1)) continue
      const at = (more: number): number => share + (1 - share) * ((i + more) / config.t.length)
      const rows: Row[] = []
      for (const [kind, own] of [
        ['text', passages],
        ['shuffled', config.shuffledPassages > 0 ? shuffled : new Int32Array(0)],
      ] as const) {
        const forT = random.foldIn(random.foldIn(key, kind === 'text' ? 20 : 21), i)
        const fill: Fill = (tokens, forFill) =>
          fillMasks(denoiser, tokens, {
            ...{ perStep: config.perStep, key: forFill, signal },
            onProgress: (part) => progress(at(part), `network, t = ${t}`),
          })
        if (own.length > 0)
          rows.push(...(await tripsAt(own, fill, { kind, t, key: forT, d, config, symbols: corpus.symbols })))
      }
      appendMetric(journal, { step: i + 1, rows })
    }
  } finally {
    losses.dispose()
    denoisers.dispose()
  }
  return readMetrics(journal).flatMap(({ rows }) => rows as unknown as Row[])
}

export const openTexts = async (config: Config): Promise<Resource> => readTexts(config)

export const measure = (cell: Cell, bench: ChunkBench): Promise<Row[]> =>
  cell.source === 'ngram' ? ofNgram(cell.n, bench) : ofNetwork(bench)
