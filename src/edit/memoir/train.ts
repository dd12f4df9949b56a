/** @file One edit: SGD on the active rows of the residual memory, through the top blocks only (arXiv 2506.07899). */
import {
  applyHead,
  block,
  causalMask,
  collapse,
  type LanguageModel,
  rotaryTables,
  wholeAttention,
} from '../../lm/index.ts'
import {
  add,
  type Compiled,
  compile,
  crossEntropy,
  div,
  gather,
  linear,
  minimum,
  mul,
  reshape,
  sliceAxis,
  sqrt,
  sub,
  sum,
  type Tensor,
  tensor,
  valueAndGradWithAux,
} from '../../tensor/index.ts'
import { type Mask, placesOf } from './masks.ts'
import type { Training } from './store/index.ts'

/** A sequence to learn: the stream that enters the edited block, [tokens, width], and its last tokens as the target. */
export interface Lesson {
  readonly stream: Float32Array
  readonly tokens: number
  /** Ids to predict, the last of which needs no row of its own stream: row tokens − n predicts target 0. */
  readonly target: readonly number[]
}

export interface Taught {
  /** Rows [places, width] after the edit. */
  readonly values: Float32Array
  readonly places: Int32Array
  readonly steps: number
  readonly losses: { readonly first: number; readonly last: number; readonly worst: number }
  readonly stopped: 'loss' | 'steps'
}

export interface Trainer {
  teach(memory: Float32Array, mask: Mask, lessons: readonly Lesson[], training: Training): Promise<Taught>
  dispose(): void
}

type Step = Compiled<Tensor[], { next: Tensor; losses: Tensor }>

const upTo = (n: number, multiple: number): number => multiple * Math.ceil(n / multiple)
/** Programs kept; each holds the top blocks. */
const most = 3

