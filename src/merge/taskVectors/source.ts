/** @file Where task vectors come from: files of their own, LoRA adapters, and the difference of two checkpoints, all read in pieces. */
import { createHash } from 'node:crypto'
import { fail } from '../../base/index.ts'
import {
  type Adapter,
  adapterChanges,
  alignedNames,
  type Checkpoint,
  type CheckpointTensor,
  deltaElements,
  elements,
  isAdapterFolder,
  isConvertible,
  isDerived,
  isHead,
  openAdapter,
  openCheckpoint,
  tiedTo,
} from '../../checkpoint/index.ts'

/** What a vector file says of itself. */
export const vectorFormat = 'treeline-task-vector/1'

/** Elements in memory at a time, of each vector. */
export const piece = 1 << 20

/** Called before each tensor of long work. */
export type OnTensor = (name: string, done: number, total: number) => void

/** The change of one tensor. */
export interface VectorTensor {
  readonly name: string
  readonly shape: readonly number[]
  /** Elements `[start, start + count)` of the flattened change, as f32. */
  readonly f32: (start: number, count: number) => Float32Array
  /** The same without a check, where `f32` throws at values that are not finite: 0 where both models have equal bits. */
  readonly unchecked?: (start: number, count: number) => Float32Array
}

/** A task vector, open for reading. */
export interface TaskVector {
  readonly path: string
  readonly tensors: ReadonlyMap<string, VectorTensor>
  /** The model that it starts from, as it was named. */
  readonly base?: string
  /** A mark of every tensor of that model; none for adapters, which do not know it. */
  readonly marks: Readonly<Record<string, string>>
  /** How it was made. */
  readonly recipe: string
  /** Tensors that were left out, and why. */
  readonly skipped: readonly string[]
  readonly close: () => void
}

const sampled = 2048

/**
 * A mark by which the values of a tensor are known again, whatever format or wider type they are stored in: SHA-256 of shape
 * and the first and last 2048 values as f32, 16 hexadecimal digits.
 */
export function tensorMark(tensor: CheckpointTensor): string {
  const total = elements(tensor.shape)
  const hash = createHash('sha256').update(`${tensor.shape.join()}\n`)
  for (const start of [0, Math.max(0, total - sampled)]) {
    const values = tensor.f32(start, Math.min(sampled, total))
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
  }
  return hash.digest('hex').slice(0, 16)
}

/** Integers and truth values have no task vector. */
const isFloating = ({ dtype }: { dtype: string }): boolean =>
  isConvertible(dtype) ? /^(B?F\d)/.test(dtype) : !/^(I\d|U\d|BOOL|C64)/.test(dtype)

/** A finite number for each element, or an error that names the first that is none. */
export function checkFinite(values: Float32Array, start: number, name: string, path: string): Float32Array {
  for (let i = 0; i < values.length; i++)
    if (!Number.isFinite(values[i]))
      fail('TL_NOT_FINITE', `${path}: ${name}, element ${start + i} is ${values[i]}`)
  return values
}

