/** @file What differs between two checkpoints: norms of the change, tensor by tensor and layer by layer, in pieces. */
import { fail, finish, type Steps } from '../../base/index.ts'
import type { Checkpoint, CheckpointTensor } from '../../checkpoint/index.ts'
import { splitName } from '../merge/plan/index.ts'

/** One tensor of both checkpoints. All norms are L2. */
export interface TensorDiff {
  readonly name: string
  readonly shape: readonly number[]
  readonly normA: number
  readonly normB: number
  /** ‖b − a‖. */
  readonly change: number
  /** ‖b − a‖ / ‖a‖; null when a is zero and b is not. */
  readonly relative: number | null
  /** a · b / (‖a‖ ‖b‖); null when one is zero. */
  readonly cosine: number | null
}

/** One layer of one stack, or everything outside layers (`layer` null). */
export interface LayerDiff {
  readonly stack: string
  readonly layer: number | null
  readonly change: number
  readonly relative: number | null
}

/** Two checkpoints side by side. */
export interface CheckpointDiff {
  readonly tensors: readonly TensorDiff[]
  readonly layers: readonly LayerDiff[]
  readonly change: number
  readonly relative: number | null
  readonly onlyA: readonly string[]
  readonly onlyB: readonly string[]
  /** Tensors whose shapes differ. */
  readonly reshaped: readonly string[]
}

const piece = 1 << 20
const ratio = (over: number, under: number): number | null => {
  if (under > 0) return over / under
  return over === 0 ? 0 : null
}

interface Sums {
  aa: number
  bb: number
  ab: number
  change: number
}

function* sumsOf(a: CheckpointTensor, b: CheckpointTensor): Steps<Sums> {
  const total = a.shape.reduce((product, size) => product * size, 1)
  const sums: Sums = { aa: 0, bb: 0, ab: 0, change: 0 }
  for (let start = 0; start < total; start += piece) {
    const count = Math.min(piece, total - start)
    const [x, y] = [a.f32(start, count), b.f32(start, count)]
    for (let i = 0; i < count; i++) {
      const [p, q] = [x[i]!, y[i]!]
      sums.aa += p * p
      sums.bb += q * q
      sums.ab += p * q
      sums.change += (q - p) * (q - p)
    }
    yield
  }
  return sums
}

/** Compare two open checkpoints. Throws TL_BAD_ARGUMENT when they share no tensor. */
export const diffCheckpoints = (a: Checkpoint, b: Checkpoint): CheckpointDiff => finish(diffing(a, b))

/** The same in steps; `onTensor` is called before each tensor. */
export function* diffing(
  a: Checkpoint,
  b: Checkpoint,
  onTensor?: (name: string, done: number, total: number) => void,
): Steps<CheckpointDiff> {
  const onlyA = [...a.tensors.keys()].filter((name) => !b.tensors.has(name))
  const onlyB = [...b.tensors.keys()].filter((name) => !a.tensors.has(name))
  const shared = [...a.tensors.values()].filter(({ name }) => b.tensors.has(name))
  if (shared.length === 0)
    fail('TL_BAD_ARGUMENT', `${a.path} and ${b.path} have no tensor in common; are they of one architecture?`)
  const same = ({ name, shape }: CheckpointTensor): boolean =>
    b.tensors.get(name)!.shape.join() === shape.join()
  const tensors: TensorDiff[] = []
  const layers = new Map<string, { stack: string; layer: number | null; aa: number; change: number }>()
  const all = { aa: 0, change: 0 }
  const compared = shared.filter(same)
  for (const tensor of compared) {
    const { name, shape } = tensor
    onTensor?.(name, tensors.length, compared.length)
    const { aa, bb, ab, change } = yield* sumsOf(tensor, b.tensors.get(name)!)
    const [normA, normB, norm] = [Math.sqrt(aa), Math.sqrt(bb), Math.sqrt(change)]
    const cosine = aa > 0 && bb > 0 ? Math.max(-1, Math.min(1, ab / (normA * normB))) : null
    tensors.push({ name, shape, normA, normB, change: norm, relative: ratio(norm, normA), cosine })
    const split = splitName(name)
    const [stack, layer] = split ? [split.stack, split.layer] : ['', null]
    const key = `${stack} ${layer}`
    const sums = layers.get(key) ?? { stack, layer, aa: 0, change: 0 }
    layers.set(key, sums)
    for (const one of [sums, all]) {
      one.aa += aa
      one.change += change
    }
  }
  const ordered = [...layers.values()].sort((x, y) => (x.stack === y.stack ? x.layer! - y.layer! : 0))
  return {
    tensors,
    layers: ordered.map(({ stack, layer, aa, change }) => ({
      stack,
      layer,
      change: Math.sqrt(change),
      relative: ratio(Math.sqrt(change), Math.sqrt(aa)),
    })),
    change: Math.sqrt(all.change),
    relative: ratio(Math.sqrt(all.change), Math.sqrt(all.aa)),
    onlyA,
    onlyB,
    reshaped: shared.filter((tensor) => !same(tensor)).map(({ name }) => name),
  }
}
