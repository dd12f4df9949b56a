/**
 * @file GRACE (Hartvigsen et al. 2023): a codebook of keys, the inputs of a down projection at a prompt's last token, each with
 * a radius and a trained output that replaces the projection's own there.
 */
import { type Key, random } from '../../../tensor/index.ts'
import { descend } from './adam.ts'
import { askable, batchOf } from './edited.ts'
import { openHalves } from './halves.ts'
import { type EditingMethod, scaledLayer } from './method.ts'
import type { Wanted } from './slope.ts'

const graceConstants = { layer: 27, radius: 1, rate: 1, steps: 50 } as const

export interface Entry {
  readonly key: Float32Array
  /** ε */
  radius: number
  readonly label: string
  readonly value: Float32Array
  /** The edit that made it, from 1. */
  readonly edit: number
}

const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let total = 0
  for (let i = 0; i < a.length; i++) total += (a[i]! - b[i]!) ** 2
  return Math.sqrt(total)
}

/** The nearest entry and how far it is; the first of equals. */
export function nearestEntry(
  book: readonly Entry[],
  query: ArrayLike<number>,
): { readonly entry: Entry; readonly distance: number } | undefined {
  let best: { entry: Entry; distance: number } | undefined
  for (const entry of book) {
    const own = distance(entry.key, query)
    if (!best || own < best.distance) best = { entry, distance: own }
  }
  return best
}

/**
 * Where a new edit goes: an entry of its own with radius ε₀ when nothing is within ε₀ + ε of the nearest; when another label
 * is, an entry of its own and both radii cut to half the distance; when the same label is, that entry, its radius grown to
 * reach the query. Returns the entry whose value is to be trained. Labels are compared whole (the published code compares the
 * means of their token ids).
 */
export function enterEdit(
  book: Entry[],
  query: Float32Array,
  label: string,
  edit: number,
  value: Float32Array,
): Entry {
  const near = nearestEntry(book, query)
  const own: Entry = { key: query.slice(), radius: graceConstants.radius, label, value, edit }
  if (!near || near.distance > graceConstants.radius + near.entry.radius) {
    book.push(own)
    return own
  }
  if (near.entry.label !== label) {
    own.radius = near.distance / 2
    near.entry.radius = near.distance / 2 - 1e-5
    book.push(own)
    return own
  }
  if (near.distance > near.entry.radius) near.entry.radius = near.distance
  return near.entry
}

export const grace: EditingMethod = {
  name: 'grace',
  title: 'GRACE',
  about:
    'codebook on the down projection of block 27 of 32, ε₀ = 1, values from a cold start by Adam 1.0, 50 steps; the last token of the prompt is replaced',
  source: 'Hartvigsen et al. 2023; EasyEdit hparams/GRACE/llama-7b.yaml',
  async open(
    model,
    words,
    {
      seed = 0,
      layer = scaledLayer(graceConstants.layer, model.config.layers),
      steps: most = graceConstants.steps,
    } = {},
  ) {
    const halves = await openHalves(model, layer)
    const { hidden, width } = halves
    const book: Entry[] = []
    let edits = 0
    /** Row `at` of the stream with the projection's output replaced. */
    async function replace(x: Float32Array, a: Float32Array, at: number, value: Float32Array): Promise<void> {
      const own = await halves.apply(a.slice(at * hidden, (at + 1) * hidden), halves.weight)
      for (let j = 0; j < width; j++) x[at * width + j]! += value[j]! - own[j]! - (halves.bias?.[j] ?? 0)
    }
    const { ids, ...questions } = askable(halves, words, ({ a }) => {
      const last = a.length / hidden - 1
      const near = nearestEntry(book, a.subarray(last * hidden))
      if (!near || near.distance > near.entry.radius) return null
      const { edit, value } = near.entry
      return {
        edit,
        change: (tokens, from) => (from === 0 ? replace(tokens.x, tokens.a, last, value) : undefined),
      }
    })
    return {
      layer,
      ...questions,
      async teach({ prompt, target }) {
        const { rate } = graceConstants
        const before = ids.promptIds(prompt)
        const wantedIds = ids.targetIds(prompt, target)
        const last = before.length - 1
        const { a, x } = await batchOf(halves, [[...before, ...wantedIds.slice(0, -1)]])
        const key: Key = random.foldIn(random.key(seed), ++edits)
        const query = a.slice(last * hidden, (last + 1) * hidden)
        const cold = Float32Array.from(random.sampleUniform(key, width))
        const { value } = enterEdit(book, query, wantedIds.join(' '), edits, cold)
        const wanted = wantedIds.map(
          (label, j): Wanted => ({ at: last + j, label, weight: 1 / wantedIds.length }),
        )
        let loss = 0
        const steps = await descend(value, {
          rate,
          most,
          async slope() {
            const stream = x.slice()
            await replace(stream, a, last, value)
            const { losses, gradient } = await halves.slope(stream, 1, wanted)
            loss = losses.reduce((s, l) => s + l, 0) / losses.length
            return gradient.subarray(last * width, (last + 1) * width)
          },
        })
        return { steps, loss }
      },
      reset: async () => {
        book.length = 0
        edits = 0
      },
      dispose: halves.dispose,
    }
  },
}
