/** @file The loss of wanted predictions and its gradient in the stream that enters the upper piece of a model. */
import {
  type LanguageModel,
  lossAtTop,
  type PackedLayout,
  packedLayout,
  type Top,
  topOf,
} from '../../../lm/index.ts'
import {
  compileDynamic,
  type DynamicProgram,
  type Sizes,
  type Spec,
  spec,
  type Tensor,
  type TypedArray,
} from '../../../tensor/index.ts'

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

interface Inputs {
  readonly [name: string]: Tensor
}

/** What a program takes besides the stream: something that stays, the down projection of its first block. */
interface Takes {
  readonly stays: boolean
  readonly down: boolean
}

/** The top with another matrix as the down projection of its first block. */
function withDown(top: Top, down: Tensor | undefined): Top {
  const [first, ...others] = top.blocks
  if (!down || !first) return top
  const { bias } = first.down
  return { ...top, blocks: [{ ...first, down: { weight: down, ...(bias && { bias }) } }, ...others] }
}

/** A program for every number of tokens and of predictions. */
function compileSlope(model: LanguageModel, from: number, takes: Takes): Promise<DynamicProgram> {
  const { config } = model
  const { width, hidden, headSlots, vocabulary } = config
  const top = topOf(model, from)
  const program = (inputs: Inputs): Inputs => {
    const { x, pick, labels, weights, mask, cos, sin, initial, stayWeights, down } = inputs as Record<
      string,
      Tensor
    > &
      Record<'x' | 'pick' | 'labels' | 'weights' | 'mask', Tensor>
    const layout: PackedLayout = { mask, ...(cos && sin && { cos, sin }) }
    const stay = initial && stayWeights && { initial, weights: stayWeights }
    return { ...lossAtTop(withDown(top, down), x, layout, { pick, labels, weights, ...(stay && { stay }) }) }
  }
  const specsAt = ({ T, R }: Sizes): Record<string, Spec>[] => [
    {
      x: spec([T!, width]),
      pick: spec([R!, T!]),
      labels: spec([R!], 'i32'),
      weights: spec([R!]),
      mask: spec([T!, T!]),
      ...(config.rotary && { cos: spec([T!, headSlots / 2]), sin: spec([T!, headSlots / 2]) }),
      ...(takes.down && { down: spec([hidden, width]) }),
      ...(takes.stays && { initial: spec([1, vocabulary]), stayWeights: spec([R!]) }),
    },
  ]
  return compileDynamic(program as never, specsAt as never, {
    name: `slope above block ${from - 1}`,
    // sizes that no model has, so that they cannot be taken for one of its own
    samples: [
      { T: 10007, R: 10037 },
      { T: 10009, R: 10039 },
    ],
    threads: model.threads,
  })
}

export interface Slopes {
  /**
   * Losses of sequences from their streams [batch, length, width] and the gradient; sequences are padded on the right. With
   * `down` [hidden, width] the down projection of block `from`, which is not the last, is another one.
   */
  slope(
    x: Float32Array,
    batch: number,
    wanted: readonly Wanted[],
    stay?: Stay,
    down?: Float32Array,
  ): Promise<Slope>
  dispose(): void
}

/** Slopes in the stream that enters block `from`. A program is compiled at its first use. */
export function makeSlopes(model: LanguageModel, from: number): Slopes {
  const { config, weights } = model
  const programs = new Map<string, Promise<DynamicProgram>>()
  const programOf = (takes: Takes): Promise<DynamicProgram> => {
    const key = JSON.stringify(takes)
    if (!programs.has(key)) programs.set(key, compileSlope(model, from, takes))
    return programs.get(key)!
  }
  return {
    async slope(x, batch, wanted, stay, down) {
      const tokens = x.length / config.width
      const lengths = Array<number>(batch).fill(tokens / batch)
      const { mask, cos, sin } = packedLayout(config, lengths, weights.frequencyFactors)
      // where something is to stay, that row wants no label: its cross-entropy counts nothing
      const all: readonly Wanted[] = stay ? [...wanted, { at: stay.at, label: 0, weight: 0 }] : wanted
      const pick = new Float32Array(all.length * tokens)
      for (const [r, { at }] of all.entries()) pick[r * tokens + at] = 1
      const inputs: TypedArray[] = [
        ...[x, pick],
        Int32Array.from(all, ({ label }) => label),
        Float32Array.from(all, ({ weight }) => weight),
        ...[mask, ...(cos && sin ? [cos, sin] : [])],
      ]
      if (down) inputs.push(down)
      if (stay) inputs.push(stay.initial, new Float32Array(all.length).fill(stay.weight, wanted.length))
      const program = await programOf({ stays: stay !== undefined, down: down !== undefined })
      const found = await program.run({ T: tokens, R: all.length }, inputs)
      const of = (name: string): Float32Array => found[program.outputNames.indexOf(name)] as Float32Array
      return {
        losses: of('losses').slice(0, wanted.length),
        divergence: stay ? of('divergences').at(-1)! : 0,
        gradient: of('gradient'),
      }
    },
    dispose() {
      for (const program of programs.values())
        void program.then((own) => own.dispose()).catch(() => undefined)
      programs.clear()
    },
  }
}
