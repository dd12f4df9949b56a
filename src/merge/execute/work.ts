/** @file One piece of a merge, as a worker does it: read the inputs, merge, scale, round once, write in place. */
import { createHash } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import { explainSystemError } from '../../base/files.ts'
import { fail, foldIn, key } from '../../base/index.ts'
import type { Task } from '../../base/workers.ts'
import {
  type Checkpoint,
  type CheckpointTensor,
  elementBytes,
  elements,
  encodeF32,
  isConvertible,
  openCheckpoint,
  openPlaces,
  type StoredAt,
} from '../../checkpoint/index.ts'
import { mergeMethods, type Parameters } from '../methods/index.ts'
import { type PlannedInput, type PlannedTensor, roundedTo } from '../plan/index.ts'
import {
  type Arithmetic,
  above,
  abs,
  arithmeticOf,
  blend,
  blockElements,
  constant,
  type Measure,
  not,
  openSession,
  type Session,
  type Source,
  sourceBytes,
  type Vector,
  vectorOf,
} from '../vector/index.ts'
import { type TableView, viewTable } from '../vocabulary/index.ts'

/** Where LiNeS measures a tensor from, and by how much it scales. */
export interface LinesStep {
  readonly model: string
  readonly tensor: string
  readonly stored?: StoredAt
  readonly view?: TableView
  /** Absent in the first pass, which measures. */
  readonly factor?: number
}

/** A range of one output tensor. */
export interface MergeItem {
  /** A number of its own for every merge of this process: files that are open for another are closed. */
  readonly run: number
  readonly method: string
  readonly tensor: PlannedTensor
  readonly start: number
  readonly count: number
  readonly seed: number
  readonly arithmetic: 'float32' | 'dtype'
  /** Parameters of each model that a first pass over the whole found. */
  readonly computed?: readonly Parameters[]
  readonly lines?: LinesStep
  /** Absent: nothing is written, norms are measured. */
  readonly target?: { readonly path: string; readonly offset: number }
  readonly lenient: boolean
}

/** What a piece gives back. */
interface MergeResult {
  readonly l1Sum: number
  readonly l1Merged: number
}

// open files of this thread: headers are parsed once, not once for each piece
const opened = new Map<string, Checkpoint>()
const places = openPlaces()
const targets = new Map<string, number>()
let currentRun = 0

/** Close what this thread has opened; for merges on the calling thread. */
export function closeOpened(): void {
  for (const checkpoint of opened.values()) checkpoint.close()
  for (const descriptor of targets.values()) closeSync(descriptor)
  opened.clear()
  places.close()
  targets.clear()
}

function stored(model: string, tensor: string) {
  const checkpoint = opened.get(model) ?? openCheckpoint(model)
  opened.set(model, checkpoint)
  const found = checkpoint.tensors.get(tensor)
  return found ?? fail('TL_BAD_FILE', `${model}: tensor ${tensor} is gone since the plan was made`)
}

