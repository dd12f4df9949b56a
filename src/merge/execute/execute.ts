/** @file Carries out a merge: pieces of bounded size over several workers, resumable at any moment, the same bytes always. */
import { basename, join } from 'node:path'
import { writeAtomically } from '../../base/files.ts'
import { fail, TreelineError } from '../../base/index.ts'
import { type FolderWork, type OutputFolder, openOutputFolder } from '../../base/outputFolder.ts'
import { statusOf } from '../../base/outputs.ts'
import type { Workers } from '../../base/workers.ts'
import {
  alignedNames,
  besideWeights,
  type Checkpoint,
  elements,
  fileMarks,
  fingerprint,
  finished,
  indexOf,
  inputFiles,
  isModelFile,
  layOut,
  openCheckpoint,
  openUnfinished,
  resolveModel,
  type Shard,
  storedSize,
  type Unfinished,
} from '../../checkpoint/index.ts'
import type { MergeConfig } from '../config/index.ts'
import { autoAlpha, type LinesRow, linesPlan } from '../lines/index.ts'
import { mergeMethods, type Parameters } from '../methods/index.ts'
import {
  type Headers,
  type MergePlan,
  modelsOf,
  type PlannedTensor,
  planMerge,
  storedAt,
  tiedTo,
} from '../plan/index.ts'
import { differentTokens, readVocabulary, type Vocabulary } from '../vocabulary/index.ts'
import { openMergeWorkers } from '../workers.ts'
import { architectureFindings } from './architectures.ts'
import { withoutConfig, writeCompanions } from './companions.ts'
import { closeOpened, type LinesStep, type LookItem, lookTask, type MergeItem, mergeTask } from './work.ts'
import { writeBack } from './writeBack.ts'

/** Elements of a piece when the method allows pieces: 4 MiB of f32 for each input. Changing it changes no bytes. */
const pieceElements = 1 << 20

/** Merges that this process has begun. */
let runs = 0

/** How to merge. */
export interface MergeOptions {
  readonly threads?: number
  /** Threads that are there already (`openMergeWorkers`), in place of `threads` new ones; they stay open. */
  readonly workers?: Workers
  readonly seed?: number
  readonly lenient?: boolean
  /**
   * float32 (default): everything in f32, rounded once. dtype: every result is rounded to `dtype` of the configuration
   * (bfloat16 or float16; without one, to the type of the inputs), as mergekit computes.
   */
  readonly arithmetic?: 'float32' | 'dtype'
  /** Bytes of data in each file of the output. Default 5 GB. */
  readonly shardSize?: number
  /** Replace the model that is there. Never an input. */
  readonly force?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: { done: number; total: number; phase: 'measure' | 'merge' }) => void
}

/** What a merge has written. */
export interface MergeOutcome {
  readonly out: string
  readonly files: readonly string[]
  readonly tensors: number
  /** Bytes of the output's weights. */
  readonly bytes: number
  readonly resumed: boolean
  /** The same merge was there already, finished; nothing was done. */
  readonly isUnchanged: boolean
  readonly lines?: { readonly alpha: number; readonly beta: number }
  readonly warnings: readonly string[]
}

/** The plan of a configuration, from the headers of the models on disk. Throws as `openCheckpoint` and `planMerge` do. */
export const planFromFiles = (config: MergeConfig, options: { lenient?: boolean } = {}): MergePlan =>
  prepareMerge(config, options).plan

/** Where the file names a model. */
function placeOf(config: MergeConfig, model: string): string | undefined {
  const sources = config.modules.flatMap(({ slices }) => slices.flatMap((slice) => slice.sources))
  if (config.lines?.base === model)
    return sources.find((one) => one.model === model)?.where ?? config.lines.where
  return sources.find((one) => one.model === model)?.where
}

/** Find every model before any is opened; what is no model is named with its line. */
function findModels(config: MergeConfig): void {
  for (const model of modelsOf(config))
    try {
      resolveModel(model)
    } catch (error) {
      if (!(error instanceof TreelineError)) throw error
      const where = placeOf(config, model)
      fail(error.code, where === undefined ? error.message : `${where}: ${error.message}`, error)
    }
}

/** A model's headers under the names of the first model, which may have a prefix that this one has not. */
function headersAs(tensors: Headers, first: Headers | undefined): Headers {
  if (!first) return tensors
  const names = alignedNames(tensors.keys(), first)
  return new Map([...tensors].map(([name, header]) => [names.get(name)!, header]))
}

