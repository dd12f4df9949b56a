/** @file A safetensors file, or a folder of shards with an index, as a `Checkpoint`. */
import { closeSync, existsSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { explainSystemError } from '../base/files.ts'
import { bytes, count, didYouMean, fail, isObject, parseJsonBytes } from '../base/index.ts'
import { type Checkpoint, type CheckpointTensor, plainTensor } from './checkpoint.ts'
import { quoted } from './header.ts'
import { openSafetensors, type SafetensorsFile } from './read.ts'

/** An index of a million tensors takes less. */
const MAX_INDEX_BYTES = 256_000_000

/** What `model.safetensors.index.json` says, checked: the shard of every tensor, and free-form metadata. */
export interface ShardIndex {
  readonly path: string
  readonly shardOf: ReadonlyMap<string, string>
  /** Shards in the order in which they are first named. */
  readonly shards: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
}

/** A JSON file with a bound on its size. Throws `TL_BAD_FILE`, `TL_IO`. */
export function readJson(path: string, maxBytes: number): unknown {
  let content: Buffer
  try {
    const descriptor = openSync(path, 'r')
    try {
      const { size } = fstatSync(descriptor)
      if (size > maxBytes) fail('TL_BAD_FILE', `${path}: ${bytes(size)}, expected at most ${bytes(maxBytes)}`)
      content = readFileSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
  return parseJsonBytes(content, path)
}

/**
 * Read and check an index. A shard is a plain file name beside the index: one with a folder in it, `..`, or an absolute
 * path is refused, so that an index from elsewhere cannot make anyone read another file. Throws `TL_BAD_FILE`, `TL_IO`.
 */
export function readShardIndex(path: string): ShardIndex {
  const parsed = readJson(path, MAX_INDEX_BYTES)
  const wrong = (what: string): never => fail('TL_BAD_FILE', `${path}: ${what}`)
  if (!isObject(parsed)) return wrong('expected an object with "weight_map"')
  const map = parsed['weight_map']
  if (!isObject(map))
    return wrong('"weight_map" is missing: expected an object of tensor names to shard files')
  const shardOf = new Map<string, string>()
  for (const [name, shard] of Object.entries(map)) {
    if (typeof shard !== 'string')
      return wrong(`weight_map: tensor ${quoted(name)}: expected a file name, got ${typeof shard}`)
    if (shard === '' || shard === '.' || shard === '..' || /[/\\\0]/.test(shard))
      return wrong(
        `weight_map: tensor ${quoted(name)} is said to be in ${quoted(shard)}: expected the plain name of a file beside the index`,
      )
    shardOf.set(name, shard)
  }
  const metadata = parsed['metadata'] ?? {}
  if (!isObject(metadata)) return wrong('"metadata": expected an object')
  return { path, shardOf, shards: [...new Set(shardOf.values())], metadata }
}

/** The tensors of an open safetensors file. */
function tensorsOf(file: SafetensorsFile): Map<string, CheckpointTensor> {
  const tensors = new Map<string, CheckpointTensor>()
  for (const { name, dtype, shape, begin, end } of file.header.tensors.values())
    tensors.set(
      name,
      plainTensor(
        { name, dtype, shape, byteLength: end - begin },
        (from, to) => file.readBytes(name, from, to),
        (from, into) => file.readInto(name, from, into),
        { path: file.path, offset: file.header.dataStart + begin },
      ),
    )
  return tensors
}

/** One safetensors file. Throws `TL_BAD_FILE`, `TL_IO`. */
export function openSafetensorsCheckpoint(path: string): Checkpoint {
  const file = openSafetensors(path)
  return { path, format: 'safetensors', tensors: tensorsOf(file), metadata: file.metadata, close: file.close }
}

/** Do the tensors of a shard agree with what the index says of them? */
function checkShard(index: ShardIndex, shard: string, tensors: ReadonlyMap<string, CheckpointTensor>): void {
  for (const name of tensors.keys()) {
    const said = index.shardOf.get(name)
    if (said === shard) continue
    fail(
      'TL_BAD_FILE',
      said === undefined
        ? `${index.path}: shard ${shard} has tensor ${quoted(name)}, which weight_map does not name`
        : `${index.path}: weight_map puts tensor ${quoted(name)} into ${said}, but ${shard} has it`,
    )
  }
  for (const [name, said] of index.shardOf)
    if (said === shard && !tensors.has(name))
      fail(
        'TL_BAD_FILE',
        `${index.path}: weight_map puts tensor ${quoted(name)} into ${shard}, which does not have it ${few(name, tensors)}`,
      )
}

const few = (name: string, tensors: ReadonlyMap<string, unknown>): string =>
  tensors.size > 12 ? `(it has ${count(tensors.size)} others)` : didYouMean(name, [...tensors.keys()])

/**
 * All shards that an index names, opened together; tensors in the order of the index. Every header is read and must agree
 * with the index. Metadata: that of the shards where they agree, and the index's own. `open` reads one shard: safetensors,
 * or PyTorch archives for `pytorch_model.bin.index.json`. Throws `TL_BAD_FILE`, `TL_IO`.
 */
export function openShards(
  indexPath: string,
  path = dirname(indexPath),
  open: (path: string) => Checkpoint = openSafetensorsCheckpoint,
): Checkpoint {
  const index = readShardIndex(indexPath)
  const opened: Checkpoint[] = []
  const close = (): void => {
    for (const shard of opened) shard.close()
  }
  try {
    const found = new Map<string, CheckpointTensor>()
    const metadata: Record<string, unknown> = {}
    for (const shard of index.shards) {
      const shardPath = join(dirname(indexPath), shard)
      if (!existsSync(shardPath))
        fail('TL_IO', `${indexPath}: shard ${shard} is missing: download it, or check ${dirname(indexPath)}`)
      const checkpoint = open(shardPath)
      opened.push(checkpoint)
      checkShard(index, shard, checkpoint.tensors)
      for (const [name, tensor] of checkpoint.tensors) found.set(name, tensor)
      Object.assign(metadata, checkpoint.metadata)
    }
    const tensors = new Map([...index.shardOf.keys()].map((name) => [name, found.get(name)!]))
    const kind = opened[0]?.format ?? 'safetensors'
    const format = `${kind} (${opened.length} ${opened.length === 1 ? 'shard' : 'shards'})`
    return { path, format, tensors, metadata: { ...metadata, ...index.metadata }, close }
  } catch (error) {
    close()
    throw error
  }
}

/** Is there a file of this name in the folder? */
export const isFileIn = (folder: string, name: string): boolean =>
  statSync(join(folder, name), { throwIfNoEntry: false })?.isFile() ?? false
