/**
 * @file A writer of ONNX files: the few protobuf messages a model needs, as lists of byte chunks, so that weights are never
 * copied. Field numbers are those of the public onnx.proto (ONNX 1.16, IR version 10).
 */
import type { TypedArray } from '../dtype.ts'
import type { OnnxAttribute, OnnxNode } from './emitter.ts'

export type { OnnxNode } from './emitter.ts'

/** A message: pieces that are finished, then single bytes. Many small arrays instead would be most of the heap. */
interface Message {
  readonly chunks: Uint8Array[]
  tail: number[]
  length: number
}

const text = new TextEncoder()
const message = (): Message => ({ chunks: [], tail: [], length: 0 })

/** Shorter bytes are copied, longer ones stay where they are. */
const longFrom = 1024

function append(m: Message, value: Uint8Array): void {
  m.length += value.length
  if (value.length < longFrom) {
    for (let i = 0; i < value.length; i++) m.tail.push(value[i]!)
    return
  }
  if (m.tail.length) m.chunks.push(Uint8Array.from(m.tail))
  m.tail = []
  m.chunks.push(value)
}

/** Small non-negative numbers, the common case, without bigint arithmetic. */
function varint(m: Message, value: number | bigint): void {
  if (typeof value === 'bigint' || value < 0 || value >= 2 ** 31) {
    let rest = BigInt.asUintN(64, BigInt(value))
    do {
      const low = Number(rest & 127n)
      rest >>= 7n
      m.tail.push(rest ? low | 128 : low)
      m.length++
    } while (rest)
    return
  }
  let rest = value
  do {
    const low = rest & 127
    rest >>>= 7
    m.tail.push(rest ? low | 128 : low)
    m.length++
  } while (rest)
}

const int = (m: Message, field: number, value: number | bigint): void => {
  varint(m, field << 3)
  varint(m, value)
}
const float = (m: Message, field: number, value: number): void => {
  varint(m, (field << 3) | 5)
  append(m, new Uint8Array(Float32Array.of(value).buffer))
}
const bytes = (m: Message, field: number, value: Uint8Array): void => {
  varint(m, (field << 3) | 2)
  varint(m, value.length)
  append(m, value)
}
const string = (m: Message, field: number, value: string): void => bytes(m, field, text.encode(value))
const nested = (m: Message, field: number, value: Message): void => {
  varint(m, (field << 3) | 2)
  varint(m, value.length)
  for (const chunk of value.chunks) append(m, chunk)
  m.length += value.tail.length
  for (const byte of value.tail) m.tail.push(byte)
}
const packed = (m: Message, field: number, values: readonly number[]): void => {
  const body = message()
  for (const value of values) varint(body, Math.trunc(value))
  nested(m, field, body)
}

export interface OnnxTensor {
  readonly name: string
  readonly type: number
  readonly shape: readonly number[]
  readonly data: TypedArray
}
export interface OnnxValue {
  readonly name: string
  readonly type: number
  /** A name stands for a size that is not fixed. */
  readonly shape: readonly (number | string)[]
  /** A sequence of such tensors. */
  readonly isSequence?: boolean
}
export interface OnnxModel {
  readonly name: string
  readonly nodes: readonly OnnxNode[]
  readonly initializers: readonly OnnxTensor[]
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
  /** Version by domain; '' is the standard one. */
  readonly opsets: Readonly<Record<string, number>>
  readonly metadata?: Readonly<Record<string, string>>
}

/** Every name that a node reads, also in its branches. */
export function readBy({ inputs, attributes }: OnnxNode): readonly string[] {
  const inner = Object.values(attributes).flatMap((value) =>
    typeof value === 'object' && 'branch' in value ? value.branch.nodes.flatMap(readBy) : [],
  )
  return inner.length ? [...inputs, ...inner] : inputs
}

/** A node's attributes with other nodes in its branches. */
export function mapBranches(
  { attributes }: OnnxNode,
  change: (nodes: readonly OnnxNode[]) => readonly OnnxNode[],
): OnnxNode['attributes'] {
  const entries = Object.entries(attributes).map(([name, value]) =>
    typeof value === 'object' && 'branch' in value
      ? [name, { branch: { ...value.branch, nodes: change(value.branch.nodes) } }]
      : [name, value],
  )
  return Object.fromEntries(entries) as OnnxNode['attributes']
}

