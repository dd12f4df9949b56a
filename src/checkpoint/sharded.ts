/**
 * @file Writing a model folder as a stream of tensors: safetensors shards of bounded size and their index, under temporary
 * names until everything is complete. Nothing is known beforehand of what will come, and no tensor is held back.
 */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { explainSystemError, makeFolder, temporaryFile, writeAtomically } from '../base/files.ts'
import { fail, prettyJson } from '../base/index.ts'
import { statusOf } from '../base/outputs.ts'
import { elementBytes, encodeF32, isConvertible } from './convertDtype.ts'
import { isStoredDtype, type StoredDtype } from './dtypes.ts'
import { quoted } from './header.ts'
import { checkedSize, encodeHead } from './write.ts'

/** A tensor's elements: raw little-endian bytes of the dtype, f32 values to be rounded to it, or pieces of either. */
export type ShardData = Uint8Array | Float32Array | Iterable<Uint8Array | Float32Array>

/** How to write. */
export interface ShardedWriterOptions {
  /** Bytes of data after which a new shard begins; a larger tensor gets a shard of its own. Default 5 GB. */
  readonly shardSize?: number
  /** Text for the header of every shard, such as `{ format: 'pt' }`. */
  readonly metadata?: Record<string, string>
  /** Replace weights of these names that are there. */
  readonly force?: boolean
}

/** A model folder in the making. */
export interface ShardedWriter {
  /** Add a tensor. After a failure everything temporary is gone and the writer is closed. */
  write(name: string, dtype: string, shape: readonly number[], data: ShardData): void
  /** Give the files their names, and write the index if there is more than one. */
  finish(): { files: string[]; bytes: number }
  /** Drop everything. */
  abort(): void
}

/** Room kept for a shard's header, which is known only after its data. */
const HEADER_ROOM = 1 << 18
const PIECE = 1 << 22

interface Shard {
  temporary: ReturnType<typeof temporaryFile>
  descriptor: number
  tensors: { name: string; dtype: StoredDtype; shape: readonly number[]; size: number }[]
  bytes: number
  /** Bytes that the header will take at most. */
  headerBytes: number
}

const asBytes = (view: ArrayBufferView): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

function writeAll(descriptor: number, data: Uint8Array, position: number): void {
  for (let done = 0; done < data.byteLength; )
    done += writeSync(descriptor, data, done, data.byteLength - done, position + done)
}

/** Header in place of the room kept for it; the data move up when the room would be more than a hundredth of them. */
function completeShard(shard: Shard, metadata: Record<string, string>): void {
  const { descriptor, tensors, bytes } = shard
  const head = encodeHead(tensors, metadata)
  const room = 8 + HEADER_ROOM
  if ((room - head.byteLength) * 100 > bytes) {
    const piece = new Uint8Array(Math.min(PIECE, Math.max(1, bytes)))
    for (let at = 0; at < bytes; ) {
      const got = readSync(descriptor, piece, 0, Math.min(piece.byteLength, bytes - at), room + at)
      if (got === 0) fail('TL_IO', `cannot write ${shard.temporary.name}: it became shorter meanwhile`)
      writeAll(descriptor, piece.subarray(0, got), head.byteLength + at)
      at += got
    }
    ftruncateSync(descriptor, head.byteLength + bytes)
    writeAll(descriptor, head, 0)
  } else {
    const padded = new Uint8Array(room).fill(0x20)
    padded.set(head)
    new DataView(padded.buffer).setBigUint64(0, BigInt(HEADER_ROOM), true)
    writeAll(descriptor, padded, 0)
  }
  fsyncSync(descriptor)
  closeSync(descriptor)
  shard.descriptor = -1
}

/** The bytes to be written, in pieces, with f32 values rounded to `dtype`. */
function* encoded(dtype: string, data: ShardData): Generator<Uint8Array> {
  const pieces = data instanceof Uint8Array || data instanceof Float32Array ? [data] : data
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) yield piece
    else
      for (let at = 0; at < piece.length; at += PIECE) yield encodeF32(piece.subarray(at, at + PIECE), dtype)
  }
}

const stale = /^model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$/

/**
 * Write tensors into `folder` as they come, as `model.safetensors` or `model-00001-of-0000N.safetensors` with
 * `model.safetensors.index.json`. Until `finish()` only temporary files exist. Throws `TL_EXISTS` when the folder has
 * weights of these names (`force` replaces them in `finish`), `TL_BAD_ARGUMENT`, `TL_SHAPE_MISMATCH`, `TL_IO`.
 */
