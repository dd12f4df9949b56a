/**
 * @file Loss of an edit and its gradient in the active rows of the residual memory. What does not change from step to step is
 * computed once: everything up to the edited block's output with the memory silent. A step goes through the blocks after it
 * only, through the last of them only where a token is to be predicted, and one program serves all lengths.
 */
import {
  type LanguageModel,
  lossAtTop,
  type ModelConfig,
  type PackedLayout,
  packedLayout,
  type Segment,
  topOf,
} from '../../lm/index.ts'
import {
  add,
  compileDynamic,
  type DynamicProgram,
  linear,
  matmul,
  openArena,
  type Sizes,
  type Spec,
  spec,
  type Tensor,
  type TypedArray,
} from '../../tensor/index.ts'

/** A text to learn: the hidden states that enter the edited block, [tokens, width], and its last tokens as the target. */
export interface TrainingExample {
  readonly hiddenStates: Float32Array
  readonly tokens: number
  /** Ids to predict, the last of which needs no row of its own: row tokens − n predicts target 0. */
  readonly target: readonly number[]
}

/** Examples made ready, for one set of active places. */
export interface Batch {
  /** Cross-entropy of every target token, example after example, in nats: written by `evaluate`. */
  readonly losses: Float32Array
  /** What each of them counts in the loss. */
  readonly weights: Float32Array
  /** ∂ Σ weights · losses / ∂ rows, [places, width]: written by `evaluate`. */
  readonly gradient: Float32Array
  /** What every token reads the memory with, [tokens, places], example after example. */
  readonly activations: Float32Array
  /**
   * Losses and gradient at rows [places, width] of the memory. With `directions` [tokens, places] these stand in the gradient
   * where `activations` do.
   */
  evaluate(rows: Float32Array, directions?: Float32Array): Promise<void>
}

interface Differentiator {
  prepare(examples: readonly TrainingExample[], places: Int32Array, denominator: 'n' | 'n+1'): Promise<Batch>
  dispose(): void
}

/** Examples that go through the program together: its inputs and outputs. */
interface Part {
  readonly sizes: Sizes
  readonly base: Float32Array
  readonly activations: Float32Array
  /** Where they begin in the activations of all. */
  readonly from: number
  readonly rest: readonly TypedArray[]
  readonly outputs: readonly Float32Array[]
}

/** Tokens that go through the blocks at once: attention is over all of them. */
const most = 512

interface Inputs {
  readonly [name: string]: Tensor
}

/** Most bytes of weights that the runtime may copy and pack for forwards and backwards: five times as many at their height. */
const mostPacked = 2 ** 29

/** Bytes in f32 of the blocks after a block, and of the head. */
function bytesAbove(
  { layers, width, hidden, heads, headSlots, keyValueHeads, vocabulary }: ModelConfig,
  layer: number,
): number {
  const block = width * (2 * heads + 2 * keyValueHeads) * headSlots + 3 * width * hidden
  return 4 * ((layers - 1 - layer) * block + vocabulary * width)
}

/** The program: rows and what was computed once ↦ gradient and losses. */
function compileGradient(model: LanguageModel, layer: number, most: number): Promise<DynamicProgram> {
  const { config } = model
  const { width, headSlots } = config
  const bytes = bytesAbove(config, layer)
  const arena = openArena(bytes)
  const isLarge = bytes > most
  const top = topOf(model, layer + 1, { memory: arena, turned: isLarge })

  const program = (inputs: Inputs): Inputs => {
    const { rows, base, activations, directions, pick, labels, share, mask, cos, sin } = inputs as {
      readonly [name: string]: Tensor
    } & Record<'rows' | 'base' | 'activations' | 'directions' | 'pick' | 'labels' | 'share' | 'mask', Tensor>
    const layout: PackedLayout = { mask, ...(cos && sin && { cos, sin }) }
    const x = add(base, linear(activations, rows))
    const { losses, gradient: moved } = lossAtTop(top, x, layout, { pick, labels, weights: share })
    return { gradient: matmul(directions, moved, { transposeA: true }), losses }
  }
  const specsAt = ({ T, R, P }: Sizes): Record<string, Spec>[] => [
    {
      rows: spec([P!, width]),
      base: spec([T!, width]),
      activations: spec([T!, P!]),
      directions: spec([T!, P!]),
      pick: spec([R!, T!]),
      labels: spec([R!], 'i32'),
      share: spec([R!]),
      mask: spec([T!, T!]),
      ...(config.rotary && { cos: spec([T!, headSlots / 2]), sin: spec([T!, headSlots / 2]) }),
    },
  ]
  return compileDynamic(program as never, specsAt as never, {
    name: `gradient of block ${layer}`,
    // sizes that no model has, so that they cannot be taken for one of its own
    samples: [
      { T: 10007, R: 10037, P: 10061 },
      { T: 10009, R: 10039, P: 10069 },
    ],
    ...{ threads: model.threads, arena },
    ...(isLarge && { given: 2 ** 12 }),
  })
}

