/** @file A whole batch at once, on one thread or several. */
import type { Task } from '../../base/workers.ts'
import type { random } from '../../tensor/index.ts'
import type { Grammar, Trees } from '../grammar.ts'
import { emptyTrees } from '../sample.ts'
import { marginals } from './down.ts'
import type { Floats } from './level.ts'
import { type MapTrees, mapTree } from './map.ts'
import { samplePosterior } from './sample.ts'
import { inferUp } from './up.ts'

/** What is asked of the evidence beside its probability. */
export interface Question {
  readonly marginals?: boolean
  readonly map?: boolean
  /** Posterior samples of each datum; needs a key. */
  readonly samples?: { readonly count: number; readonly key: random.Key }
}

/** What was asked for; see `inferUp`, `marginals`, `mapTree`, `samplePosterior`. */
export interface Answer {
  readonly logEvidence: Float64Array
  readonly impossible: Uint8Array
  readonly marginals?: Float64Array[]
  readonly map?: MapTrees
  readonly samples?: Trees
}

/** A piece of a batch, as a worker gets it. */
interface Piece {
  readonly grammar: Grammar
  readonly likelihood: Floats
  readonly batch: number
  readonly question: Question
  /** Number of its first datum in the whole batch. */
  readonly first: number
}

/** Answer for one piece; the task of `inferInWorkers`. */
export function answerPiece({ grammar, likelihood, batch, question, first }: Piece): Answer {
  const up = inferUp(grammar, likelihood, batch, first)
  const { samples } = question
  return {
    logEvidence: up.logEvidence,
    impossible: up.impossible,
    ...(question.marginals && { marginals: marginals(grammar, up) }),
    ...(question.map && { map: mapTree(grammar, up) }),
    ...(samples && { samples: samplePosterior(grammar, up, samples.key, samples.count, first) }),
  }
}

/** Pieces are laid into the arrays of the whole one after the other. */
function join(whole: readonly (Float64Array | Int32Array)[], parts: readonly ArrayLike<number>[][]): void {
  for (const [level, into] of whole.entries()) {
    let at = 0
    for (const part of parts) {
      into.set(part[level]!, at)
      at += part[level]!.length
    }
  }
}

function joinAnswers(grammar: Grammar, batch: number, question: Question, parts: readonly Answer[]): Answer {
  const logEvidence = new Float64Array(batch)
  join(
    [logEvidence],
    parts.map((p) => [p.logEvidence]),
  )
  const out = { logEvidence, impossible: Uint8Array.from(logEvidence, (x) => Number(x === -Infinity)) }
  const levelsOf = (pick: (part: Answer) => readonly ArrayLike<number>[]): ArrayLike<number>[][] =>
    parts.map((part) => [...pick(part)])
  const treesFrom = (count: number, pick: (part: Answer) => Trees): Trees => {
    const trees = emptyTrees(grammar, count)
    join(
      trees.levels,
      levelsOf((part) => pick(part).levels),
    )
    return trees
  }
  const { samples } = question
  const result: { -readonly [K in keyof Answer]: Answer[K] } = out
  if (question.marginals) {
    const sizes = parts[0]?.marginals?.map((row) => row.length / parts[0]!.logEvidence.length) ?? []
    result.marginals = sizes.map((size) => new Float64Array(size * batch))
    join(
      result.marginals,
      levelsOf((part) => part.marginals!),
    )
  }
  if (question.map) {
    const logPosterior = new Float64Array(batch)
    join(
      [logPosterior],
      parts.map((p) => [p.map!.logPosterior]),
    )
    result.map = { trees: treesFrom(batch, (part) => part.map!.trees), logPosterior }
  }
  if (samples) result.samples = treesFrom(batch * samples.count, (part) => part.samples!)
  return result
}

/** Everything asked of a batch of evidence `likelihood` [batch, d, v], on this thread. */
export const infer = (grammar: Grammar, likelihood: Floats, batch: number, question: Question = {}): Answer =>
  answerPiece({ grammar, likelihood, batch, question, first: 0 })

/**
 * The same on several threads (Node only), with the same bits whatever their number. Throws as `inferUp`, and
 * TL_INTERRUPTED when the signal is aborted. `first` is the number of the first datum, for batches that are parts of a larger
 * one.
 */
export async function inferInWorkers(
  grammar: Grammar,
  likelihood: Floats,
  batch: number,
  question: Question,
  { threads, signal, first = 0 }: { threads: number; signal?: AbortSignal; first?: number },
): Promise<Answer> {
  const size = grammar.d * grammar.v
  const pieces: Piece[] = []
  const length = Math.max(1, Math.ceil(batch / (threads <= 1 ? 1 : 4 * threads)))
  for (let start = 0; start < batch; start += length) {
    const own = Math.min(length, batch - start)
    // a copy: a message would carry the whole buffer under a view
    const part = likelihood.slice(start * size, (start + own) * size)
    pieces.push({ grammar, likelihood: part, batch: own, question, first: first + start })
  }
  if (pieces.length <= 1 || likelihood.length !== batch * size)
    return answerPiece({ grammar, likelihood, batch, question, first })
  const { mapInWorkers } = await import('../../base/workers.ts')
  const task: Task = { module: import.meta.url, name: 'answerPiece' }
  const parts = await mapInWorkers<Piece, Answer>(task, pieces, { threads, signal })
  return joinAnswers(grammar, batch, question, parts)
}
