/** @file What an adapter does to a base model, tensor by tensor: the new weights and their change, computed as they are read. */
import { fail } from '../../base/index.ts'
import { type Checkpoint, type CheckpointTensor, elements } from '../checkpoint.ts'
import { alignedNames, embeddings, isHead, tiedTo } from '../names.ts'
import { deltaElements, type Factors, type LowRankDelta, lowRank } from './lowRank.ts'
import { type Adapter, isHeadModule } from './open.ts'
import { isTiedHead } from './ties.ts'

/** One changed tensor. */
export interface AdapterChange {
  /** The base model's name of it; a head that the base does not have gets one of its own. */
  readonly name: string
  readonly shape: readonly number[]
  /** What it was: of a head that the base does not store, the embedding that it is tied to. */
  readonly from: CheckpointTensor
  /** Elements of the new weight, rounded once to f32. */
  values(start: number, count: number): Float32Array
  /** Elements of the change, rounded once to f32. */
  change(start: number, count: number): Float32Array
}

/** Elements at a time where a whole tensor must be seen. */
const PIECE = 1 << 20

const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`

/** The base's tensors under the names that the adapter uses. */
interface Bases {
  readonly adapter: Adapter
  readonly base: Checkpoint
  /** The base's name for one of the adapter's. */
  readonly nameOf: (name: string) => string
  /** Layers of this architecture store `[in, out]` (Conv1D of GPT-2), told from layers that are not square. */
  readonly isConv1d: boolean
}

/** The tensor that a part of the adapter changes; the embedding for a tied head. */
function baseOf({ adapter, base, nameOf }: Bases, part: string): { name: string; from: CheckpointTensor } {
  const name = nameOf(part)
  const from = base.tensors.get(name) ?? base.tensors.get(tiedTo(name, base.tensors) ?? '')
  if (!from)
    return fail('TL_SHAPE_MISMATCH', `${adapter.path}: it changes ${part}, which ${base.path} does not have`)
  if (/^(I\d|U\d|BOOL)/.test(from.dtype))
    fail(
      'TL_UNSUPPORTED',
      `${name}: ${base.path} holds it as ${from.dtype}, quantized in a way that is not read; apply the adapter to the model in 16 or 32 bits`,
    )
  return { name, from }
}

/** Stop unless a part has the shape that the base's tensor has. */
function checkShape(
  { adapter, base }: Bases,
  name: string,
  from: CheckpointTensor,
  shape: readonly number[],
): void {
  if (from.shape.join() === shape.join()) return
  const isTable = from.shape.length === 2 && shape.length === 2 && from.shape[1] === shape[1]
  fail(
    'TL_SHAPE_MISMATCH',
    `${name}: ${base.path} has shape ${shapeText(from.shape)}, ${adapter.path} is for ${shapeText(shape)}${isTable ? '; give the base as many rows first (resize_token_embeddings), as PEFT wants it too' : ''}`,
  )
}

/** A change from the new weights. */
function replacing(name: string, from: CheckpointTensor, values: AdapterChange['values']): AdapterChange {
  return {
    name,
    shape: from.shape,
    from,
    values,
    change(start, count) {
      const [old, now] = [from.f32(start, count), values(start, count)]
      return now.map((value, i) => value - old[i]!)
    },
  }
}

/** A change from the difference; `stored`: what it is added to, where the adapter keeps it. */
function adding(
  name: string,
  from: CheckpointTensor,
  difference: (start: number, count: number) => Float32Array,
  stored: CheckpointTensor | undefined,
): AdapterChange {
  return {
    name,
    shape: from.shape,
    from,
    values(start, count) {
      const [old, by] = [(stored ?? from).f32(start, count), difference(start, count)]
      return old.map((value, i) => value + by[i]!)
    },
    change(start, count) {
      const by = difference(start, count)
      if (!stored) return by
      // as a rule the base's own values: then nothing is added
      const [old, kept] = [from.f32(start, count), stored.f32(start, count)]
      return by.map((value, i) => value + (kept[i]! - old[i]!))
    },
  }
}

/** DoRA: m/‖W + ΔW‖ ⊙ (W + ΔW), the norm over the inputs of each output (Liu et al. 2024, arXiv:2402.09353). */
function withMagnitude(
  { adapter }: Bases,
  plain: AdapterChange,
  magnitude: CheckpointTensor,
  isTransposed: boolean,
): AdapterChange {
  const { name, shape, from } = plain
  const total = elements(shape)
  const outputs = isTransposed ? shape.at(-1)! : shape[0]!
  if (elements(magnitude.shape) !== outputs)
    fail(
      'TL_BAD_FILE',
      `${adapter.path}: ${name}: lora_magnitude_vector of shape ${shapeText(magnitude.shape)}, expected ${outputs} values`,
    )
  const outputOf = (at: number): number => (isTransposed ? at % outputs : Math.floor(at / (total / outputs)))
  let factors: Float64Array | undefined
  const factorsOf = (): Float64Array => {
    if (factors) return factors
    const squares = new Float64Array(outputs)
    for (let start = 0; start < total; start += PIECE) {
      const values = plain.values(start, Math.min(PIECE, total - start))
      for (let i = 0; i < values.length; i++) squares[outputOf(start + i)]! += values[i]! * values[i]!
    }
    const magnitudes = magnitude.f32()
    factors = squares.map((sum, i) => magnitudes[i]! / Math.sqrt(sum))
    return factors
  }
  return replacing(name, from, (start, count) => {
    const by = factorsOf()
    return plain.values(start, count).map((value, i) => value * by[outputOf(start + i)]!)
  })
}

/** Do the base's layers store `[in, out]`? The shape says so, and for square layers the architecture. */
function orientation(
  { adapter, isConv1d }: Bases,
  { module, a, b, isEmbedding }: Factors,
  from: CheckpointTensor,
): boolean {
  if (isEmbedding) return true
  if (a.shape.length > 2 || isHeadModule(module)) return false
  const [outputs, inputs] = [b.shape[0]!, a.shape[1]!]
  if (outputs !== inputs) return from.shape[0] === inputs && from.shape[1] === outputs
  return isConv1d || (adapter.settings.isTransposed && !isKnownLinear(module))
}

/** Projections whose layers are linear in every architecture. */
const isKnownLinear = (module: string): boolean => /\.(q|k|v|o|gate|up|down)_proj$/.test(module)

function factorChange(bases: Bases, factors: Factors): AdapterChange {
  const { adapter } = bases
  const { module } = factors
  const { name, from } = baseOf(bases, `${module}.weight`)
  const isTransposed = orientation(bases, factors, from)
  const delta: LowRankDelta = lowRank(adapter.path, factors, name, isTransposed)
  checkShape(bases, name, from, delta.shape)
  const stored = adapter.saved.get(`${module}.weight`)
  if (stored) checkShape(bases, name, from, stored.shape)
  const plain = adding(name, from, (start, count) => deltaElements(delta, start, count), stored)
  const magnitude = adapter.magnitudes.get(module)
  return magnitude ? withMagnitude(bases, plain, magnitude, isTransposed) : plain
}

/** `lora_bias`: s · bias of B, added to the layer's bias. */
function biasChange(bases: Bases, module: string, bias: CheckpointTensor): AdapterChange {
  const { adapter, base, nameOf } = bases
  const name = nameOf(`${module}.bias`)
  const from = base.tensors.get(name)
  if (!from)
    return fail(
      'TL_UNSUPPORTED',
      `${adapter.path}: lora_bias: it trains a bias of ${module}, which has none in ${base.path}: such an adapter cannot be merged, with PEFT neither`,
    )
  checkShape(bases, name, from, bias.shape)
  const { scale } = adapter.factors.get(module)!
  const by = (start: number, count: number): Float32Array =>
    bias.f32(start, count).map((value) => scale * value)
  return adding(name, from, by, undefined)
}

/** Rows of an embedding that take the place of the base's. */
function tokenChange(
  bases: Bases,
  module: string,
  { ids, rows }: { ids: readonly number[]; rows: CheckpointTensor },
): AdapterChange {
  const { adapter } = bases
  const { name, from } = baseOf(bases, `${module}.weight`)
  const [count = 0, width = 0] = from.shape
  if (rows.shape[1] !== width || ids.some((id) => id >= count))
    fail(
      'TL_SHAPE_MISMATCH',
      `${name}: ${bases.base.path} has shape ${shapeText(from.shape)}, ${adapter.path} has rows of ${rows.shape[1]} values up to token ${Math.max(...ids)}`,
    )
  const stored = adapter.saved.get(`${module}.weight`)
  if (stored) checkShape(bases, name, from, stored.shape)
  const rowOf = new Map(ids.map((id, row) => [id, row]))
  return replacing(name, from, (start, length) => {
    const values = (stored ?? from).f32(start, length)
    for (let row = Math.floor(start / width); row * width < start + length; row++) {
      const own = rowOf.get(row)
      if (own === undefined) continue
      const [first, last] = [Math.max(start, row * width), Math.min(start + length, (row + 1) * width)]
      values.set(rows.f32(own * width + first - row * width, last - first), first - start)
    }
    return values
  })
}

/** A tied head that stays what it was while its embedding changes: it needs a place of its own. */
const unchanged = (name: string, from: CheckpointTensor): AdapterChange => ({
  name,
  shape: from.shape,
  from,
  values: (start, count) => from.f32(start, count),
  change: (_, count) => new Float32Array(count),
})

/** The head of a base that does not store it, when the embedding changes and the head does not follow. */
function ownHead(
  bases: Bases,
  changes: readonly AdapterChange[],
  followers: ReadonlySet<string>,
): AdapterChange[] {
  const { adapter, base } = bases
  const table = embeddings.find((name) => base.tensors.has(name))
  if (table === undefined || !isTiedHead(base)) return []
  const head = changes.find(({ name }) => isHead(name) && !base.tensors.has(name))
  const follows = followers.has(table) || adapter.settings.isTied
  if (head && followers.has(table))
    fail(
      'TL_UNSUPPORTED',
      `${adapter.path}: it trains rows of ${table} and a head that is tied to it; merge it with PEFT first`,
    )
  if (head || follows || !changes.some(({ name }) => name === table)) return []
  return [unchanged('lm_head.weight', base.tensors.get(table)!)]
}

/** GPT-2's layers: the joint projection of attention is wider than high only when it is stored as `[in, out]`. */
function storesConv1d({ tensors }: Checkpoint): boolean {
  for (const { name, shape } of tensors.values())
    if (/\.(c_attn|c_fc)\.weight$/.test(name) && shape.length === 2 && shape[0] !== shape[1])
      return shape[1]! > shape[0]!
  return false
}

/**
 * What an adapter changes in a base model, under the base's names, as PEFT applies it. Where a base ties its head to the
 * embedding and the adapter changes one of both, the head becomes a tensor of its own, as it is while the adapter is
 * attached. Throws TL_SHAPE_MISMATCH for another architecture, TL_UNSUPPORTED for what cannot be merged.
 */
export function adapterChanges(adapter: Adapter, base: Checkpoint): AdapterChange[] {
  const { factors, biases, replaced, tokens, saved } = adapter
  const parts = [
    ...[...factors.keys(), ...tokens.keys()].map((module) => `${module}.weight`),
    ...[...biases.keys()].map((module) => `${module}.bias`),
    ...replaced.keys(),
    ...saved.keys(),
  ]
  const names = alignedNames(parts, base.tensors)
  const bases: Bases = {
    adapter,
    base,
    nameOf: (name) => names.get(name) ?? name,
    isConv1d: storesConv1d(base),
  }
  // a head that is tied to its embedding and trained with it stays tied
  const isFollowing = (module: string): boolean =>
    adapter.settings.isTied && isTiedHead(base) && isHead(`${module}.weight`)
  const changes = [
    ...[...factors.values()]
      .filter(({ module }) => !isFollowing(module))
      .map((one) => factorChange(bases, one)),
    ...[...biases].map(([module, bias]) => biasChange(bases, module, bias)),
    ...[...tokens].map(([module, one]) => tokenChange(bases, module, one)),
    ...[...replaced].map(([name, tensor]) => {
      const { name: own, from } = baseOf(bases, name)
      checkShape(bases, own, from, tensor.shape)
      return replacing(own, from, (start, count) => tensor.f32(start, count))
    }),
  ]
  const twice = changes.find(({ name }, i) => changes.findIndex((other) => other.name === name) < i)
  if (twice)
    fail('TL_UNSUPPORTED', `${adapter.path}: it changes ${twice.name} in two ways; merge it with PEFT first`)
  const followers = new Set([...tokens.keys()].map((module) => bases.nameOf(`${module}.weight`)))
  return [...changes, ...ownHead(bases, changes, followers)]
}
