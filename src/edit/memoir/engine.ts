/** @file The model in two pieces, below the edited block and from it on, with the memory in between. */
import type { Cache, LanguageModel } from '../../lm/index.ts'

/** A text that the model has taken in, unedited, and can go on with. */
export interface Passage {
  readonly ids: number[]
  /** The stream that enters the edited block: [tokens, width] of the first call. */
  readonly stream: Float32Array
  /** Inputs of the router's block's down projection, [tokens, hidden]. */
  readonly activations: Float32Array
  /** Logits of the rows asked for, unedited. */
  readonly logits: Float32Array
  readonly lower: Cache | undefined
  readonly upper: Cache
}

export interface Engine {
  /** Take a text in with the memory silent; `room` is how many tokens may follow. */
  read(ids: readonly number[], rows: readonly number[], room?: number): Promise<Passage>
  /** The stream that enters the edited block, alone. */
  stream(ids: readonly number[]): Promise<Float32Array>
  /** Logits of rows of the whole passage again, under a mask; what follows stays under it. */
  edited(passage: Passage, mask: Float32Array, rows: readonly number[]): Promise<Float32Array>
  /** Take more tokens in under a mask (zeros: silent). */
  extend(
    passage: Passage,
    ids: readonly number[],
    mask: Float32Array,
    rows: readonly number[],
  ): Promise<Float32Array>
  dispose(): void
}

/** The engine of a model; `matrix` is the residual memory [hidden, width], read at each call. */
export async function openEngine(
  model: LanguageModel,
  layer: number,
  routerLayer: number,
  matrix: Float32Array,
): Promise<Engine> {
  const below =
    layer > 0
      ? await model.segment({ to: layer, head: false, ...(routerLayer < layer && { feature: routerLayer }) })
      : undefined
  const above = await model.segment({ from: layer, memory: layer, feature: layer })
  const silent = new Float32Array(model.config.hidden)
  const call = (tokens: number, total: number) => ({ tokens, total, last: Int32Array.of(total - 1) })

  async function lowerOf(ids: readonly number[], before: number, cache: Cache | undefined) {
    const x = model.weights.embed(
      ids,
      ids.map((_, i) => before + i),
    )
    if (!below || !cache) return { x }
    const out = await below.run({ ...call(ids.length, before + ids.length), x, cache })
    return { x: out.x!, feature: out.feature }
  }
  return {
    async read(given, rows, room = 0) {
      const capacity = given.length + room
      const lower = below?.cache(1, capacity)
      const upper = above.cache(1, capacity)
      const { x, feature } = await lowerOf(given, 0, lower)
      const memory = { matrix, mask: silent }
      const out = await above.run({ ...call(given.length, given.length), x, cache: upper, rows, memory })
      const activations = routerLayer < layer ? feature! : out.feature!
      return { ids: [...given], stream: x, activations, logits: out.logits!, lower, upper }
    },
    stream: async (ids) => (await lowerOf(ids, 0, below?.cache(1, ids.length))).x,
    async edited({ ids, stream, upper }, mask, rows) {
      const memory = { matrix, mask }
      return (await above.run({ ...call(ids.length, ids.length), x: stream, cache: upper, rows, memory }))
        .logits!
    },
    async extend({ ids, lower, upper }, given, mask, rows) {
      const { x } = await lowerOf(given, ids.length, lower)
      ids.push(...given)
      const memory = { matrix, mask }
      return (await above.run({ ...call(given.length, ids.length), x, cache: upper, rows, memory })).logits!
    },
    dispose: () => {
      below?.dispose()
      above.dispose()
    },
  }
}
