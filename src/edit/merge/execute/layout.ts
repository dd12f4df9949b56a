/** @file Where every tensor goes: all shapes are known beforehand, so workers write into the shards in any order. */
import { createHash } from 'node:crypto'
import { elementBytes, isConvertible } from '../../../checkpoint/index.ts'
import type { PlannedTensor } from '../plan/index.ts'

/** A tensor's place in the output. */
export interface Slot {
  readonly tensor: PlannedTensor
  /** Bytes from the beginning of its file. */
  readonly offset: number
  readonly bytes: number
}

/** One file of the output. */
export interface Shard {
  readonly name: string
  /** Length and JSON, padded so that the data begin at a multiple of 8. */
  readonly head: Uint8Array
  readonly slots: readonly Slot[]
  readonly bytes: number
}

/** Elements of a shape. */
export const elementsOf = (shape: readonly number[]): number =>
  shape.reduce((product, size) => product * size, 1)

/** Bytes that a tensor takes in the output. */
export const storedSize = ({ shape, dtype }: PlannedTensor): number =>
  elementsOf(shape) * (isConvertible(dtype) ? elementBytes(dtype) : 8)

function headOf(tensors: readonly PlannedTensor[]): Uint8Array {
  let at = 0
  const entries = tensors.map((tensor): [string, unknown] => {
    const begin = at
    at += storedSize(tensor)
    return [tensor.name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [begin, at] }]
  })
  const text = JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) })
  const length = Math.ceil(Buffer.byteLength(text) / 8) * 8
  const head = Buffer.alloc(8 + length, 0x20)
  head.writeBigUInt64LE(BigInt(length))
  head.write(text, 8)
  return head
}

/** Bytes of one element, for the order within a file: wide ones first keeps all of them aligned. */
const width = ({ dtype }: PlannedTensor): number => (isConvertible(dtype) ? elementBytes(dtype) : 8)

/** Distribute the tensors over files of at most `shardSize` bytes of data (a larger tensor gets one of its own). */
export function layOut(tensors: readonly PlannedTensor[], shardSize: number): Shard[] {
  const parts: PlannedTensor[][] = [[]]
  let room = shardSize
  for (const tensor of tensors) {
    const size = storedSize(tensor)
    if (size > room && parts.at(-1)!.length > 0) {
      parts.push([])
      room = shardSize
    }
    parts.at(-1)!.push(tensor)
    room -= size
  }
  const count = String(parts.length).padStart(5, '0')
  return parts.map((part, i) => {
    const ordered = part.toSorted((a, b) => width(b) - width(a))
    const head = headOf(ordered)
    let offset = head.byteLength
    const slots = ordered.map((tensor): Slot => {
      const bytes = storedSize(tensor)
      const slot = { tensor, offset, bytes }
      offset += bytes
      return slot
    })
    const number = String(i + 1).padStart(5, '0')
    const name = parts.length === 1 ? 'model.safetensors' : `model-${number}-of-${count}.safetensors`
    return { name, head, slots, bytes: offset }
  })
}

/** The index of several shards. */
export function indexOf(shards: readonly Shard[]): string {
  const slots = shards.flatMap(({ name, slots: list }) =>
    list.map(({ tensor, bytes }) => ({ tensor: tensor.name, name, bytes })),
  )
  const weightMap = Object.fromEntries(slots.map(({ tensor, name }) => [tensor, name]))
  const total = slots.reduce((sum, { bytes }) => sum + bytes, 0)
  return `${JSON.stringify({ metadata: { total_size: total }, weight_map: weightMap }, null, 2)}\n`
}

/** Two words of randomness that belong to a tensor's name. */
export function nameWords(name: string): [number, number] {
  const digest = createHash('sha256').update(name).digest()
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)]
}
