/**
 * @file WISE (Wang et al. 2024), with retrieval: edits go into a side copy W′ of a down projection, on a random part of its
 * weights; a prompt is answered by W′ when W′ moves the projection's output far enough on it. Side copies are put by from time
 * to time, and those put by are merged by TIES.
 */
import { fail } from '../../../base/index.ts'
import { mergeMethods } from '../../../merge/index.ts'
import { random } from '../../../tensor/index.ts'
import { addTo, askable, batchOf } from './edited.ts'
import { openHalves } from './halves.ts'
import { type EditingMethod, scaledLayer } from './method.ts'
import type { Wanted } from './slope.ts'

export const wiseConstants = {
  layer: 29,
  rate: 0.9,
  decay: 1e-5,
  steps: 30,
  /** Share of the weights that an edit may change. */
  share: 0.2,
  /** Largest |W′ − W|. */
  clamp: 1,
  alpha: 2,
  beta: 20,
  gamma: 10,
  actRatio: 0.5,
  /** Edits after which W′ is put by and a new one begun, and after which those are merged. */
  saveEvery: 500,
  mergeEvery: 1000,
  /** Share of a side memory's entries that a merge keeps, the largest. */
  density: 0.53,
} as const

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
const silu = (x: number): number => x * sigmoid(x)
const siluSlope = (x: number): number => {
  const s = sigmoid(x)
  return s * (1 + x * (1 - s))
}

/** ‖silu(y′) − silu(y)‖ of each row, y′ = y + moved: both [tokens, width]. */
export function activationNorms(y: Float32Array, moved: Float32Array, width: number): Float64Array {
  const out = new Float64Array(y.length / width)
  for (let t = 0; t < out.length; t++) {
    let total = 0
    for (let j = t * width; j < (t + 1) * width; j++) total += (silu(y[j]! + moved[j]!) - silu(y[j]!)) ** 2
    out[t] = Math.sqrt(total)
  }
  return out
}

/** How far a side memory moves a text: the mean of the norms; the largest for more than a hundred tokens. */
export function activation(norms: Float64Array): number {
  if (norms.length > 100) return norms.reduce((a, b) => Math.max(a, b), 0)
  return norms.reduce((a, b) => a + b, 0) / norms.length
}

interface Margins {
  readonly loss: number
  /** d loss / d activation of each text that is edited, and of the one that is not. */
  readonly inside: readonly number[]
  readonly outside: number
}

/**
 * relu(Δ_out − Δ_in + γ) + relu(Δ_out − α) + relu(β − Δ_in); over texts that are edited the mean of what is above 0, as the
 * published code takes it.
 */
export function marginLoss(inside: readonly number[], outside: number): Margins {
  const { alpha, beta, gamma } = wiseConstants
  const slopes = inside.map(() => 0)
  let [loss, outer] = [0, 0]
  const take = (terms: readonly number[], sign: { in: number; out: number }): void => {
    const active = terms.flatMap((value, i) => (value > 0 ? [i] : []))
    for (const i of active) {
      loss += terms[i]! / active.length
      slopes[i]! += sign.in / active.length
      outer += sign.out / active.length
    }
  }
  take(
    inside.map((own) => outside - own + gamma),
    { in: -1, out: 1 },
  )
  take(
    inside.map((own) => beta - own),
    { in: -1, out: 0 },
  )
  if (outside > alpha) {
    loss += outside - alpha
    outer += 1
  }
  return { loss, inside: slopes, outside: outer }
}

/** One step of SGD on W′ − W: the masked gradient, decay of all of W′, and the clamp. */
export function wiseStep(
  change: Float32Array,
  weight: Float32Array,
  gradient: Float32Array,
  mask: Uint8Array,
): void {
  const { rate, decay, clamp } = wiseConstants
  for (let i = 0; i < change.length; i++) {
    const next = change[i]! - rate * (mask[i]! * gradient[i]! + decay * (weight[i]! + change[i]!))
    change[i] = Math.max(-clamp, Math.min(clamp, next))
  }
}

interface Side {
  /** W′ − W, [hidden, width] */
  readonly change: Float32Array
  /** The least activation of its own edits. */
  least: number
}

/**
 * The side memory that answers, or undefined: the one being written when it moves the text by `actRatio` of its least; one
 * that was put by when it moves it farther than that and by `actRatio` of its own least.
 */
export function gate<S extends { readonly least: number }>(
  current: { readonly side: S; readonly moves: number },
  kept: readonly { readonly side: S; readonly moves: number }[],
): S | undefined {
  const { actRatio } = wiseConstants
  let chosen = current.moves < current.side.least * actRatio ? undefined : current.side
  let farthest = current.moves
  for (const { side, moves } of kept)
    if (moves > farthest && moves > side.least * actRatio) {
      chosen = side
      farthest = moves
    }
  return chosen
}

/** Several side memories in one, by TIES with equal weights; it answers where the first of them would have. */
export function mergeSides(sides: readonly Side[]): Side {
  const size = sides[0]!.change.length
  const parameters = { weight: 1 / sides.length, density: wiseConstants.density }
  const change = mergeMethods['ties']!.merge({
    name: 'side memory',
    shape: [size],
    base: new Float32Array(size),
    models: sides.map((side) => ({ values: side.change, parameters })),
    parameters: { normalize: true },
    key: random.key(0),
  })
  return { change, least: Math.min(...sides.map(({ least }) => least)) }
}

const emptyText = 'The weather was fine and the streets were full of people.'