function attributeMessage(name: string, value: OnnxAttribute): Message {
  const m = message()
  string(m, 1, name)
  if (typeof value === 'number' || typeof value === 'bigint') {
    int(m, 3, value)
    int(m, 20, 2)
  } else if (typeof value === 'string') {
    string(m, 4, value)
    int(m, 20, 3)
  } else if ('float' in value) {
    float(m, 2, value.float)
    int(m, 20, 1)
  } else if ('branch' in value) {
    const graph = message()
    for (const node of value.branch.nodes) nested(graph, 1, nodeMessage(node))
    string(graph, 2, name)
    // a value without a type: the runtime infers it
    const result = message()
    string(result, 1, value.branch.result)
    nested(graph, 12, result)
    nested(m, 6, graph)
    int(m, 20, 5)
  } else {
    packed(m, 8, value)
    int(m, 20, 7)
  }
  return m
}

function nodeMessage(node: OnnxNode): Message {
  const m = message()
  for (const input of node.inputs) string(m, 1, input)
  for (const output of node.outputs) string(m, 2, output)
  string(m, 4, node.op)
  for (const [name, value] of Object.entries(node.attributes)) nested(m, 5, attributeMessage(name, value))
  if (node.domain) string(m, 7, node.domain)
  return m
}

function tensorMessage({ name, type, shape, data }: OnnxTensor, isExternal: boolean): Message {
  const m = message()
  packed(m, 1, shape)
  int(m, 2, type)
  string(m, 8, name)
  if (isExternal) {
    for (const [key, value] of [
      ['location', name],
      ['offset', '0'],
      ['length', String(data.byteLength)],
    ] as const) {
      const entry = message()
      string(entry, 1, key)
      string(entry, 2, value)
      nested(m, 13, entry)
    }
    int(m, 14, 1)
  } else bytes(m, 9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return m
}

function valueMessage({ name, type, shape, isSequence }: OnnxValue): Message {
  const dims = message()
  for (const n of shape) {
    const dim = message()
    if (typeof n === 'number') int(dim, 1, n)
    else string(dim, 2, n)
    nested(dims, 1, dim)
  }
  const tensor = message()
  int(tensor, 1, type)
  nested(tensor, 2, dims)
  const kind = message()
  nested(kind, 1, tensor)
  const m = message()
  string(m, 1, name)
  if (isSequence) {
    const [sequence, outer] = [message(), message()]
    nested(sequence, 1, kind)
    nested(outer, 4, sequence)
    nested(m, 2, outer)
  } else nested(m, 2, kind)
  return m
}

/**
 * The file's bytes in chunks; concatenated they are a ModelProto. Values of the initializers in `external` are left out: each
 * is a file of its own beside the model, named like the initializer.
 */
export function encodeModel(
  model: OnnxModel,
  external: ReadonlySet<OnnxTensor> = new Set(),
): { chunks: readonly Uint8Array[]; length: number } {
  const graph = message()
  for (const node of model.nodes) nested(graph, 1, nodeMessage(node))
  string(graph, 2, model.name)
  for (const initializer of model.initializers)
    nested(graph, 5, tensorMessage(initializer, external.has(initializer)))
  for (const value of model.inputs) nested(graph, 11, valueMessage(value))
  for (const value of model.outputs) nested(graph, 12, valueMessage(value))
  const m = message()
  int(m, 1, 10)
  string(m, 2, 'treeline')
  nested(m, 7, graph)
  for (const [domain, version] of Object.entries(model.opsets)) {
    const opset = message()
    string(opset, 1, domain)
    int(opset, 2, version)
    nested(m, 8, opset)
  }
  for (const [name, value] of Object.entries(model.metadata ?? {})) {
    const property = message()
    string(property, 1, name)
    string(property, 2, value)
    nested(m, 14, property)
  }
  if (m.tail.length) m.chunks.push(Uint8Array.from(m.tail))
  return { chunks: m.chunks, length: m.length }
}

/** All chunks in one array, as sessions are made from. */
export function joinChunks({
  chunks,
  length,
}: {
  chunks: readonly Uint8Array[]
  length: number
}): Uint8Array {
  const out = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}
