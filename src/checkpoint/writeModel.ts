/**
 * @file A model folder as an output, tensor by tensor: written in a hidden folder within, then given its names
 * (`base/outputFolder.ts`). What an interrupted run has finished is kept, and the same work goes on there.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { explainSystemError, makeFolder, writeAtomically } from '../base/files.ts'
import { fail, type Steps, TreelineError } from '../base/index.ts'
import { whenLeaving } from '../base/leave.ts'
import { openOutputFolder } from '../base/outputFolder.ts'
import type { OutputRule } from '../base/outputs.ts'
import { indexOf, layOut, type Placeable, type Shard } from './layout.ts'
import { fileMarks, fingerprint, isModelFile } from './modelFolder.ts'
import { besideWeights, finished, openUnfinished, type Unfinished } from './unfinished.ts'

/** What decides a model folder, and what it may replace. */
export interface ModelFolderWork extends OutputRule {
  /** One word for it, such as `convert`. */
  readonly task: string
  /** What was asked for. Together with the state of the inputs it decides the output. */
  readonly request: unknown
  /** The files that the output is made of. */
  readonly inputs: readonly string[]
}

/** A tensor of the output. */
export interface TensorOfModel extends Placeable {
  /** Its bytes in pieces; `index`: how many tensors come before it. */
  readonly data: (index: number) => Iterable<Uint8Array>
}

/** What goes into the folder. */
export interface ModelContent {
  readonly tensors: readonly TensorOfModel[]
  /** Bytes of data in a shard. Default 5 GB. */
  readonly shardSize?: number | undefined
  /** Text for the header of every shard. Default: what Transformers wants to read there. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Write what lies beside the weights into this folder; returns the names. */
  readonly companions: (folder: string) => readonly string[]
  /** Called when one more tensor is finished: so many are kept whatever comes. */
  readonly onKept?: ((tensors: number) => void) | undefined
}

/** The files of a folder that was written. */
export interface WrittenModel {
  readonly files: readonly string[]
  /** The same model was there already. */
  readonly isUnchanged: boolean
}

/** Write one tensor in its place. */
function* writingTensor(
  descriptor: number,
  { tensor, offset, bytes }: Shard<TensorOfModel>['slots'][number],
  index: number,
): Steps<void> {
  let written = 0
  for (const piece of tensor.data(index)) {
    if (written + piece.byteLength <= bytes)
      for (let at = 0; at < piece.byteLength; )
        at += writeSync(descriptor, piece, at, piece.byteLength - at, offset + written + at)
    written += piece.byteLength
    yield
  }
  if (written !== bytes)
    fail(
      'TL_SHAPE_MISMATCH',
      `tensor ${tensor.name}: shape [${tensor.shape.join(', ')}] of ${tensor.dtype} takes ${bytes} bytes, got ${written}`,
    )
}

/** Write all tensors that are not there yet. */
function* filling(
  unfinished: Unfinished,
  shards: readonly Shard<TensorOfModel>[],
  onFinished: () => void,
): Steps<void> {
  let first = 0
  for (const shard of shards) {
    const open = shard.slots
      .map((slot, i) => ({ slot, index: first + i }))
      .filter(({ index }) => !unfinished.done.has(index))
    first += shard.slots.length
    if (open.length === 0) continue
    const descriptor = openSync(unfinished.shardPath(shard), 'r+')
    try {
      for (const { slot, index } of open) {
        yield* writingTensor(descriptor, slot, index)
        unfinished.finish(index)
        onFinished()
        yield
      }
      fdatasyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
  }
}

/** Would the same command meet this again? A disk has room another time. */
const isLasting = (error: unknown): boolean =>
  !(error instanceof TreelineError && ['TL_IO', 'TL_INTERRUPTED'].includes(error.code))

/**
 * Write a model folder in steps. An interrupted run of the same work is gone on with, to the same bytes; when an input has
 * changed it begins anew. When an earlier run has ended, nothing is written. Throws as `openOutputFolder` does, TL_IO.
 */
export function* writingModel(
  out: string,
  { task, request, inputs, force }: ModelFolderWork,
  { tensors, shardSize = 5e9, metadata, companions, onKept }: ModelContent,
): Steps<WrittenModel> {
  const shards = layOut(tensors, shardSize, metadata)
  const marks = (): string[][] => inputs.map(fileMarks)
  const before = marks()
  const work = { request: fingerprint([task, request]), mark: fingerprint([task, request, before]) }
  const folder = openOutputFolder(out, { task, ...work, owns: isModelFile, inputs, force })
  let kept = 0
  let isBegun = false
  /** Nothing is finished: nothing is left behind. */
  const dropNothing = (): void => {
    if (isBegun && kept === 0) folder.abandon()
  }
  const forget = whenLeaving(dropNothing)
  let unfinished: Unfinished | undefined
  try {
    if (folder.result) return { ...(folder.result as { files: string[] }), isUnchanged: true }
    isBegun = true
    unfinished = openUnfinished(folder, shards)
    kept = unfinished.done.size
    if (kept > 0) onKept?.(kept)
    yield* filling(unfinished, shards, () => onKept?.(++kept))
    const now = marks()
    const changed = inputs.find((_, i) => now[i]!.join() !== before[i]!.join())
    if (changed !== undefined)
      fail('TL_IO', `${changed} changed while it was read; run the same command again when it is at rest`)
    const beside = besideWeights(unfinished)
    makeFolder(beside)
    const names = [...companions(beside), ...shards.map(({ name }) => name)]
    if (shards.length > 1) {
      writeAtomically(join(beside, 'model.safetensors.index.json'), indexOf(shards))
      names.push('model.safetensors.index.json')
    }
    folder.publish(finished(unfinished, shards, beside), { files: names })
    return { files: names, isUnchanged: false }
  } catch (error) {
    if (isLasting(error)) folder.abandon()
    return explainSystemError(error, `cannot write ${out}`)
  } finally {
    unfinished?.close()
    dropNothing()
    forget()
    folder.close()
  }
}