/** The plan, and the vocabulary of the output when the configuration asks for one. */
function prepareMerge(
  config: MergeConfig,
  { lenient = false }: { lenient?: boolean },
): { plan: MergePlan; vocabulary: Vocabulary | undefined } {
  findModels(config)
  const opened: Checkpoint[] = []
  try {
    const heads = new Map<string, Headers>()
    for (const model of modelsOf(config)) {
      const checkpoint = openCheckpoint(model)
      opened.push(checkpoint)
      heads.set(model, headersAs(checkpoint.tensors, [...heads.values()][0]))
    }
    const vocabulary = config.tokenizer && readVocabulary(config, modelsOf(config))
    const plan = planMerge(config, heads, { lenient, ...(vocabulary ? { vocabulary } : {}) })
    // a model whose layers cannot be told is refused here, whatever α will be
    if (plan.lines) linesFactors(plan, 0)
    const found = architectureFindings(config)
    const problems = [...(lenient ? [] : found.problems.map((line) => `${line} (--lenient lets it pass)`))]
    const warnings = [
      ...plan.warnings,
      ...(lenient ? found.problems : []),
      ...found.warnings,
      ...(vocabulary ? [] : differentTokens(config)),
      ...withoutConfig(config, heads.get(config.baseModel ?? config.models[0]!)!.has('token_embd.weight')),
    ]
    return { plan: { ...plan, problems: [...problems, ...plan.problems], warnings }, vocabulary }
  } finally {
    for (const checkpoint of opened) checkpoint.close()
  }
}

/** The layer and LiNeS factor of every tensor of a plan with `lines`, at this α. Throws as `linesPlan` does. */
export const linesFactors = (plan: MergePlan, alpha: number): LinesRow[] =>
  linesPlan(
    plan.tensors.filter(({ action }) => action === 'merge').map(({ name }) => name),
    { alpha, beta: plan.lines!.beta },
  )

/** Throw the plan's problems as one error: the first in full, and how many others there are. */
export function assertPlan({ problems }: MergePlan): void {
  const [first, ...others] = problems
  if (first === undefined) return
  const more = others.length > 0 ? ` (and ${others.length} more; --dry-run lists them)` : ''
  fail('TL_SHAPE_MISMATCH', `${first}${more}`)
}

interface Piece {
  readonly shard: Shard<PlannedTensor>
  readonly offset: number
  readonly tensor: PlannedTensor
  readonly start: number
  readonly count: number
}

/** The pieces of the whole output, in an order that depends on the plan alone. */
function piecesOf(shards: readonly Shard<PlannedTensor>[]): Piece[] {
  return shards.flatMap((shard) =>
    shard.slots.flatMap(({ tensor, offset, bytes }) => {
      const total = elements(tensor.shape)
      if (tensor.reach === 'tensor' || tensor.action === 'copy' || total <= pieceElements)
        return [{ shard, offset, tensor, start: 0, count: total }]
      return Array.from({ length: Math.ceil(total / pieceElements) }, (_, i): Piece => {
        const start = i * pieceElements
        const count = Math.min(pieceElements, total - start)
        return { shard, offset: offset + (bytes / total) * start, tensor, start, count }
      })
    }),
  )
}

/** The statistics of the whole model that a method asks for, in passes over the workers. */
async function prepared(
  config: MergeConfig,
  plan: MergePlan,
  item: (tensor: PlannedTensor) => MergeItem,
  workers: Workers,
  options: { readonly signal?: AbortSignal },
): Promise<Parameters[] | undefined> {
  const tensors = plan.tensors.filter(({ action }) => action === 'merge')
  const [first] = tensors
  if (!config.method.prepare || !first) return undefined
  const preparation = config.method.prepare(
    first.parameters,
    first.models.map(({ parameters }) => parameters),
  )
  do {
    const question = preparation.question()
    const items = tensors.map((tensor): LookItem => ({ item: item(tensor), question }))
    await workers.map<LookItem, Uint32Array[]>(lookTask, items, { ...options, onResult: preparation.add })
  } while (preparation.endPass())
  return preparation.perModel()
}

/** Where LiNeS reads each tensor of its base. */
function linesSteps(plan: MergePlan): (tensor: PlannedTensor) => LinesStep | undefined {
  const { lines } = plan
  if (!lines) return () => undefined
  const checkpoint = openCheckpoint(lines.base)
  const headers = headersAs(checkpoint.tensors, new Map(plan.tensors.map((tensor) => [tensor.name, tensor])))
  const names = new Map(
    plan.tensors.map(({ name }) => [name, headers.has(name) ? name : tiedTo(name, headers)]),
  )
  checkpoint.close()
  return ({ name, action, linesView }) => {
    if (action === 'copy') return undefined
    const header = headers.get(names.get(name) ?? name)
    const tensor = header?.name ?? name
    return {
      model: lines.base,
      tensor,
      ...(header ? storedAt(header) : {}),
      ...(linesView ? { view: linesView } : {}),
    }
  }
}

