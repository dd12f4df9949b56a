/**
 * @file The model in two pieces, cut behind the block whose down projection is edited. Every edit of that projection is a
 * change of the stream between the pieces, so the lower piece never depends on edits, and training needs derivatives of the
 * upper piece alone. Where several projections are edited the lower piece is cut behind each of them.
 */
import { fail } from '../../../base/index.ts'
import {
  applyWhole,
  type KvCache,
  type LanguageModel,
  type Segment,
  wholeWeights,
} from '../../../lm/index.ts'
import {
  add,
  type Compiled,
  compile,
  crossEntropy,
  exp,
  linear,
  logSoftmax,
  matmul,
  mul,
  sliceAxis,
  sub,
  sum,
  type Tensor,
  tensor,
  valueAndGradWithAux,
} from '../../../tensor/index.ts'

/** A text on its way through both pieces, or several of one length. */
export interface Text {
  /** Tokens of each taken in so far. */
  readonly length: number
  readonly lower: readonly KvCache[]
  readonly upper: KvCache
}

/** Some tokens behind a block whose down projection is edited. */
export interface Between {
  /** Inputs of the down projection, [tokens, hidden]. */
  readonly a: Float32Array
  /** The stream that leaves the block, unedited, [tokens, width]. */
  readonly x: Float32Array
}

/** One prediction of a loss: row `at` (sequence · length + place) is to give `label`. */
export interface Wanted {
  readonly at: number
  readonly label: number
  readonly weight: number
}

/** Stay near a distribution: weight · KL(p ‖ initial) with p at row `at`, in nats. */
interface Stay {
  readonly at: number
  readonly initial: Float32Array
  readonly weight: number
}

interface Slope {
  /** Cross-entropy of each prediction wanted, in nats. */
  readonly losses: Float32Array
  /** KL(p ‖ initial), 0 where nothing is to stay. */
  readonly divergence: number
  /** d (Σ weight · loss + weight · KL) / d stream, like the stream. */
  readonly gradient: Float32Array
}

/** Change the stream behind block `layer` in place, below the cut. */
export type Inner = (tokens: Between, layer: number) => Promise<void> | void

export interface Halves {
  readonly model: LanguageModel
  readonly layer: number
  readonly hidden: number
  readonly width: number
  /** The down projection, [hidden, width], row-major, and its bias. */
  readonly weight: Float32Array
  readonly bias: Float32Array | undefined
  /** An empty text, or several side by side (default 1). */
  text(capacity: number, batch?: number): Text
  /**
   * Take tokens in, as many of each text, one text after the other (several of several texts only at their beginning): the
   * lower piece. `inner` is called behind each inner block, in order.
   */
  below(text: Text, ids: readonly number[], inner?: Inner): Promise<Between>
  /** The upper piece on the same tokens: logits of rows (text · tokens + place), [R, vocabulary]. */
  above(text: Text, x: Float32Array, rows: readonly number[]): Promise<Float32Array>
  /** Losses of sequences from their streams [batch, length, width] and the gradient; sequences are padded on the right. */
  slope(x: Float32Array, batch: number, wanted: readonly Wanted[], stay?: Stay): Promise<Slope>
  /** a [tokens, hidden] · m [hidden, width] */
  apply(a: Float32Array, m: Float32Array): Promise<Float32Array>
  /** aᵀ g: a [tokens, hidden], g [tokens, width] ↦ [hidden, width] */
  outer(a: Float32Array, g: Float32Array): Promise<Float32Array>
  dispose(): void
}

/** Sequences are padded to a multiple of this, so that few programs are compiled. */
export const lengthStep = 16
const rowStep = 8
const upTo = (n: number, multiple: number): number => multiple * Math.ceil(n / multiple)
/** Programs kept; each holds the upper blocks. */
const most = 4

type SlopeProgram = Compiled<Tensor[], { losses: Tensor; divergence: Tensor; gradient: Tensor }>

/**
 * The model in two pieces behind block `layer`; `inner` are blocks below it, ascending, whose down projections are edited
 * too. Throws `TL_BAD_ARGUMENT` for the last block or none.
 */