/** Examples in groups of at most `most` tokens, in their order. */
function groupsOf(examples: readonly TrainingExample[]): TrainingExample[][] {
  const groups: TrainingExample[][] = []
  let room = 0
  for (const example of examples) {
    if (groups.length === 0 || example.tokens > room) {
      groups.push([])
      room = most
    }
    groups.at(-1)!.push(example)
    room -= example.tokens
  }
  return groups
}

/**
 * Losses and gradients of edits of a block. Programs are compiled at the first call, and kept. Weights of more than `most` bytes
 * are not packed by the runtime: the last bits are others then.
 */
export function makeDifferentiator(model: LanguageModel, layer: number, most = mostPacked): Differentiator {
  const { config, weights } = model
  const { width, hidden } = config
  let below: Promise<Segment> | undefined
  let gradients: Promise<DynamicProgram> | undefined
  const openSegment = (): Promise<Segment> => {
    below ??= model.segment({ from: layer, to: layer + 1, head: false, feature: layer })
    return below
  }
  const openProgram = (): Promise<DynamicProgram> => {
    gradients ??= compileGradient(model, layer, most)
    return gradients
  }

  /** The edited block's output with the memory silent, and the active inputs of its down projection. */
  async function fixedOf(segment: Segment, { hiddenStates, tokens }: TrainingExample, places: Int32Array) {
    const { x, feature } = await segment.run({
      x: hiddenStates,
      kvCache: segment.kvCache(1, tokens),
    })
    const active = new Float32Array(tokens * places.length)
    for (let t = 0; t < tokens; t++)
      for (let i = 0; i < places.length; i++)
        active[t * places.length + i] = feature![t * hidden + places[i]!]!
    return { base: x!, active }
  }

  return {
    async prepare(examples, places, denominator) {
      const segment = await openSegment()
      const wanted = examples.reduce((n, { target }) => n + target.length, 0)
      const shares = new Float32Array(wanted)
      const losses = new Float32Array(wanted)
      const gradient = new Float32Array(places.length * width)
      const parts: Part[] = []
      const tokens = examples.reduce((n, example) => n + example.tokens, 0)
      const all = new Float32Array(tokens * places.length)
      let [row, token] = [0, 0]
      for (const group of groupsOf(examples)) {
        const T = group.reduce((n, { tokens }) => n + tokens, 0)
        const R = group.reduce((n, { target }) => n + target.length, 0)
        const base = new Float32Array(T * width)
        const from = token * places.length
        const activations = all.subarray(from, from + T * places.length)
        token += T
        const pick = new Float32Array(R * T)
        const labels = new Int32Array(R)
        const own = shares.subarray(row, row + R)
        let [t, r] = [0, 0]
        for (const example of group) {
          const fixed = await fixedOf(segment, example, places)
          base.set(fixed.base, t * width)
          activations.set(fixed.active, t * places.length)
          t += example.tokens
          const n = example.target.length
          for (const [j, id] of example.target.entries()) {
            pick[r * T + t - n + j] = 1
            labels[r] = id
            own[r++] = 1 / (n + (denominator === 'n+1' ? 1 : 0)) / examples.length
          }
        }
        const { mask, cos, sin } = packedLayout(
          config,
          group.map(({ tokens }) => tokens),
          weights.frequencyFactors,
        )
        const whole = parts.length === 0 ? gradient : new Float32Array(gradient.length)
        parts.push({
          from,
          sizes: { T, R, P: places.length },
          ...{ base, activations },
          rest: [pick, labels, own, mask, ...(cos && sin ? [cos, sin] : [])],
          outputs: [whole, losses.subarray(row, row + R)],
        })
        row += R
      }
      return {
        losses,
        weights: shares,
        gradient,
        activations: all,
        async evaluate(rows, directions = all) {
          const program = await openProgram()
          for (const { from, sizes, base, activations, rest, outputs } of parts) {
            const own = directions.subarray(from, from + activations.length)
            await program.run(sizes, [rows, base, activations, own, ...rest], outputs)
            const [part] = outputs
            if (part !== gradient) for (let i = 0; i < gradient.length; i++) gradient[i]! += part![i]!
          }
        },
      }
    },
    dispose: () => {
      for (const one of [below, gradients]) void one?.then((own) => own.dispose()).catch(() => undefined)
      below = undefined
      gradients = undefined
    },
  }
}