/** A tensor as the merge sees it: a table of tokens has the output's rows. */
function tableOf(input: Pick<PlannedInput, 'model' | 'tensor' | 'stored' | 'view'>): CheckpointTensor {
  const { model, tensor, view } = input
  const table = input.stored ? places.tensor(tensor, input.stored) : stored(model, tensor)
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

/** Bytes that are copied at once. */
const copyBytes = 1 << 22

/** Integers and masks cannot be mixed: all inputs must hold the same bytes. */
function copyTensor({ tensor }: MergeItem, write: (bytes: Uint8Array, at: number) => void): void {
  const [first, ...others] = tensor.models
  const source = tableOf(first!)
  const copies = others.map((other) => ({ model: other.model, source: tableOf(other) }))
  if (source.dtype !== tensor.dtype) {
    const width = isConvertible(tensor.dtype) ? elementBytes(tensor.dtype) : 1
    const total = elements(tensor.shape)
    for (let at = 0; at < total; at += blockElements)
      write(encodeF32(source.f32(at, Math.min(blockElements, total - at)), tensor.dtype), at * width)
    return
  }
  for (let at = 0; at < source.byteLength; at += copyBytes) {
    const bytes = bytesOf(source, at, copyBytes)
    for (const copy of copies)
      if (Buffer.compare(bytes, bytesOf(copy.source, at, copyBytes)) !== 0)
        fail(
          'TL_UNSUPPORTED',
          `${tensor.name}: ${tensor.dtype} values differ between ${first!.model} and ${copy.model}, and only floats can be merged`,
        )
    write(bytes, at)
  }
}

/** At most `most` stored bytes from `begin` on. */
function bytesOf(source: CheckpointTensor, begin: number, most: number): Uint8Array {
  if (!source.readInto) return source.bytes().subarray(begin, begin + most)
  const bytes = new Uint8Array(Math.min(most, source.byteLength - begin))
  source.readInto(begin, bytes)
  return bytes
}

/** The values of a stored tensor from `offset` on: as they lie in the file where the kernels can read them. */
function sourceOf(tensor: CheckpointTensor, offset: number): Source {
  const { dtype } = tensor
  if (tensor.readInto && (dtype === 'F32' || dtype === 'BF16' || dtype === 'F16'))
    return {
      dtype,
      fill: (start, _, target) => tensor.readInto!((offset + start) * sourceBytes[dtype], target),
    }
  return { dtype: 'F32', values: (start, count) => tensor.f32(offset + start, count) }
}

/** What the arithmetic of an item rounds to. */
const arithmeticFor = ({ arithmetic, tensor }: MergeItem): Arithmetic =>
  arithmeticOf(roundedTo(arithmetic, tensor.compute))

/** An input and its values. */
interface Opened {
  readonly model: string
  readonly raw: Vector
  /** As the arithmetic's type. */
  readonly values: Vector
}

function openInput(input: PlannedInput, start: number, arithmetic: Arithmetic): Opened {
  const source = sourceOf(tableOf(input), start)
  const raw = vectorOf(source)
  return { model: input.model, raw, values: source.dtype === arithmetic.type ? raw : arithmetic.vector(raw) }
}

/** Stop at the first value that is no number or does not fit, and say which input it came from. */
function refuseValue(
  item: MergeItem,
  session: Session,
  values: Vector,
  bad: Vector,
  inputs: readonly Opened[],
): never {
  const place = session.placeOf(bad, 0)
  let found: number[] = []
  session.visit(
    [values, ...inputs.map(({ raw }) => raw)],
    (all) => {
      found = all.map(([first]) => first!)
    },
    place,
    1,
  )
  const [value, ...sources] = found as [number, ...number[]]
  const guilty = sources.findIndex((source) => !Number.isFinite(source))
  const where = `${item.tensor.name}, element ${item.start + place}`
  if (guilty >= 0)
    fail(
      'TL_NOT_FINITE',
      `${inputs[guilty]!.model}: ${where} is ${sources[guilty]}: expected finite weights; repair the model, or let it pass with --lenient`,
    )
  return fail(
    'TL_NOT_FINITE',
    Number.isFinite(value)
      ? `${where}: the merge gives ${value}, beyond float16 (65504); use bfloat16 or float32`
      : `${where}: the merge gives ${value} although its inputs are finite; check weights that cancel, or let it pass with --lenient`,
  )
}

/** Two words of randomness that belong to a tensor's name. */
function nameWords(name: string): [number, number] {
  const digest = createHash('sha256').update(name).digest()
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)]
}

/** The merged values of a range as an expression, and what it is made of. */
function mergedRange(item: MergeItem, session: Session): { merged: Vector; inputs: Opened[] } {
  const { tensor, start, count, seed, computed } = item
  const arithmetic = arithmeticFor(item)
  const base = tensor.base && openInput(tensor.base, start, arithmetic)
  const models = tensor.models.map((input) => openInput(input, start, arithmetic))
  const isWhole = start === 0 && count === elements(tensor.shape)
  const [high, low] = nameWords(tensor.name)
  const merged = mergeMethods[item.method]!.formula({
    name: tensor.name,
    shape: isWhole ? tensor.shape : [count],
    base: base?.values,
    models: models.map(({ values }, i) => ({
      values,
      parameters: { ...tensor.models[i]!.parameters, ...computed?.[i] },
    })),
    parameters: tensor.parameters,
    key: foldIn(foldIn(key(seed), high), low),
    session,
    arithmetic,
  })
  return { merged, inputs: base ? [base, ...models] : models }
}

