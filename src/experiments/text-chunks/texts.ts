/** @file The text whose passages change, and the run whose network changes them. */
import { createHash } from 'node:crypto'
import { fail } from '../../base/index.ts'
import type { Preparing } from '../../lab/index.ts'
import { config as diffusionConfig } from '../text-diffusion/config.ts'
import { type Corpus, encodeText, readCorpus } from '../text-diffusion/corpus.ts'
import { findModel, type RunModel } from '../text-diffusion/model.ts'
import type { Config } from './config.ts'

/** What a run knows before it begins. */
export interface PreparedChunks {
  readonly title: string
  readonly sha256: string
  /** Characters of a passage. */
  readonly d: number
  /** The run whose network is taken, by its hash, and the step; empty where one is trained. */
  readonly network: string
}

/** The run of a config; undefined where a network is trained. */
export const modelOf = ({ model, step }: Config): RunModel | undefined =>
  model === '' ? undefined : findModel(model, step)

/**
 * The text of a config and the length of passages. Another text than that of the run is read with the run's symbols. Throws
 * TL_BAD_CONFIG for a text that has none of them.
 */
export async function readTexts(
  config: Config,
  signal?: AbortSignal,
): Promise<{ corpus: Corpus; d: number }> {
  const found = modelOf(config)
  const own = found?.config ?? diffusionConfig.parse(config.text === '' ? {} : { text: config.text })
  const d = found?.config.window ?? config.train.window
  const corpus = await readCorpus(own, signal)
  if (!found || config.text === '' || config.text === found.config.text) return { corpus, d }
  return { corpus: await encodeText({ ...found.config, text: config.text }, corpus.symbols), d }
}

/** Read text and run once, and refuse what cannot work. */
export async function prepareChunks(
  config: Config,
  preparing?: Pick<Preparing, 'signal'>,
): Promise<PreparedChunks> {
  const found = modelOf(config)
  const { corpus, d } = await readTexts(config, preparing?.signal)
  if (2 ** Math.round(Math.log2(d)) !== d)
    fail('TL_BAD_CONFIG', `config.train.window: expected a power of two, got ${d}`)
  const wanted = d * Math.max(config.passages, config.shuffledPassages)
  if (corpus.heldOut.length < wanted)
    fail(
      'TL_BAD_CONFIG',
      `config.text: expected at least ${10 * wanted} symbols, so that the last tenth has the passages, got ${corpus.train.length + corpus.heldOut.length}; lower passages, or take a longer text`,
    )
  return {
    ...{ title: corpus.title, d },
    sha256: createHash('sha256').update(corpus.train).update(corpus.heldOut).digest('hex'),
    network: found ? `${found.hash} ${found.step}` : '',
  }
}
