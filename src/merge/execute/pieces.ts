/** @file The passes of a merge over its workers: statistics that a method asks for, α of LiNeS, and the pieces of the output. */
import type { Workers } from '../../base/workers.ts'
import { elements, type Shard, storedSize, type Unfinished } from '../../checkpoint/index.ts'
import type { MergeConfig } from '../config/index.ts'
import { autoAlpha } from '../lines/index.ts'
import type { Parameters } from '../methods/index.ts'
import type { MergePlan, PlannedTensor } from '../plan/index.ts'
import type { MergeOptions } from './options.ts'
import { type LookItem, lookTask, type MergeItem, mergeTask } from './work.ts'
import { writeBack } from './writeBack.ts'

/** Elements of a piece when the method allows pieces: 4 MiB of f32 for each input. Changing it changes no bytes. */
const pieceElements = 1 << 20

interface Piece {
  readonly shard: Shard<PlannedTensor>
  readonly offset: number
  readonly tensor: PlannedTensor
  readonly start: number
  readonly count: number
}

/** The pieces of the whole output, in an order that depends on the plan alone. */
export function piecesOf(shards: readonly Shard<PlannedTensor>[]): Piece[] {
  return shards.flatMap((shard) =>
    shard.slots.flatMap(({ tensor, offset, bytes }) => {
      const total = elements(tensor.shape)
      if (tensor.reach === 'tensor' || tensor.action === 'copy' || total <= pieceElements)
        return [{ shard, offset, tensor, start: 0, count: total }]
      return Array.from({ length: Math.ceil(total / pieceElements) }, (_, i): Piece => {
        const start = i * pieceElements
        const count = Math.min(pieceElements, total - start)
        return { shard, offset: offset + (bytes / total) * start, tensor, start, count }
      })
    }),
  )
}

/** The statistics of the whole model that a method asks for, in passes over the workers. */
export async function prepared(
  config: MergeConfig,
  plan: MergePlan,
  item: (tensor: PlannedTensor) => MergeItem,
  workers: Workers,
  options: { readonly signal?: AbortSignal },
): Promise<Parameters[] | undefined> {
  const tensors = plan.tensors.filter(({ action }) => action === 'merge')
  const [first] = tensors
  if (!config.method.prepare || !first) return undefined
  const preparation = config.method.prepare(
    first.parameters,
    first.models.map(({ parameters }) => parameters),
  )
  do {
    const question = preparation.question()
    const items = tensors.map((tensor): LookItem => ({ item: item(tensor), question }))
    await workers.map<LookItem, Uint32Array[]>(lookTask, items, { ...options, onResult: preparation.add })
  } while (preparation.endPass())
  return preparation.perModel()
}

export interface Running {
  readonly config: MergeConfig
  readonly plan: MergePlan
  readonly unfinished: Unfinished
  readonly pieces: readonly Piece[]
  readonly item: (piece: Piece) => MergeItem
  readonly workers: Workers
  readonly options: MergeOptions
}

/** Pieces that a worker has at hand: most take less than a message's way. */
const ahead = 2

/** α of `lines`, measured over the whole merge when it is `auto`. */
export async function findAlpha(running: Running): Promise<number> {
  const { plan, unfinished, pieces, item, workers, options, config } = running
  const { alpha } = plan.lines!
  if (alpha !== 'auto') return alpha
  const known = unfinished.recall('alpha')
  if (typeof known === 'number') return known
  let done = 0
  const total = pieces.length
  const results = await workers.map<MergeItem, { l1Sum: number; l1Merged: number }>(
    mergeTask,
    pieces.map(item),
    {
      ahead,
      ...(options.signal ? { signal: options.signal } : {}),
      onResult: () => options.onProgress?.({ done: ++done, total, phase: 'measure' }),
    },
  )
  const count = config.models.filter((model) => model !== plan.lines!.base).length
  const sum = (of: (one: { l1Sum: number; l1Merged: number }) => number): number =>
    results.reduce((partial, one) => partial + of(one), 0)
  const found = autoAlpha(
    sum((one) => one.l1Sum),
    sum((one) => one.l1Merged),
    count,
  )
  unfinished.remember('alpha', found)
  return found
}

/** Is it the same bytes in several inputs, or no merge? */
const mustAgree = ({ tensor }: Piece): boolean => tensor.action === 'copy' && tensor.models.length > 1

export async function mergePieces(
  running: Running,
  factors: ReadonlyMap<string, number> | undefined,
): Promise<void> {
  const { unfinished, pieces, item, workers, options } = running
  const open = pieces
    .map((piece, index) => ({ piece, index }))
    .filter(({ index }) => !unfinished.done.has(index))
    // copies that must agree first, for they may end the merge; then the largest, so that no thread is left alone with one
    .sort((a, b) => Number(mustAgree(b.piece)) - Number(mustAgree(a.piece)) || b.piece.count - a.piece.count)
  const sizeOf = ({ tensor, count }: Piece): number =>
    (storedSize(tensor) / Math.max(1, elements(tensor.shape))) * count
  const total = pieces.reduce((sum, piece) => sum + sizeOf(piece), 0)
  let done = total - open.reduce((sum, { piece }) => sum + sizeOf(piece), 0)
  const items = open.map(({ piece }): MergeItem => {
    const one = item(piece)
    const factor = factors?.get(piece.tensor.name)
    return {
      ...one,
      ...(one.lines && factor !== undefined ? { lines: { ...one.lines, factor } } : {}),
      target: { path: unfinished.shardPath(piece.shard), offset: piece.offset },
    }
  })
  if (items.length === 0) return
  const disk = writeBack()
  await workers.map(mergeTask, items, {
    ahead,
    ...(options.signal ? { signal: options.signal } : {}),
    onResult: (_, i) => {
      const { piece, index } = open[i]!
      unfinished.finish(index)
      disk.written(unfinished.shardPath(piece.shard), sizeOf(piece))
      done += sizeOf(piece)
      options.onProgress?.({ done, total, phase: 'merge' })
    },
  })
  await disk.settle()
}