const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`

/** θ_tuned − θ_base of one tensor, rounded once to f32. */
function difference(
  name: string,
  base: CheckpointTensor,
  tuned: CheckpointTensor,
  paths: readonly [string, string],
): VectorTensor {
  const { shape } = tuned
  if (base.shape.join() !== shape.join())
    fail(
      'TL_SHAPE_MISMATCH',
      `${name}: ${paths[0]} has shape ${shapeText(base.shape)}, ${paths[1]} has ${shapeText(shape)}; only equal shapes have a difference`,
    )
  return {
    name,
    shape,
    unchecked(start, count) {
      const [from, to] = [base.f32(start, count), tuned.f32(start, count)]
      const bits = [from, to].map(
        ({ buffer, byteOffset, length }) => new Uint32Array(buffer, byteOffset, length),
      )
      return to.map((value, i) => (bits[0]![i] === bits[1]![i] ? 0 : value - from[i]!))
    },
    f32(start, count) {
      const from = checkFinite(base.f32(start, count), start, name, paths[0])
      const to = checkFinite(tuned.f32(start, count), start, name, paths[1])
      const out = new Float32Array(count)
      for (let i = 0; i < count; i++) out[i] = to[i]! - from[i]!
      return out
    },
  }
}

/** A checkpoint's tensors under the names of a reference; buffers that programs compute are no weights. */
function weightsOf(checkpoint: Checkpoint, reference: Checkpoint): Map<string, CheckpointTensor> {
  const names = alignedNames(checkpoint.tensors.keys(), reference.tensors)
  return new Map(
    [...checkpoint.tensors]
      .filter(([name]) => !isDerived(name) || reference.tensors.has(name))
      .map(([name, tensor]) => [names.get(name)!, tensor]),
  )
}

/** With a head of its own where only the other model stores one: the embedding that it is tied to. */
function withTiedHead(
  tensors: ReadonlyMap<string, CheckpointTensor>,
  other: ReadonlyMap<string, CheckpointTensor>,
): Map<string, CheckpointTensor> {
  const head = [...other.keys()].find((name) => isHead(name) && !tensors.has(name))
  const table = head === undefined ? undefined : tiedTo(head, tensors)
  return new Map(
    head === undefined || table === undefined ? tensors : [...tensors, [head, tensors.get(table)!]],
  )
}

/**
 * The task vector of two open checkpoints, under the names of the base. A model prefix that only one of them has is no
 * difference, and a head that is tied in one of them is its embedding. Throws TL_SHAPE_MISMATCH when shapes or, unless
 * `isLenient`, names differ.
 */
export function differenceOf(base: Checkpoint, tuned: Checkpoint, isLenient = false): TaskVector {
  const own = weightsOf(tuned, base)
  const plain = new Map([...base.tensors].filter(([name]) => !isDerived(name) || own.has(name)))
  const [from, to] = [withTiedHead(plain, own), withTiedHead(own, plain)]
  const onlyBase = [...from.keys()].filter((name) => !to.has(name))
  const onlyTuned = [...to.keys()].filter((name) => !from.has(name))
  for (const [names, has, lacks] of [
    [onlyBase, base.path, tuned.path],
    [onlyTuned, tuned.path, base.path],
  ] as const)
    if (names.length > 0 && !isLenient)
      fail(
        'TL_SHAPE_MISMATCH',
        `${lacks} lacks ${names.length} tensors of ${has}, ${names[0]} first; are they of one architecture? (--lenient leaves them out)`,
      )
  const skipped = [...onlyBase, ...onlyTuned].map((name) => `${name}: only one model has it`)
  const tensors = new Map<string, VectorTensor>()
  const marks: Record<string, string> = {}
  for (const [name, tensor] of to) {
    const start = from.get(name)
    if (!start) continue
    if (!isFloating(tensor) || !isFloating(start)) {
      skipped.push(`${name}: ${tensor.dtype} has no differences`)
      continue
    }
    tensors.set(name, difference(name, start, tensor, [base.path, tuned.path]))
    marks[name] = tensorMark(start)
  }
  if (tensors.size === 0)
    fail(
      'TL_BAD_ARGUMENT',
      `${base.path} and ${tuned.path} have no tensor in common; are they of one architecture?`,
    )
  const recipe = `${tuned.path} − ${base.path}`
  return { path: tuned.path, tensors, base: base.path, marks, recipe, skipped, close: () => {} }
}

/** What an adapter changes, as far as it is known without the base. */
function factorsAlone(path: string, adapter: Adapter): Map<string, VectorTensor> {
  const { replaced, magnitudes, tokens, biases, deltas } = adapter
  const [whole] = [
    ...replaced.keys(),
    ...[...tokens.keys(), ...magnitudes.keys()].map((name) => `${name}.weight`),
  ]
  if (whole !== undefined || biases.size > 0)
    return fail(
      'TL_BAD_ARGUMENT',
      `${path}: what it does to ${whole ?? [...biases.keys()][0]} is known only from the base model: name that with --base, or extract the vector with \`treeline vector extract BASE ${path} OUT\``,
    )
  return new Map(
    [...deltas.values()].map((delta) => [
      delta.name,
      { name: delta.name, shape: delta.shape, f32: (start, count) => deltaElements(delta, start, count) },
    ]),
  )
}

function adapterVector(path: string, base: Checkpoint | undefined): TaskVector {
  const adapter = openAdapter(path)
  try {
    const changes = base ? adapterChanges(adapter, base) : []
    const tensors = base
      ? new Map(changes.map(({ name, shape, change }) => [name, { name, shape, f32: change }]))
      : factorsAlone(path, adapter)
    return {
      path,
      tensors,
      ...(base ? { base: base.path } : {}),
      marks: Object.fromEntries(changes.map(({ name, from }) => [name, tensorMark(from)])),
      recipe: `the adapter ${path}`,
      skipped: [],
      close: adapter.close,
    }
  } catch (error) {
    adapter.close()
    throw error
  }
}

/** A vector under the names of another one, which may have a prefix that this one has not. */
export function alignedVector(vector: TaskVector, reference: TaskVector): TaskVector {
  const names = alignedNames(vector.tensors.keys(), reference.tensors)
  const renamed = (name: string): string => names.get(name) ?? name
  return {
    ...vector,
    tensors: new Map([...vector.tensors].map(([name, tensor]) => [renamed(name), tensor])),
    marks: Object.fromEntries(Object.entries(vector.marks).map(([name, mark]) => [renamed(name), mark])),
  }
}

function readMarks(text: unknown, path: string): Record<string, string> {
  try {
    const value: unknown = JSON.parse(String(text))
    if (
      typeof value === 'object' &&
      value !== null &&
      Object.values(value).every((mark) => typeof mark === 'string')
    )
      return value as Record<string, string>
  } catch {
    // below
  }
  return fail('TL_BAD_FILE', `${path}: base_marks: expected a JSON object of texts`)
}

/**
 * Open a task vector: a file that `writeVector` made, or the folder of a LoRA adapter. With `base` a checkpoint is taken too,
 * as its difference from it. Throws as `openCheckpoint` does, TL_BAD_FILE for a checkpoint without `base`.
 */
export function openVector(path: string, base?: Checkpoint, isLenient = false): TaskVector {
  if (isAdapterFolder(path)) return adapterVector(path, base)
  const file = openCheckpoint(path)
  try {
    if (file.metadata['format'] !== vectorFormat) {
      if (!base)
        fail(
          'TL_BAD_FILE',
          `${path}: no task vector (expected one of \`treeline vector extract\`, or a LoRA adapter); for a checkpoint name its base with --base`,
        )
      return { ...differenceOf(base!, file, isLenient), close: file.close }
    }
    const { base: from, base_marks: marks, recipe } = file.metadata
    return {
      path,
      tensors: file.tensors,
      ...(typeof from === 'string' ? { base: from } : {}),
      marks: marks === undefined ? {} : readMarks(marks, path),
      recipe: typeof recipe === 'string' ? recipe : path,
      skipped: [],
      close: file.close,
    }
  } catch (error) {
    file.close()
    throw error
  }
}
