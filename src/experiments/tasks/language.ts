/**
 * @file Tasks of a language model: the top blocks are the encoder, the last norm and the head are frozen, and everything below is run
 * once. A task is a list of sequences and what comes next at some of their tokens.
 */
import { fail } from '../../base/index.ts'
import {
  applyBlocks,
  applyLinear,
  type LanguageModel,
  normalize,
  packedLayout,
  type TopBlocks,
  topOf,
} from '../../lm/index.ts'
import type { Parameters } from '../../nn/index.ts'
import { heap, type Tensor, type Tree, tensor } from '../../tensor/index.ts'
import { type Batch, type Split, splits, type Task, type TaskFamily } from './family.ts'
import { redrawn } from './vectors.ts'

/** Tokens, and the ones whose next token is asked for: label i follows token rows[i]. */
export interface Sequence {
  readonly ids: readonly number[]
  readonly rows: readonly number[]
  readonly labels: readonly number[]
}

export interface SequenceTask {
  readonly name: string
  readonly sequences: Readonly<Record<Split, readonly Sequence[]>>
}

interface LanguageOptions {
  readonly model: LanguageModel
  /** How many of the last blocks are the encoder. */
  readonly blocks: number
  readonly tasks: readonly SequenceTask[]
  /** Judged by exp of the mean log p of what comes next: one over the perplexity. */
  readonly control: SequenceTask
  readonly title: string
  readonly signal?: AbortSignal
}

/** A sequence with the stream [tokens, width] that enters the first trainable block. */
interface Cached extends Sequence {
  readonly stream: Float32Array
}

/** Sequences of one call of the frozen blocks. */
const together = 16
/** Tokens of a batch are filled up to a multiple of this, so that few programs serve all batches. */
const step = 64

/** The streams of all sequences: in batches of like length, padded on the right, which no token of a causal model sees. */
async function streamsOf(
  { model, signal }: LanguageOptions,
  from: number,
  sequences: readonly Sequence[],
): Promise<Cached[]> {
  const { width } = model.config
  const alone = ({ ids }: Sequence): Float32Array =>
    model.weights.embed(
      ids,
      ids.map((_, t) => t),
    )
  if (from === 0) return sequences.map((own) => ({ ...own, stream: alone(own) }))
  const below = await model.segment({ from: 0, to: from })
  const found = new Array<Cached>(sequences.length)
  const order = sequences.map((_, i) => i).sort((a, b) => sequences[a]!.ids.length - sequences[b]!.ids.length)
  try {
    for (let at = 0; at < order.length; at += together) {
      if (signal?.aborted) fail('TL_INTERRUPTED', 'interrupted')
      const group = order.slice(at, at + together)
      const tokens = sequences[group.at(-1)!]!.ids.length
      const ids = group.flatMap((i) => Array.from({ length: tokens }, (_, t) => sequences[i]!.ids[t] ?? 0))
      const last = Int32Array.from(group, (i) => sequences[i]!.ids.length - 1)
      const { x } = await below.run({ ids, last, kvCache: below.kvCache(group.length, tokens) })
      for (const [b, i] of group.entries()) {
        const begin = b * tokens * width
        const stream = x!.slice(begin, begin + sequences[i]!.ids.length * width)
        found[i] = { ...sequences[i]!, stream }
      }
    }
  } finally {
    below.dispose()
  }
  return found
}