interface Running {
  readonly config: MergeConfig
  readonly plan: MergePlan
  readonly unfinished: Unfinished
  readonly pieces: readonly Piece[]
  readonly item: (piece: Piece) => MergeItem
  readonly workers: Workers
  readonly options: MergeOptions
}

/** Pieces that a worker has at hand: most take less than a message's way. */
const ahead = 2

/** α of `lines`, measured over the whole merge when it is `auto`. */
async function findAlpha(running: Running): Promise<number> {
  const { plan, unfinished, pieces, item, workers, options, config } = running
  const { alpha } = plan.lines!
  if (alpha !== 'auto') return alpha
  const known = unfinished.recall('alpha')
  if (typeof known === 'number') return known
  let done = 0
  const total = pieces.length
  const results = await workers.map<MergeItem, { l1Sum: number; l1Merged: number }>(
    mergeTask,
    pieces.map(item),
    {
      ahead,
      ...(options.signal ? { signal: options.signal } : {}),
      onResult: () => options.onProgress?.({ done: ++done, total, phase: 'measure' }),
    },
  )
  const count = config.models.filter((model) => model !== plan.lines!.base).length
  const sum = (of: (one: { l1Sum: number; l1Merged: number }) => number): number =>
    results.reduce((partial, one) => partial + of(one), 0)
  const found = autoAlpha(
    sum((one) => one.l1Sum),
    sum((one) => one.l1Merged),
    count,
  )
  unfinished.remember('alpha', found)
  return found
}

async function mergePieces(
  running: Running,
  factors: ReadonlyMap<string, number> | undefined,
): Promise<void> {
  const { unfinished, pieces, item, workers, options } = running
  const open = pieces
    .map((piece, index) => ({ piece, index }))
    .filter(({ index }) => !unfinished.done.has(index))
    // the largest first, so that no thread is left alone with one at the end
    .sort((a, b) => b.piece.count - a.piece.count)
  const sizeOf = ({ tensor, count }: Piece): number =>
    (storedSize(tensor) / Math.max(1, elements(tensor.shape))) * count
  const total = pieces.reduce((sum, piece) => sum + sizeOf(piece), 0)
  let done = total - open.reduce((sum, { piece }) => sum + sizeOf(piece), 0)
  const items = open.map(({ piece }): MergeItem => {
    const one = item(piece)
    const factor = factors?.get(piece.tensor.name)
    return {
      ...one,
      ...(one.lines && factor !== undefined ? { lines: { ...one.lines, factor } } : {}),
      target: { path: unfinished.shardPath(piece.shard), offset: piece.offset },
    }
  })
  if (items.length === 0) return
  const disk = writeBack()
  await workers.map(mergeTask, items, {
    ahead,
    ...(options.signal ? { signal: options.signal } : {}),
    onResult: (_, i) => {
      const { piece, index } = open[i]!
      unfinished.finish(index)
      disk.written(unfinished.shardPath(piece.shard), sizeOf(piece))
      done += sizeOf(piece)
      options.onProgress?.({ done, total, phase: 'merge' })
    },
  })
  await disk.settle()
}

/** What the model card says about the arithmetic. */
function arithmeticLine({ tensors }: MergePlan, arithmetic: 'float32' | 'dtype'): string {
  if (arithmetic === 'float32') return 'arithmetic: float32, rounded once to nearest, ties to even'
  const types = new Set(tensors.filter(({ action }) => action === 'merge').map(({ compute }) => compute))
  return `arithmetic: every result rounded to ${[...types].join(', ')}, nearest, ties to even`
}

/**
 * Merge into the folder `out`. Bytes depend on config, inputs and seed, not on threads or interruptions. Throws
 * TL_SHAPE_MISMATCH for a plan with problems, TL_EXISTS for a folder that is not empty, TL_BUSY for one in which somebody
 * works, TL_USAGE for an input, TL_IO, TL_NOT_FINITE, TL_INTERRUPTED; whatever was done is kept in `out/.treeline-merge`, and
 * the same call goes on. Of a merge that is finished it returns the outcome.
 */
export async function executeMerge(
  config: MergeConfig,
  out: string,
  options: MergeOptions = {},
): Promise<MergeOutcome> {
  const workers = options.workers ?? openMergeWorkers(options.threads)
  try {
    return await mergeInto(workers, config, out, options, (work) => openOutputFolder(out, work))
  } finally {
    closeOpened()
    if (workers !== options.workers) await workers.close()
  }
}

/** Refuse a name that only a file has. Throws TL_USAGE. */
export function refuseFileName(out: string): void {
  if (/\.(safetensors|gguf|bin|pt|pth|onnx|npz|json|ya?ml|txt)$/i.test(out) && !statusOf(out)?.isDirectory())
    fail('TL_USAGE', `${out}: a merge is written as a folder: expected a name without a file's ending`)
}