/** The trainer of a model's block. Programs are compiled for lengths in steps of 16 tokens, and kept. */
export function makeTrainer(model: LanguageModel, layer: number): Trainer {
  const { config } = model
  const { layers, width } = config
  const blocks = Array.from({ length: layers - layer }, (_, i) => model.weights.block(layer + i))
  const head = model.weights.head()
  const programs = new Map<string, Step>()

  function program(length: number): Step {
    const tables = rotaryTables(config, length, model.weights.frequencyFactors)
    const mask = tensor(causalMask(length, config.window), { shape: [length, length] })
    const attention = wholeAttention(config, { ...tables, mask })
    const forward = (
      rows: Tensor,
      x: Tensor,
      places: Tensor,
      at: Tensor,
      labels: Tensor,
      weights: Tensor,
    ) => {
      let stream = { x } as Parameters<typeof collapse>[0]
      for (const [i, own] of blocks.entries()) {
        const down =
          i === 0
            ? (a: Tensor, plain: (a: Tensor) => Tensor): Tensor =>
                add(plain(a), linear(gather(a, places, -1), rows))
            : undefined
        stream = block(config, own, stream, layer + i, attention, down).stream
      }
      const whole = collapse(stream)
      const flat = reshape(whole, [whole.shape[0]! * whole.shape[1]!, width])
      const losses = crossEntropy(applyHead(config, head, gather(flat, at, 0)), labels)
      return { value: sum(mul(losses, weights)), aux: losses }
    }
    const step = (...args: Tensor[]): { next: Tensor; losses: Tensor } => {
      const [rows, x, places, at, labels, weights, settings] = args as [
        Tensor,
        Tensor,
        Tensor,
        Tensor,
        Tensor,
        Tensor,
        Tensor,
      ]
      const { gradient, aux } = valueAndGradWithAux(forward)(rows, x, places, at, labels, weights)
      const setting = (i: number): Tensor => reshape(sliceAxis(settings, 0, i, i + 1), [])
      const [rate, clip, decay] = [setting(0), setting(1), setting(2)]
      const norm = sqrt(sum(mul(gradient, gradient)))
      const clipped = mul(gradient, minimum(1, div(clip, add(norm, 1e-6))))
      return { next: sub(rows, mul(rate, add(clipped, mul(decay, rows)))), losses: aux }
    }
    return compile(step as never, {
      name: `edit of block ${layer}`,
      threads: model.threads,
    }) as unknown as Step
  }
  function programFor(key: string, length: number): Step {
    const found = programs.get(key) ?? program(length)
    programs.delete(key)
    programs.set(key, found)
    if (programs.size > most) {
      const [oldest, own] = programs.entries().next().value!
      own.dispose()
      programs.delete(oldest)
    }
    return found
  }

  return {
    async teach(memory, mask, lessons, training) {
      const places = placesOf(mask)
      const longest = upTo(Math.max(...lessons.map(({ tokens }) => tokens)), 16)
      const wanted = lessons.reduce((n, { target }) => n + target.length, 0)
      const room = upTo(wanted, 4)
      const x = new Float32Array(lessons.length * longest * width)
      const [at, labels, weights] = [new Int32Array(room), new Int32Array(room), new Float32Array(room)]
      let row = 0
      for (const [b, { stream, tokens, target }] of lessons.entries()) {
        x.set(stream, b * longest * width)
        const n = target.length
        for (let j = 0; j < n; j++, row++) {
          at[row] = b * longest + tokens - n + j
          labels[row] = target[j]!
          weights[row] = 1 / (n + (training.denominator === 'n+1' ? 1 : 0)) / lessons.length
        }
      }
      const step = programFor(`${lessons.length} ${longest} ${room}`, longest)
      const { rate, clip, decay, maxSteps, stop } = training
      const fixed = [
        tensor(x, { shape: [lessons.length, longest, width] }),
        tensor(places),
        tensor(at),
        tensor(labels),
        tensor(weights),
        tensor(Float32Array.of(rate, clip, decay.of === 'none' ? 0 : decay.rate)),
      ]
      let rows = new Float32Array(places.length * width)
      for (const [i, place] of places.entries())
        rows.set(memory.subarray(place * width, (place + 1) * width), i * width)
      const history: number[] = []
      let [worst, steps, before] = [0, 0, 0]
      let stopped: Taught['stopped'] = 'steps'
      for (;;) {
        const out = await step(tensor(rows, { shape: [places.length, width] }), ...fixed)
        const losses = (out.losses.data as Float32Array).subarray(0, wanted)
        const published = losses.reduce((s, l, i) => s + l * weights[i]!, 0)
        worst = Math.max(...losses)
        history.push(losses.reduce((a, b) => a + b, 0) / wanted)
        if (steps === maxSteps) break
        if (stop.rule === 'loss' && worst < stop.loss) {
          stopped = 'loss'
          break
        }
        rows = (out.next.data as Float32Array).slice()
        steps++
        // published: looks after the step, at the loss before it
        if (stop.rule === 'published' && Math.abs(published - before) <= 1e-4 && published <= 0.02) {
          stopped = 'loss'
          break
        }
        before = published
      }
      const taught = { steps, losses: { first: history[0]!, last: history.at(-1)!, worst }, stopped }
      if (decay.of !== 'dense') return { places, values: rows, ...taught }
      // weight decay of the optimizer reaches every row, also those of other edits
      const whole = memory.slice()
      const factor = Math.fround(rate * decay.rate)
      for (let s = 0; s < steps; s++)
        for (let i = 0; i < whole.length; i++) whole[i] = whole[i]! - Math.fround(factor * whole[i]!)
      for (const [i, place] of places.entries())
        whole.set(rows.subarray(i * width, (i + 1) * width), place * width)
      return { places: Int32Array.from({ length: config.hidden }, (_, i) => i), values: whole, ...taught }
    },
    dispose: () => {
      for (const own of programs.values()) own.dispose()
      programs.clear()
    },
  }
}