/** Sequences laid end to end, in arrays of `tokens` and `rows`; what is left of them is filled with a sequence of zeros. */
function packed(
  { config, weights }: LanguageModel,
  group: readonly Cached[],
  tokens: number,
  rows: number,
): Batch {
  const { width, headSlots } = config
  const lengths = group.map(({ ids }) => ids.length)
  const used = lengths.reduce((a, b) => a + b, 0)
  const x = new Float32Array(tokens * width)
  const pick = new Float32Array(rows * tokens)
  const [labels, counts] = [new Int32Array(rows), new Float32Array(rows)]
  let [token, row] = [0, 0]
  for (const own of group) {
    x.set(own.stream, token * width)
    for (const [i, at] of own.rows.entries()) {
      pick[row * tokens + token + at] = 1
      labels[row] = own.labels[i]!
      counts[row++] = 1
    }
    token += own.ids.length
  }
  // rows that nobody asks for look at the first token, so that no softmax is empty
  for (let r = row; r < rows; r++) pick[r * tokens] = 1
  const filled = tokens > used ? [...lengths, ...Array<number>(tokens - used).fill(1)] : lengths
  const { mask, cos, sin } = packedLayout(config, filled, weights.frequencyFactors)
  const half = [tokens, headSlots / 2]
  return {
    inputs: {
      x: tensor(x, { shape: [tokens, width] }),
      mask: tensor(mask, { shape: [tokens, tokens] }),
      pick: tensor(pick, { shape: [rows, tokens] }),
      ...(cos && sin && { cos: tensor(cos, { shape: half }), sin: tensor(sin, { shape: half }) }),
    },
    labels: tensor(labels),
    weights: tensor(counts),
  }
}

interface LanguageInputs {
  readonly x: Tensor
  readonly mask: Tensor
  readonly pick: Tensor
  readonly cos?: Tensor
  readonly sin?: Tensor
}

/** The family. Weights are read and everything below the encoder is run now; the model stays the caller's. */
export async function languageFamily(options: LanguageOptions): Promise<TaskFamily> {
  const { model, blocks: count, tasks, control, title } = options
  const { config } = model
  if (!(Number.isInteger(count) && count >= 1 && count <= config.layers))
    fail(
      'TL_BAD_CONFIG',
      `config.blocks: expected 1 to ${config.layers}, the blocks of the model, got ${count}`,
    )
  const from = config.layers - count
  const { blocks, last, head: own } = topOf(model, from, { memory: heap, turned: true })
  const head = { norm: own.norm, weight: own.head.weight as Tensor } as unknown as Tree<Tensor>
  const { isTurned } = own.head
  const all = [...tasks, control]
  const cached = await streamsOf(
    options,
    from,
    all.flatMap(({ sequences }) => splits.flatMap((split) => sequences[split])),
  )
  const made = all.map(({ name, sequences }): Task => {
    const parts = Object.fromEntries(
      splits.map((split) => [split, cached.splice(0, sequences[split].length)]),
    ) as Record<Split, Cached[]>
    return {
      ...{ name, head, width: config.width },
      counts: Object.fromEntries(splits.map((split) => [split, parts[split].length])) as Task['counts'],
      batches(split, groups) {
        const of = (group: ArrayLike<number>): Cached[] => Array.from(group, (i) => parts[split][i]!)
        const most = (size: (own: Cached) => number): number =>
          Math.max(...groups.map((group) => of(group).reduce((n, one) => n + size(one), 0)))
        const tokens = Math.ceil(most(({ ids }) => ids.length) / step) * step
        const rows = most((one) => one.rows.length)
        return (index) => packed(model, of(groups[index]!), tokens, rows)
      },
    }
  })
  const pretrained = { blocks, ...(last && { last }) } as unknown as Parameters
  return {
    ...{ title, pretrained, tasks: made.slice(0, -1) },
    features: (parameters, inputs) => {
      const { x, pick, ...layout } = inputs as unknown as LanguageInputs
      return applyBlocks(config, parameters as unknown as TopBlocks, x, layout, pick)
    },
    logits: (z, given) => {
      const { norm, weight } = given as unknown as { norm: typeof own.norm; weight: Tensor }
      return applyLinear({ weight, ...(isTurned && { isTurned }) }, normalize(config, norm, z))
    },
    control: { ...made.at(-1)!, score: 'likelihood' },
    random: (key) => redrawn(pretrained, key),
  }
}