export function shardedWriter(folder: string, options: ShardedWriterOptions = {}): ShardedWriter {
  const { shardSize = 5e9, metadata = {}, force = false } = options
  if (!(shardSize >= 1)) fail('TL_BAD_ARGUMENT', `shardSize: expected at least 1 byte, got ${shardSize}`)
  const weights = (): string[] =>
    statusOf(folder)?.isDirectory() ? readdirSync(folder).filter((name) => stale.test(name)) : []
  const [found] = force ? [] : weights()
  if (found !== undefined)
    fail(
      'TL_EXISTS',
      `${folder}: it has weights already (${found}): choose another folder, or give \`force\``,
    )
  const shards: Shard[] = []
  const seen = new Set<string>()
  const ownHeader = encodeHead([], metadata).byteLength
  let isOpen = true

  function begin(): Shard {
    makeFolder(folder)
    const temporary = temporaryFile(join(folder, `shard-${shards.length + 1}.safetensors`))
    const shard: Shard = {
      temporary,
      descriptor: openSync(temporary.name, 'wx+'),
      tensors: [],
      bytes: 0,
      headerBytes: ownHeader,
    }
    shards.push(shard)
    return shard
  }

  /** The shard that the next tensor goes to. Wide elements must begin at a multiple of their size, or PyTorch cannot map them. */
  function shardFor(size: number, headerBytes: number, dtype: StoredDtype): Shard {
    const last = shards.at(-1)
    if (!last) return begin()
    const isAligned = !isConvertible(dtype) || last.bytes % elementBytes(dtype) === 0
    const fits = last.bytes + size <= shardSize && last.headerBytes + headerBytes <= HEADER_ROOM
    if (last.tensors.length === 0 || (isAligned && fits)) return last
    completeShard(last, metadata)
    return begin()
  }

  function abort(): void {
    isOpen = false
    for (const { descriptor, temporary } of shards) {
      if (descriptor >= 0) closeSync(descriptor)
      temporary.remove()
    }
    shards.length = 0
  }

  /** Run one step; a failure drops everything. */
  function guarded<Result>(step: () => Result): Result {
    if (!isOpen) fail('TL_BAD_ARGUMENT', `${folder}: this writer is closed`)
    try {
      return step()
    } catch (error) {
      abort()
      return explainSystemError(error, `cannot write ${folder}`)
    }
  }

  function write(name: string, dtype: string, shape: readonly number[], data: ShardData): void {
    guarded(() => {
      const size = checkedSize(name, { dtype: dtype as StoredDtype, shape, data: () => [] })
      if (!isStoredDtype(dtype)) return
      if (seen.has(name)) fail('TL_BAD_ARGUMENT', `tensor ${quoted(name)} is given twice`)
      seen.add(name)
      const headerBytes = encodeHead([{ name, dtype, shape, size }], {}).byteLength + 32
      if (ownHeader + headerBytes > HEADER_ROOM)
        fail('TL_BAD_ARGUMENT', `tensor ${quoted(name)}: its name is too long`)
      const shard = shardFor(size, headerBytes, dtype)
      const start = 8 + HEADER_ROOM + shard.bytes
      let written = 0
      for (const piece of encoded(dtype, data)) {
        if (written + piece.byteLength <= size) writeAll(shard.descriptor, asBytes(piece), start + written)
        written += piece.byteLength
      }
      if (written !== size)
        fail(
          'TL_SHAPE_MISMATCH',
          `tensor ${quoted(name)}: shape [${shape.join(', ')}] of ${dtype} takes ${size} bytes, got ${written}`,
        )
      shard.tensors.push({ name, dtype, shape: [...shape], size })
      shard.bytes += size
      shard.headerBytes += headerBytes
    })
  }

  function finish(): { files: string[]; bytes: number } {
    return guarded(() => {
      const last = shards.at(-1) ?? begin()
      completeShard(last, metadata)
      const total = String(shards.length).padStart(5, '0')
      const files = shards.map((_, i) =>
        shards.length === 1
          ? 'model.safetensors'
          : `model-${String(i + 1).padStart(5, '0')}-of-${total}.safetensors`,
      )
      // an old index goes first: a folder cut off here has no index, which is noticed, and never a wrong one
      rmSync(join(folder, 'model.safetensors.index.json'), { force: true })
      for (const [i, shard] of shards.entries()) {
        renameSync(shard.temporary.name, join(folder, files[i]!))
        shard.temporary.remove()
      }
      const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0)
      for (const name of weights()) if (!files.includes(name)) rmSync(join(folder, name))
      if (shards.length > 1) {
        const pairs = shards.flatMap(({ tensors }, i) =>
          tensors.map(({ name }) => [name, files[i]!] as const),
        )
        pairs.sort(([a], [b]) => (a < b ? -1 : 1))
        const index = { metadata: { total_size: bytes }, weight_map: Object.fromEntries(pairs) }
        writeAtomically(join(folder, 'model.safetensors.index.json'), prettyJson(index))
        files.push('model.safetensors.index.json')
      }
      isOpen = false
      shards.length = 0
      return { files, bytes }
    })
  }

  return { write, finish, abort }
}
