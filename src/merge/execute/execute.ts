/** @file Carries out a merge: pieces of bounded size over several workers, resumable at any moment, the same bytes always. */
import { basename, join } from 'node:path'
import { writeAtomically } from '../../base/files.ts'
import { fail, TreelineError } from '../../base/index.ts'
import {
  type FolderWork,
  type OutputFolder,
  openOutputFolder,
  requireSpace,
} from '../../base/outputFolder.ts'
import { statusOf } from '../../base/outputs.ts'
import type { Workers } from '../../base/workers.ts'
import {
  besideWeights,
  elements,
  fileMarks,
  fingerprint,
  finished,
  indexOf,
  inputFiles,
  isModelFile,
  layOut,
  openUnfinished,
  type Shard,
  storedSize,
} from '../../checkpoint/index.ts'
import type { MergeConfig } from '../config/index.ts'
import { linesPlan } from '../lines/index.ts'
import { mergeMethods } from '../methods/index.ts'
import { type MergePlan, modelsOf, type PlannedTensor } from '../plan/index.ts'
import { openMergeWorkers } from '../workers.ts'
import { writeCompanions } from './companions.ts'
import { linesSteps } from './linesSteps.ts'
import { hashOutputs, inputsForManifest, manifestName, manifestText } from './manifest.ts'
import { type MergeOptions, settingsOf } from './options.ts'
import { findAlpha, mergePieces, piecesOf, prepared, type Running } from './pieces.ts'
import { assertPlan, type PreparedMerge, prepareMerge } from './prepare.ts'
import { closeOpened, type MergeItem } from './work.ts'

/** Merges that this process has begun. */
let runs = 0

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

/** What is to be made of a plan, and where it belongs. */
interface PlannedWork {
  readonly work: FolderWork
  readonly marks: readonly (readonly string[])[]
  readonly shards: readonly Shard<PlannedTensor>[]
}

/** The work of a plan without problems. */
export function workOf(
  config: MergeConfig,
  { plan, vocabulary }: PreparedMerge,
  options: MergeOptions,
): PlannedWork {
  const { seed, lenient, shardSize, arithmetic } = settingsOf(options)
  const { force = false } = options
  const models = modelsOf(config)
  const marks = models.map(fileMarks)
  const asked = [3, config.text, seed, lenient, shardSize, arithmetic]
  const mark = fingerprint([asked, plan.tensors, marks, vocabulary?.digest])
  const inputs = [...models.flatMap(inputFiles), config.path]
  return {
    work: { task: 'merge', request: fingerprint(asked), mark, owns: isModelFile, inputs, force },
    marks,
    shards: layOut(plan.tensors, shardSize),
  }
}

/** Bytes of the files of weights. */
export const shardBytes = (shards: readonly Shard[]): number =>
  shards.reduce((sum, { bytes }) => sum + bytes, 0)

/** Errors that the same command would meet again: what was begun is of no use. */
const isLasting = (error: unknown): boolean =>
  error instanceof TreelineError &&
  ['TL_NOT_FINITE', 'TL_UNSUPPORTED', 'TL_BAD_ARGUMENT', 'TL_SHAPE_MISMATCH', 'TL_CHECKSUM'].includes(
    error.code,
  )

/** The same with workers that are there, in a folder that `open` opens. */
export async function mergeInto(
  workers: Workers,
  config: MergeConfig,
  out: string,
  options: MergeOptions,
  open: (work: FolderWork) => OutputFolder,
): Promise<MergeOutcome> {
  refuseFileName(out)
  const prepared = prepareMerge(config, options)
  assertPlan(prepared.plan)
  const { work, marks, shards } = workOf(config, prepared, options)
  const output = open(work)
  try {
    const before = output.result as MergeOutcome | undefined
    if (before) return { ...before, out, resumed: false, isUnchanged: true }
    if (!output.isResumed) requireSpace(out, shardBytes(shards))
    return await carryOut(workers, config, out, options, { output, marks, shards, ...prepared })
  } catch (error) {
    if (isLasting(error)) output.abandon()
    throw error
  } finally {
    output.close()
  }
}

interface Opened extends PreparedMerge {
  readonly output: OutputFolder
  readonly marks: readonly (readonly string[])[]
  readonly shards: readonly Shard<PlannedTensor>[]
}

/** The factor of LiNeS by tensor. */
const factorsOf = (plan: MergePlan, lines: { alpha: number; beta: number }): Map<string, number> =>
  new Map(
    linesPlan(
      plan.tensors.filter(({ action }) => action === 'merge').map(({ name }) => name),
      lines,
    ).map(({ name, factor }) => [name, factor]),
  )

async function carryOut(
  workers: Workers,
  config: MergeConfig,
  out: string,
  options: MergeOptions,
  { output, marks, plan, shards, vocabulary, bytesRead }: Opened,
): Promise<MergeOutcome> {
  const { seed, lenient, arithmetic } = settingsOf(options)
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
    const factors = lines && factorsOf(plan, lines)
    await mergePieces(running, factors)
    const inputs = await inputsForManifest(workers, config, plan, options)
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
    if (inputs) {
      const outputs = await hashOutputs(workers, out, finished(unfinished, shards, beside), options)
      const text = manifestText(config, plan, options, { inputs, outputs, bytesRead, lines, factors })
      writeAtomically(join(beside, manifestName), text)
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