export async function openHalves(
  model: LanguageModel,
  layer: number,
  inner: readonly number[] = [],
): Promise<Halves> {
  const { config, threads } = model
  const { layers, hidden, width, vocabulary } = config
  if (model.precision !== 'f32')
    fail(
      'TL_UNSUPPORTED',
      `edits are made in f32: open the model with precision "f32", not "${model.precision}"`,
    )
  if (!(Number.isInteger(layer) && layer >= 0 && layer < layers - 1))
    fail('TL_BAD_ARGUMENT', `layer: expected 0 to ${layers - 2} (the last block but one), got ${layer}`)
  const { weight, bias } = model.weights.block(layer).down
  const cuts = [...inner, layer]
  const lower: Segment[] = []
  for (const [i, cut] of cuts.entries())
    lower.push(
      await model.segment({ from: i ? cuts[i - 1]! + 1 : 0, to: cut + 1, head: false, feature: cut }),
    )
  const upper = await model.segment({ from: layer + 1 })
  let top: ReturnType<typeof wholeWeights> | undefined
  const programs = new Map<string, SlopeProgram>()
  const product = compile((a: Tensor, m: Tensor) => linear(a, m), { name: 'product', threads })
  const transposed = compile((a: Tensor, g: Tensor) => matmul(a, g, { transposeA: true }), {
    name: 'outer product',
    threads,
  })

  function slopeProgram(key: string, count: number): SlopeProgram {
    const found = programs.get(key)
    if (found) {
      programs.delete(key)
      programs.set(key, found)
      return found
    }
    top ??= wholeWeights(config, model.weights, layer + 1)
    const own = top
    const loss = (
      x: Tensor,
      rows: Tensor,
      labels: Tensor,
      weights: Tensor,
      initial?: Tensor,
      stayWeight?: Tensor,
    ): { value: Tensor; aux: { losses: Tensor; divergence: Tensor } } => {
      const logits = applyWhole(config, own, { x, rows })
      const losses = crossEntropy(sliceAxis(logits, 0, 0, count), labels)
      const value = sum(mul(losses, weights))
      if (!initial || !stayWeight) return { value, aux: { losses, divergence: sum(mul(losses, 0)) } }
      const p = logSoftmax(sliceAxis(logits, 0, count, count + 1))
      const divergence = sum(mul(exp(p), sub(p, initial)))
      return { value: add(value, sum(mul(stayWeight, divergence))), aux: { losses, divergence } }
    }
    const program = (x: Tensor, ...rest: Tensor[]) => {
      const { gradient, aux } = valueAndGradWithAux(loss as never)(
        x as never,
        ...(rest as never[]),
      ) as unknown as {
        gradient: Tensor
        aux: { losses: Tensor; divergence: Tensor }
      }
      return { ...aux, gradient }
    }
    const made = compile(program as never, {
      name: `slope above block ${layer}`,
      threads,
    }) as unknown as SlopeProgram
    programs.set(key, made)
    if (programs.size > most) {
      const [oldest, dropped] = programs.entries().next().value!
      dropped.dispose()
      programs.delete(oldest)
    }
    return made
  }

  return {
    model,
    layer,
    hidden,
    width,
    weight: (weight as Tensor).data as Float32Array,
    bias: bias?.data as Float32Array | undefined,
    text(capacity, batch = 1) {
      const caches = lower.map((piece) => piece.kvCache(batch, capacity))
      return {
        get length() {
          return caches[0]!.length
        },
        lower: caches,
        upper: upper.kvCache(batch, capacity),
      }
    },
    async below(text, ids, change) {
      const through = async (place: number, entering: { ids: readonly number[] } | { x: Float32Array }) => {
        const { feature, x } = await lower[place]!.run({ ...entering, kvCache: text.lower[place]! })
        return { a: feature!, x: x! }
      }
      let entering: { ids: readonly number[] } | { x: Float32Array } = { ids }
      for (const [place, cut] of inner.entries()) {
        const between = await through(place, entering)
        await change?.(between, cut)
        entering = { x: between.x }
      }
      return through(inner.length, entering)
    },
    async above({ upper: kvCache }, x, rows) {
      return (await upper.run({ x, kvCache, rows })).logits!
    },
    async slope(x, batch, wanted, stay) {
      const length = x.length / width / batch
      const count = upTo(wanted.length, rowStep)
      const [labels, weights] = [new Int32Array(count), new Float32Array(count)]
      const rows = new Int32Array(count + (stay ? 1 : 0))
      for (const [i, { at, label, weight: own }] of wanted.entries()) {
        rows[i] = at
        labels[i] = label
        weights[i] = own
      }
      if (stay) rows[count] = stay.at
      const program = slopeProgram(`${batch} ${length} ${count} ${stay ? 1 : 0}`, count)
      const out = await program(
        tensor(x, { shape: [batch, length, width] }),
        tensor(rows),
        tensor(labels),
        tensor(weights),
        ...(stay
          ? [tensor(stay.initial, { shape: [1, vocabulary] }), tensor(Float32Array.of(stay.weight))]
          : []),
      )
      return {
        losses: (out.losses.data as Float32Array).slice(0, wanted.length),
        divergence: stay ? (out.divergence.data as Float32Array)[0]! : 0,
        gradient: out.gradient.data as Float32Array,
      }
    },
    async apply(a, m) {
      const shape = [a.length / hidden, hidden]
      return (await product(tensor(a, { shape }), tensor(m, { shape: [hidden, width] }))).data as Float32Array
    },
    async outer(a, g) {
      const tokens = a.length / hidden
      const out = await transposed(
        tensor(a, { shape: [tokens, hidden] }),
        tensor(g, { shape: [tokens, width] }),
      )
      return out.data as Float32Array
    },
    dispose: () => {
      for (const piece of lower) piece.dispose()
      upper.dispose()
      product.dispose()
      transposed.dispose()
      for (const own of programs.values()) own.dispose()
      programs.clear()
    },
  }
}
