/** @file One piece of a merge, as a worker does it: read the inputs, merge, scale, round once, write in place. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { explainSystemError } from '../../../base/files.ts'
import { fail } from '../../../base/index.ts'
import type { Task } from '../../../base/workers.ts'
import { type Checkpoint, encodeF32, openCheckpoint } from '../../../checkpoint/index.ts'
import { random } from '../../../tensor/index.ts'
import { applyLines, taskVectorNorms } from '../../lines/index.ts'
import { mergeMethods, type Parameters } from '../methods/index.ts'
import type { PlannedInput, PlannedTensor } from '../plan/index.ts'
import { type TableView, viewTable } from '../vocabulary/index.ts'
import { elementsOf, nameWords } from './layout.ts'

/** Where LiNeS measures a tensor from, and by how much it scales. */
export interface LinesStep {
  readonly model: string
  readonly tensor: string
  readonly view?: TableView
  /** Absent in the first pass, which measures. */
  readonly factor?: number
}

/** A range of one output tensor. */
export interface MergeItem {
  readonly method: string
  readonly tensor: PlannedTensor
  readonly start: number
  readonly count: number
  readonly seed: number
  /** Parameters of each model that a first pass over the whole found. */
  readonly computed?: readonly Parameters[]
  readonly lines?: LinesStep
  /** Absent: nothing is written, norms are measured. */
  readonly target?: { readonly path: string; readonly offset: number }
  readonly lenient: boolean
}

/** What a piece gives back. */
export interface MergeResult {
  readonly l1Sum: number
  readonly l1Merged: number
}

// open files of this thread: headers are parsed once, not once for each piece
const opened = new Map<string, Checkpoint>()
const targets = new Map<string, number>()

/** Close what this thread has opened; for merges on the calling thread. */
export function closeOpened(): void {
  for (const checkpoint of opened.values()) checkpoint.close()
  for (const descriptor of targets.values()) closeSync(descriptor)
  opened.clear()
  targets.clear()
}

function stored(model: string, tensor: string) {
  const checkpoint = opened.get(model) ?? openCheckpoint(model)
  opened.set(model, checkpoint)
  const found = checkpoint.tensors.get(tensor)
  return found ?? fail('TL_BAD_FILE', `${model}: tensor ${tensor} is gone since the plan was made`)
}

/** A tensor as the merge sees it: a table of tokens has the output's rows. */
function input({ model, tensor, view }: Pick<PlannedInput, 'model' | 'tensor' | 'view'>) {
  const table = stored(model, tensor)
  return view ? viewTable(view, table, stored) : table
}

function writeAt(path: string, offset: number, bytes: Uint8Array): void {
  try {
    const descriptor = targets.get(path) ?? openSync(path, 'r+')
    targets.set(path, descriptor)
    for (let done = 0; done < bytes.byteLength; )
      done += writeSync(descriptor, bytes, done, bytes.byteLength - done, offset + done)
  } catch (error) {
    explainSystemError(error, `cannot write ${path}`)
  }
}

/** f32 values that float16 rounds to infinity begin here. */
const beyondF16 = 65520

/** One product each instead of a test: 0 · x is 0 for every finite x, and NaN for the others. */
function areFinite(values: Float32Array): boolean {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0
  return sum === 0
}

/** Stop at the first value that is no number or does not fit, and say which input it came from. */
function checkFinite(
  values: Float32Array,
  item: MergeItem,
  inputs: readonly { model: string; values: Float32Array }[],
): void {
  const limit = item.tensor.dtype === 'F16' ? beyondF16 : Infinity
  if (limit === Infinity && areFinite(values)) return
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (Math.abs(value) < limit) continue
    const guilty = inputs.find((input) => !Number.isFinite(input.values[i]))
    const where = `${item.tensor.name}, element ${item.start + i}`
    if (guilty)
      fail(
        'TL_NOT_FINITE',
        `${guilty.model}: ${where} is ${guilty.values[i]}: expected finite weights; repair the model, or let it pass with --lenient`,
      )
    fail(
      'TL_NOT_FINITE',
      Number.isFinite(value)
        ? `${where}: the merge gives ${value}, beyond float16 (65504); use bfloat16 or float32`
        : `${where}: the merge gives ${value} although its inputs are finite; check weights that cancel, or let it pass with --lenient`,
    )
  }
}

/** Integers and masks cannot be mixed: all inputs must hold the same bytes. */
function copied({ tensor }: MergeItem): Uint8Array {
  const [first, ...others] = tensor.models
  const source = input(first!)
  if (source.dtype !== tensor.dtype) return encodeF32(source.f32(), tensor.dtype)
  const bytes = source.bytes()
  for (const other of others)
    if (Buffer.compare(bytes, input(other).bytes()) !== 0)
      fail(
        'TL_UNSUPPORTED',
        `${tensor.name}: ${tensor.dtype} values differ between ${first!.model} and ${other.model}, and only floats can be merged`,
      )
  return bytes
}

/** The inputs of a tensor as a first pass over the whole model sees them. */
export function readInputs({ tensor, start, count }: MergeItem): {
  base: Float32Array
  models: Float32Array[]
} {
  const values = (one: PlannedInput): Float32Array => input(one).f32(start, count)
  const models = tensor.models.map(values)
  return { base: tensor.base ? values(tensor.base) : new Float32Array(count), models }
}

/** The merged values of a range. */
function mergedRange(item: MergeItem): {
  merged: Float32Array
  inputs: { model: string; values: Float32Array }[]
} {
  const { tensor, start, count, seed, computed } = item
  const read = (one: PlannedInput) => ({ model: one.model, values: input(one).f32(start, count) })
  const base = tensor.base && read(tensor.base)
  const models = tensor.models.map(read)
  const isWhole = start === 0 && count === elementsOf(tensor.shape)
  const [high, low] = nameWords(tensor.name)
  const merged = mergeMethods[item.method]!.merge({
    name: tensor.name,
    shape: isWhole ? tensor.shape : [count],
    ...(base ? { base: base.values } : {}),
    models: models.map(({ values }, i) => ({
      values,
      parameters: { ...tensor.models[i]!.parameters, ...computed?.[i] },
    })),
    parameters: tensor.parameters,
    key: random.foldIn(random.foldIn(random.key(seed), high), low),
  })
  return { merged, inputs: base ? [base, ...models] : models }
}

/** Carry out one piece. */
export function mergeItem(item: MergeItem): MergeResult {
  const { tensor, target, lines, start, count } = item
  if (tensor.action === 'copy') {
    if (target) writeAt(target.path, target.offset, copied(item))
    return { l1Sum: 0, l1Merged: 0 }
  }
  const { merged, inputs } = mergedRange(item)
  const norms = taskVectorNorms()
  let values = merged
  if (lines) {
    const from = input(lines).f32(start, count)
    const tuned = inputs.filter(({ model }) => model !== lines.model).map((input) => input.values)
    if (lines.factor === undefined) norms.add(from, tuned, merged)
    else values = applyLines(from, merged, lines.factor)
  }
  if (!item.lenient) checkFinite(values, item, inputs)
  if (target) writeAt(target.path, target.offset, encodeF32(values, tensor.dtype))
  return norms.norms()
}

/** For `mapInWorkers`. */
export const mergeTask: Task = { module: import.meta.url, name: 'mergeItem' }
