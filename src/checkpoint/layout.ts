/** @file Where every tensor of a model folder goes: all shapes are known beforehand, so shards are filled in any order. */
import { fail, prettyJson } from '../base/index.ts'
import { elementBytes, isConvertible } from './convertDtype.ts'
import type { StoredDtype } from './dtypes.ts'
import { checkedSize, encodeHead } from './write.ts'

/** What must be known of a tensor before there is a place for it. */
export interface Placeable {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
}

/** A tensor's place in the output. */
export interface Slot<Tensor extends Placeable> {
  readonly tensor: Tensor
  /** Bytes from the beginning of its file. */
  readonly offset: number
  readonly bytes: number
}

/** One file of the output. */
export interface Shard<Tensor extends Placeable = Placeable> {
  readonly name: string
  /** Length and JSON, padded so that the data begin at a multiple of 8. */
  readonly head: Uint8Array
  readonly slots: readonly Slot<Tensor>[]
  readonly bytes: number
}

/** Bytes that a tensor takes in the output. Throws for what safetensors cannot hold. */
export const storedSize = ({ name, dtype, shape }: Placeable): number =>
  checkedSize(name, { dtype: dtype as StoredDtype, shape, data: () => [] })

const metadataOfModels: Readonly<Record<string, string>> = { format: 'pt' }

/** Bytes of one element, for the order within a file: wide ones first keeps all of them aligned. */
const width = ({ dtype }: Placeable): number => (isConvertible(dtype) ? elementBytes(dtype) : 8)

/** Distribute the tensors over files of at most `shardSize` bytes of data (a larger tensor gets one of its own). */
export function layOut<Tensor extends Placeable>(
  tensors: readonly Tensor[],
  shardSize: number,
  metadata: Readonly<Record<string, string>> = metadataOfModels,
): Shard<Tensor>[] {
  if (!(shardSize >= 1)) fail('TL_BAD_ARGUMENT', `shardSize: expected at least 1 byte, got ${shardSize}`)
  const parts: Tensor[][] = [[]]
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
    const ordered = part
      .toSorted((a, b) => width(b) - width(a))
      .map((tensor) => ({ tensor, size: storedSize(tensor) }))
    const head = encodeHead(
      ordered.map(({ tensor: { name, dtype, shape }, size }) => ({
        name,
        dtype: dtype as StoredDtype,
        shape,
        size,
      })),
      metadata,
    )
    let offset = head.byteLength
    const slots = ordered.map(({ tensor, size }): Slot<Tensor> => {
      const slot = { tensor, offset, bytes: size }
      offset += size
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
  return prettyJson({ metadata: { total_size: total }, weight_map: weightMap })
}