/** θ₀ + factor · (θ − θ₀), as `applyLines` computes it. */
function scaledByLines(from: Vector, merged: Vector, factor: number): Vector {
  const { add, subtract, multiply } = arithmeticOf('F32')
  return factor === 1 ? merged : add(from, multiply(subtract(merged, from), factor))
}

/** ‖Σ_t τ_t‖₁ and ‖τ_merged‖₁, for `autoAlpha`. */
function lineNorms(from: Vector, tuned: readonly Vector[], merged: Vector): Measure[] {
  const total = blend([...tuned, from], [...tuned.map(() => 1), -tuned.length])
  return [total, blend([merged, from], [1, -1])].map((x): Measure => ({ kind: 'sum', of: abs(x) }))
}

const noNorms: MergeResult = { l1Sum: 0, l1Merged: 0 }

/** Merge a range: measure it, or write it. */
function mergeRange(item: MergeItem, session: Session): MergeResult {
  const { tensor, target, lines, start, lenient } = item
  const { merged, inputs } = mergedRange(item, session)
  const from = lines && vectorOf(sourceOf(tableOf(lines), start))
  const values = from && lines.factor !== undefined ? scaledByLines(from, merged, lines.factor) : merged
  const bad = not(above(tensor.dtype === 'F16' ? beyondF16 : Infinity, abs(values)))
  const check: Measure[] = lenient ? [] : [{ kind: 'count', of: bad }]
  const refuse = (): never => refuseValue(item, session, values, bad, inputs)
  if (!target) {
    const tuned = inputs.filter(({ model }) => model !== lines?.model).map(({ raw }) => raw)
    const [l1Sum = 0, l1Merged = 0, wrong = 0] = session.measure(
      ...(from ? lineNorms(from, tuned, merged) : []),
      ...check,
    )
    return wrong > 0 ? refuse() : { l1Sum, l1Merged }
  }
  const { dtype } = tensor
  const known = dtype === 'F32' || dtype === 'BF16' || dtype === 'F16'
  const width = isConvertible(dtype) ? elementBytes(dtype) : 1
  session.write({ vector: values, dtype: known ? dtype : 'F32' }, check, (bytes, at, count, [wrong = 0]) => {
    if (wrong > 0) refuse()
    const encoded = known ? bytes : encodeF32(new Float32Array(bytes.buffer, bytes.byteOffset, count), dtype)
    writeAt(target.path, target.offset + at * width, encoded)
  })
  return noNorms
}

/** What a first look at the whole model asks of one tensor. */
export interface LookItem {
  readonly item: MergeItem
  readonly question: unknown
}

/** Answer it. */
export function lookAt({ item, question }: LookItem): Uint32Array[] {
  beginRun(item)
  const { tensor, start, count } = item
  const session = openSession(count)
  const arithmetic = arithmeticFor(item)
  try {
    const values = (input: PlannedInput): Vector => openInput(input, start, arithmetic).values
    const models = tensor.models.map(values)
    const base = tensor.base ? values(tensor.base) : constant(0)
    const { prepare } = mergeMethods[item.method]!
    const { look } = prepare!(
      tensor.parameters,
      tensor.models.map((one) => one.parameters),
    )
    return look(question, { session, arithmetic, base, models })
  } finally {
    session.close()
  }
}

/** Files of the same name may be others now. */
function beginRun({ run }: MergeItem): void {
  if (run === currentRun) return
  closeOpened()
  currentRun = run
}

/** Carry out one piece. */
export function mergeItem(item: MergeItem): MergeResult {
  beginRun(item)
  const { tensor, target } = item
  if (tensor.action === 'copy') {
    if (target) copyTensor(item, (bytes, at) => writeAt(target.path, target.offset + at, bytes))
    return noNorms
  }
  const session = openSession(item.count)
  try {
    return mergeRange(item, session)
  } finally {
    session.close()
  }
}

/** For `mapInWorkers`. */
export const mergeTask: Task = { module: import.meta.url, name: 'mergeItem' }
export const lookTask: Task = { module: import.meta.url, name: 'lookAt' }