/** WISE with other numbers of edits until a side copy is put by, and until those are merged: a multiple of the first. */
export const wiseWith = ({
  saveEvery,
  mergeEvery,
}: Readonly<Record<'saveEvery' | 'mergeEvery', number>>): EditingMethod => ({
  name: 'wise',
  title: 'WISE',
  about:
    'side copy of the down projection of block 29 of 32, a fifth of its weights; SGD 0.9, 30 steps, |W′ − W| ≤ 1, margins 2, 20, 10, answers at half the least activation; retrieval; put by after 500 edits, TIES 0.53 after 1000',
  source: 'Wang et al. 2024; EasyEdit hparams/WISE/llama3-8b.yaml',
  async open(
    model,
    words,
    {
      seed = 0,
      contexts = [],
      layer = scaledLayer(wiseConstants.layer, model.config.layers),
      steps: most = wiseConstants.steps,
    } = {},
  ) {
    const { share } = wiseConstants
    if (model.config.architecture.feedForward !== 'swiglu')
      fail('TL_UNSUPPORTED', `WISE: written for models with SiLU, not ${model.config.architecture.name}`)
    const halves = await openHalves(model, layer)
    const { hidden, width } = halves
    const size = hidden * width
    const fresh = (): Side => ({ change: new Float32Array(size), least: Number.POSITIVE_INFINITY })
    let current = fresh()
    let kept: Side[] = []
    let mask = new Uint8Array(size)
    let edits = 0
    const project = async (a: Float32Array): Promise<Float32Array> => {
      const y = await halves.apply(a, halves.weight)
      if (halves.bias) for (let i = 0; i < y.length; i++) y[i]! += halves.bias[i % width]!
      return y
    }
    const { ids, ...questions } = askable(halves, words, async ({ a }) => {
      if (edits === 0) return null
      const y = await project(a)
      const look = async (side: Side) => ({
        side,
        moves: activation(activationNorms(y, await halves.apply(a, side.change), width)),
      })
      const others = []
      for (const side of kept) others.push(await look(side))
      const side = gate(await look(current), others)
      if (!side) return null
      return {
        edit: 0,
        change: async (tokens) => addTo(tokens.x, await halves.apply(tokens.a, side.change)),
      }
    })
    return {
      layer,
      ...questions,
      async teach({ prompt, target, unrelated = emptyText }) {
        if (edits % saveEvery === 0) {
          const key = random.foldIn(random.key(seed), edits)
          mask = Uint8Array.from(random.sampleUniform(key, size), (u) => (u < share ? 1 : 0))
        }
        const texts = [prompt, ...contexts.map((context) => `${context} ${prompt}`)]
        const prompts = texts.map((text) => ids.promptIds(text))
        const targets = texts.map((text) => ids.targetIds(text, target))
        const sequences = [...prompts.map((p, b) => [...p, ...targets[b]!]), ids.promptIds(unrelated)]
        const batch = await batchOf(halves, sequences)
        const y = await project(batch.a)
        // one more in the denominator than the target has tokens, as the published code has it
        const wanted = prompts.flatMap((p, b) =>
          targets[b]!.map(
            (label, j, own): Wanted => ({
              at: b * batch.length + p.length - 1 + j,
              label,
              weight: 1 / (own.length + 1) / prompts.length,
            }),
          ),
        )
        let [steps, before, last, mean, inScope] = [0, 0, 1e9, 0, 0]
        for (; steps < most; steps++) {
          const moved = await halves.apply(batch.a, current.change)
          const stream = batch.x.slice()
          addTo(stream, moved)
          const { losses, gradient } = await halves.slope(stream, batch.size, wanted)
          mean = losses.reduce((s, l) => s + l, 0) / losses.length
          const norms = activationNorms(y, moved, width)
          const own = batch.tokens.map((n, b) => norms.subarray(b * batch.length, b * batch.length + n))
          const means = own.map((list) => list.reduce((s, v) => s + v, 0) / list.length)
          const inside = means.slice(0, -1)
          const margins = marginLoss(inside, means.at(-1)!)
          inScope = inside.reduce((s, v) => s + v, 0) / inside.length
          const loss = losses.reduce((s, l, i) => s + l * wanted[i]!.weight, 0) + margins.loss
          if (Math.abs(last - before) <= 1e-4 && last <= 0.02) break
          for (const [b, n] of batch.tokens.entries()) {
            const slope = (b < inside.length ? margins.inside[b]! : margins.outside) / n
            for (let t = b * batch.length; slope !== 0 && t < b * batch.length + n; t++) {
              if (!(norms[t]! > 0)) continue
              for (let j = t * width; j < (t + 1) * width; j++) {
                const next = y[j]! + moved[j]!
                gradient[j]! += ((slope * (silu(next) - silu(y[j]!))) / norms[t]!) * siluSlope(next)
              }
            }
          }
          wiseStep(current.change, halves.weight, await halves.outer(batch.a, gradient), mask)
          before = last
          last = loss
        }
        current.least = Math.min(current.least, inScope)
        edits++
        if (edits % saveEvery === 0) {
          kept.push(current)
          current = fresh()
        }
        if (edits % mergeEvery === 0) kept.push(mergeSides(kept.splice(-mergeEvery / saveEvery)))
        return { steps, loss: mean }
      },
      reset: async () => {
        current = fresh()
        kept = []
        edits = 0
      },
      dispose: halves.dispose,
    }
  },
})

export const wise = wiseWith(wiseConstants)
