/** @file A language model opened from its files: programs made when first needed, sessions, scores, texts. */
import { fail } from '../base/index.ts'
import { type Checkpoint, companionsOf, openCheckpoint } from '../checkpoint/index.ts'
import type { RuntimeName } from '../tensor/index.ts'
import { type ModelConfig, readConfig } from './config.ts'
import { type Generated, type GenerateOptions, generateWith } from './generate.ts'
import { choosePrecision, type Precision, precisions } from './precision.ts'
import { scoreSequences } from './score.ts'
import { compileSegment, type Segment, type SegmentOptions } from './segment.ts'
import { openSession, type Session } from './session.ts'
import { type ModelWeights, openWeights } from './weights.ts'

export interface LoadOptions {
  /** Default 'f32'; 'auto' is what suits the model and the machine (`choosePrecision`). */
  readonly precision?: Precision | 'auto'
  /** For 'auto': the build of the runtime that will run the model (`runtime()`); default native. */
  readonly runtime?: RuntimeName
  /** Threads within one operation. Default 1. */
  readonly threads?: number
  /** Most tokens of a session. Default the model's own context, at most 8192. */
  readonly context?: number
}

export interface LanguageModel {
  readonly path: string
  readonly config: ModelConfig
  readonly precision: Precision
  /** Why `auto` chose it. */
  readonly precisionReason?: string
  readonly context: number
  readonly threads: number
  /** Weights as tensors, read from the file at each call: for programs of your own (training the top blocks). */
  readonly weights: ModelWeights
  /** A program for some of the blocks; the caller disposes of it. */
  segment(options?: SegmentOptions): Promise<Segment>
  /** The program for all blocks that sessions share: it belongs to the model. */
  program(): Promise<Segment>
  /** A conversation. All share the model's one program. */
  session(): Session
  /** Logits after chosen tokens of a text (default the last): [R, vocabulary]. */
  logits(ids: readonly number[], rows?: readonly number[]): Promise<Float32Array>
  /** log p of each token but the first, in nats. */
  score(ids: readonly number[]): Promise<Float64Array>
  /** The same for several texts, in batches. */
  scoreAll(sequences: readonly (readonly number[])[]): Promise<Float64Array[]>
  generate(options: GenerateOptions): Promise<Generated>
  dispose(): void
}

const longestByDefault = 8192

/**
 * Open a model: a Hugging Face folder (config.json, safetensors) or one GGUF file. Headers and tensor names are checked now,
 * weights are read when the first program is made. Throws `TL_IO`, `TL_BAD_FILE`, `TL_UNSUPPORTED`.
 */
export function loadModel(path: string, options: LoadOptions = {}): LanguageModel {
  checkPrecision(options)
  const checkpoint = openCheckpoint(path)
  return closingOnError(checkpoint, () =>
    languageModelOf(path, checkpoint, readConfig(companionsOf(path), checkpoint), options),
  )
}

function closingOnError<T>(checkpoint: Checkpoint, work: () => T): T {
  try {
    return work()
  } catch (error) {
    checkpoint.close()
    throw error
  }
}

function checkPrecision({ precision: asked = 'f32' }: LoadOptions): void {
  if (asked !== 'auto' && !precisions.includes(asked))
    fail(
      'TL_BAD_ARGUMENT',
      `loadModel: precision: expected auto, f32, q8 or q4, got ${JSON.stringify(asked)}`,
    )
}

/**
 * A model from weights that are open already – the language part of a larger model, by names of its own. They are closed by
 * `dispose`. Throws as `loadModel` does; the weights then stay open.
 */
export function languageModelOf(
  path: string,
  checkpoint: Checkpoint,
  config: ModelConfig,
  options: LoadOptions = {},
): LanguageModel {
  const { precision: asked = 'f32', threads = 1 } = options
  checkPrecision(options)
  const context = options.context ?? Math.min(config.context, longestByDefault)
  if (!(Number.isInteger(context) && context >= 1 && context <= config.context))
    fail('TL_BAD_ARGUMENT', `loadModel: context: expected 1 to ${config.context} tokens, got ${context}`)
  const chosen =
    asked === 'auto' ? choosePrecision(checkpoint, config, { runtime: options.runtime }) : undefined
  const precision = chosen?.precision ?? (asked as Precision)
  const weights = openWeights(path, checkpoint, config, precision)
  const segment = (own?: SegmentOptions): Promise<Segment> =>
    compileSegment(config, weights, context, threads, own)
  let whole: Promise<Segment> | undefined
  const program = (): Promise<Segment> => {
    whole ??= segment()
    return whole
  }
  const session = (): Session => openSession(config, context, program)
  const scoreAll = (sequences: readonly (readonly number[])[]): Promise<Float64Array[]> =>
    scoreSequences(config, context, program, sequences)
  return {
    ...{ path, config, precision, context, threads, weights, segment, program, session, scoreAll },
    ...(chosen && { precisionReason: chosen.reason }),
    logits: (ids, rows = [ids.length - 1]) => session().logits(ids, rows),
    score: async (ids) => (await scoreAll([ids]))[0]!,
    generate: (own) => generateWith(session(), context, own),
    dispose: () => {
      checkpoint.close()
      void whole?.then((one) => one.dispose()).catch(() => undefined)
      whole = undefined
    },
  }
}