/** The same with workers that are there, in a folder that `open` opens. */
export async function mergeInto(
  workers: Workers,
  config: MergeConfig,
  out: string,
  options: MergeOptions,
  open: (work: FolderWork) => OutputFolder,
): Promise<MergeOutcome> {
  const { seed = 0, lenient = false, shardSize = 5e9, arithmetic = 'float32', force = false } = options
  refuseFileName(out)
  findModels(config)
  const models = modelsOf(config)
  const marks = models.map(fileMarks)
  const { plan, vocabulary } = prepareMerge(config, { lenient })
  assertPlan(plan)
  const shards = layOut(plan.tensors, shardSize)
  const asked = [3, config.text, seed, lenient, shardSize, arithmetic]
  const mark = fingerprint([asked, plan.tensors, marks, vocabulary?.digest])
  const inputs = [...models.flatMap(inputFiles), config.path]
  const work = { task: 'merge', request: fingerprint(asked), mark, owns: isModelFile, inputs, force }
  const output = open(work)
  try {
    const before = output.result as MergeOutcome | undefined
    if (before) return { ...before, out, resumed: false, isUnchanged: true }
    return await carryOut(workers, config, out, options, { output, marks, plan, shards, vocabulary })
  } catch (error) {
    // the same command would meet it again
    if (error instanceof TreelineError && error.code === 'TL_NOT_FINITE') output.abandon()
    throw error
  } finally {
    output.close()
  }
}

interface Prepared {
  readonly output: OutputFolder
  readonly marks: readonly (readonly string[])[]
  readonly plan: MergePlan
  readonly shards: readonly Shard<PlannedTensor>[]
  readonly vocabulary: Vocabulary | undefined
}

async function carryOut(
  workers: Workers,
  config: MergeConfig,
  out: string,
  options: MergeOptions,
  { output, marks, plan, shards, vocabulary }: Prepared,
): Promise<MergeOutcome> {
  const { seed = 0, lenient = false, arithmetic = 'float32' } = options
  const models = modelsOf(config)
  const unfinished = openUnfinished(output, shards)
  const resumed = unfinished.done.size > 0
  const step = linesSteps(plan)
  const common = { run: ++runs, method: plan.method, seed, lenient, arithmetic }
  const whole = (tensor: PlannedTensor): MergeItem => ({
    ...common,
    tensor,
    start: 0,
    count: elements(tensor.shape),
  })
  try {
    const { signal } = options
    const computed = await prepared(config, plan, whole, workers, signal ? { signal } : {})
    const running: Running = {
      config,
      plan,
      unfinished,
      pieces: piecesOf(shards),
      item: ({ tensor, start, count }) => {
        const lines = step(tensor)
        return {
          ...common,
          tensor,
          start,
          count,
          ...(computed ? { computed } : {}),
          ...(lines ? { lines } : {}),
        }
      },
      workers,
      options,
    }
    const lines = plan.lines && { alpha: await findAlpha(running), beta: plan.lines.beta }
    const rows =
      lines &&
      linesPlan(
        plan.tensors.map(({ name }) => name),
        lines,
      )
    await mergePieces(running, rows && new Map(rows.map(({ name, factor }) => [name, factor])))
    const changed = models.find((model, i) => fileMarks(model).join() !== marks[i]!.join())
    if (changed !== undefined)
      fail('TL_IO', `${changed} changed while it was merged; run the same command again when it is at rest`)
    const beside = besideWeights(unfinished)
    if (shards.length > 1) writeAtomically(join(beside, 'model.safetensors.index.json'), indexOf(shards))
    const details = [
      ...(mergeMethods[plan.method]!.random ? [`seed: ${seed}`] : []),
      ...(lines ? [`LiNeS: α = ${lines.alpha}, β = ${lines.beta}`] : []),
      arithmeticLine(plan, arithmetic),
    ]
    const warnings = writeCompanions(beside, config, plan, { vocabulary, title: basename(out), details })
    const outcome: MergeOutcome = {
      out,
      files: shards.map(({ name }) => name),
      tensors: plan.tensors.length,
      bytes: plan.tensors.reduce((sum, tensor) => sum + storedSize(tensor), 0),
      resumed,
      isUnchanged: false,
      ...(lines ? { lines } : {}),
      warnings: [...plan.warnings, ...warnings],
    }
    const files = finished(unfinished, shards, beside)
    unfinished.close()
    const { out: _, resumed: __, isUnchanged: ___, ...lasting } = outcome
    output.publish(files, lasting)
    return outcome
  } finally {
    unfinished.close()
  }
}
