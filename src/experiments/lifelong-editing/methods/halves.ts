/**
 * @file The model in two pieces, cut behind the block whose down projection is edited. Every edit of that projection is a
 * change of the stream between the pieces, so the lower piece never depends on edits, and training needs derivatives of the
 * upper piece alone. Where several projections are edited the lower piece is cut behind each of them.
 */
import { fail } from '../../../base/index.ts'
import type { KvCache, LanguageModel, Segment } from '../../../lm/index.ts'
import { compile, linear, matmul, type Tensor, tensor } from '../../../tensor/index.ts'
import { makeSlopes, type Slopes } from './slope.ts'

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
  readonly slope: Slopes['slope']
  /** a [tokens, hidden] · m [hidden, width] */
  apply(a: Float32Array, m: Float32Array): Promise<Float32Array>
  /** aᵀ g: a [tokens, hidden], g [tokens, width] ↦ [hidden, width] */
  outer(a: Float32Array, g: Float32Array): Promise<Float32Array>
  dispose(): void
}

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
  const { layers, hidden, width } = config
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
  const slopes = makeSlopes(model, layer + 1)
  const product = compile((a: Tensor, m: Tensor) => linear(a, m), { name: 'product', threads })
  const transposed = compile((a: Tensor, g: Tensor) => matmul(a, g, { transposeA: true }), {
    name: 'outer product',
    threads,
  })

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
    slope: slopes.slope,
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
      slopes.dispose()
    },
  }
}
