/** @file What differs between two checkpoints: norms of the change, tensor by tensor and layer by layer, in pieces. */
import { fail, finish, type Steps } from '../base/index.ts'
import { alignedNames, type Checkpoint, type CheckpointTensor, isDerived } from '../checkpoint/index.ts'
import { inLayerOrder, splitName } from './plan/index.ts'

/** One tensor of both checkpoints. All norms are L2, of the elements that are finite in both. */
export interface TensorDiff {
  /** As the first checkpoint has it; the second may have it with another prefix of the model. */
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
  /** Elements with other values. NaN of equal bits does not differ. */
  readonly differing: number
  /** Elements that are not finite in a and in b. */
  readonly notFinite: readonly [a: number, b: number]
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
  differing: number
  notFinite: [a: number, b: number]
}

/** The bits of the values. */
const bitsOf = ({ buffer, byteOffset, length }: Float32Array): Uint32Array =>
  new Uint32Array(buffer, byteOffset, length)

function* sumsOf(a: CheckpointTensor, b: CheckpointTensor): Steps<Sums> {
  const total = a.shape.reduce((product, size) => product * size, 1)
  const sums: Sums = { aa: 0, bb: 0, ab: 0, change: 0, differing: 0, notFinite: [0, 0] }
  for (let start = 0; start < total; start += piece) {
    const count = Math.min(piece, total - start)
    const [x, y] = [a.f32(start, count), b.f32(start, count)]
    const [u, v] = [bitsOf(x), bitsOf(y)]
    for (let i = 0; i < count; i++) {
      const [p, q] = [x[i]!, y[i]!]
      if (p !== q && u[i] !== v[i]) sums.differing++
      // the difference of two finite values of f32 is finite in double precision, anything else is not
      if (!Number.isFinite(q - p)) {
        if (!Number.isFinite(p)) sums.notFinite[0]++
        if (!Number.isFinite(q)) sums.notFinite[1]++
        continue
      }
      sums.aa += p * p
      sums.bb += q * q
      sums.ab += p * q
      sums.change += (q - p) * (q - p)
    }
    yield
  }
  return sums
}

/** The tensors of `b` under the names of `a`, without tables that only one of both stores and programs compute. */
function namedAs(
  a: Checkpoint,
  b: Checkpoint,
): { own: Map<string, CheckpointTensor>; other: Map<string, CheckpointTensor> } {
  const names = alignedNames(b.tensors.keys(), a.tensors)
  const all = new Map([...b.tensors].map(([name, tensor]) => [names.get(name)!, tensor]))
  const isKept = (others: ReadonlyMap<string, unknown>) => (entry: readonly [string, unknown]) =>
    !isDerived(entry[0]) || others.has(entry[0])
  return {
    own: new Map([...a.tensors].filter(isKept(all))),
    other: new Map([...all].filter(isKept(a.tensors))),
  }
}

/** Compare two open checkpoints. Throws TL_BAD_ARGUMENT when they share no tensor. */
export const diffCheckpoints = (a: Checkpoint, b: Checkpoint): CheckpointDiff => finish(diffing(a, b))

/** The same in steps; `onTensor` is called before each tensor. */
export function* diffing(
  a: Checkpoint,
  b: Checkpoint,
  onTensor?: (name: string, done: number, total: number) => void,
): Steps<CheckpointDiff> {
  const { own, other } = namedAs(a, b)
  const onlyA = [...own.keys()].filter((name) => !other.has(name))
  const onlyB = [...other.keys()].filter((name) => !own.has(name))
  const shared = inLayerOrder(
    [...own.values()].filter(({ name }) => other.has(name)),
    ({ name }) => splitName(name),
  )
  if (shared.length === 0)
    fail('TL_BAD_ARGUMENT', `${a.path} and ${b.path} have no tensor in common; are they of one architecture?`)
  const same = ({ name, shape }: CheckpointTensor): boolean => other.get(name)!.shape.join() === shape.join()
  const tensors: TensorDiff[] = []
  const layers = new Map<string, { stack: string; layer: number | null; aa: number; change: number }>()
  const all = { aa: 0, change: 0 }
  const compared = shared.filter(same)
  for (const tensor of compared) {
    const { name, shape } = tensor
    onTensor?.(name, tensors.length, compared.length)
    const { aa, bb, ab, change, differing, notFinite } = yield* sumsOf(tensor, other.get(name)!)
    const [normA, normB, norm] = [Math.sqrt(aa), Math.sqrt(bb), Math.sqrt(change)]
    const cosine = aa > 0 && bb > 0 ? Math.max(-1, Math.min(1, ab / (normA * normB))) : null
    const relative = ratio(norm, normA)
    tensors.push({ name, shape, normA, normB, change: norm, relative, cosine, differing, notFinite })
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
  const ordered = inLayerOrder([...layers.values()], (one) => one)
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
