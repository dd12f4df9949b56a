/** @file How a model is run, and which way suits a model and a machine. */
import { totalmem } from 'node:os'
import type { Checkpoint } from '../checkpoint/index.ts'
import { quantizedBlock, type RuntimeName } from '../tensor/index.ts'
import { kept } from './blocks.ts'
import type { ModelConfig } from './config.ts'

/**
 * `f32`: exact. `q8`: weights in blocks, as stored where they are Q4_0, Q4_1 or Q8_0, else rounded to 8 bits; activations in f32
 * or in two terms of 8 bits. `q4`: the same, floats fitted to 4 bits, activations rounded to 8 bits.
 */
export type Precision = 'f32' | 'q4' | 'q8'

/** In the order of their exactness. */
export const precisions: readonly Precision[] = ['f32', 'q8', 'q4']

/** What of the machine decides. */
interface Machine {
  /** Bytes; default all of this machine. */
  readonly memory?: number
  /** The build of the runtime; the one on WebAssembly has no kernels for blocks and unpacks them all the same. */
  readonly runtime?: RuntimeName
}

export interface Choice {
  readonly precision: Precision
  /** Why, for people. */
  readonly reason: string
}

/** Most bytes of f32 weights that are read for each token while blocks would have to be rounded: a tenth of a second or so. */
const mostDense = 1e9

/**
 * The precision of `auto`. Blocks that are kept as stored lose nothing in `q8`. What would have to be rounded stays f32 while a
 * token reads less than a gigabyte, then has 8 bits, and 4 where 8 would take more than half of the memory.
 */
export function choosePrecision(
  checkpoint: Pick<Checkpoint, 'tensors'>,
  { width, hidden, heads, headWidth, headSlots, architecture }: ModelConfig,
  { memory = totalmem(), runtime = 'native' }: Machine = {},
): Choice {
  if (headSlots !== headWidth)
    return { precision: 'f32', reason: `heads of ${headWidth} features have no blocks` }
  const odd = [width, hidden, heads * headWidth].find((size) => size % quantizedBlock !== 0)
  if (odd !== undefined)
    return {
      precision: 'f32',
      reason: `${odd} inputs are no multiple of ${quantizedBlock}, so they have no blocks`,
    }
  // learned positions are read by rows, never multiplied
  const positions = [architecture.names.gguf.positions, architecture.names.huggingFace.positions]
  const isTable = (name: string): boolean => positions.some((own) => own && name.endsWith(`${own}.weight`))
  const matrices = [...checkpoint.tensors.values()].filter(
    ({ name, shape }) => shape.length > 1 && !isTable(name),
  )
  const weights = matrices.reduce((n, { shape }) => n + shape.reduce((a, b) => a * b, 1), 0)
  if (runtime === 'wasm' && 4 * weights <= memory / 2)
    return { precision: 'f32', reason: 'the WebAssembly build has no kernels for blocks' }
  if (matrices.every(({ dtype }) => kept[dtype]))
    return { precision: 'q8', reason: 'blocks as stored, activations beyond 8 bits' }
  if (4 * weights <= Math.min(mostDense, memory / 2))
    return { precision: 'f32', reason: 'small enough to be exact' }
  if ((9 / 8) * weights <= memory / 2) return { precision: 'q8', reason: 'weights in 8 bits' }
  return { precision: 'q4', reason: 'weights in 4 bits, for lack of memory' }
}
