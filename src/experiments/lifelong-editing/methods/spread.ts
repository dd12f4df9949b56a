/**
 * @file What MEMIT and AlphaEdit share: a new value z of the stream behind the last of five blocks, at the subject's last
 * token, is written into the down projections of all five, each taking an equal share of what is still missing.
 */
import { addTo, heldChanges } from './edited.ts'
import { openHalves } from './halves.ts'
import { momentsOfKeys } from './keys.ts'
import { type EditingMethod, type Lesson, type MethodOptions, scaledLayer } from './method.ts'
import {
  type Anchoring,
  askedOf,
  findValue,
  normOf,
  outputOf,
  subjectToken,
  type ValueConstants,
} from './value.ts'

/** How one projection is written to: ΔW = x ⊗ r for a key k and what is to be added to k W. */
export interface Writer {
  /** x [hidden] */
  direction(key: Float64Array): Float64Array
  /** An edit is done: its key, with all edits in place. */
  done?(key: Float64Array): void
  reset?(): void
}

interface SpreadRule {
  readonly constants: ValueConstants
  /** From the second moment of the keys of block `layer`, float64 [n, n], which is not to be written to. */
  readonly writer: (moment: Float64Array, n: number, layer: number, options: MethodOptions) => Writer
  /** Changes new values before they are written. */
  readonly anchoring?: Anchoring
}

/** Published blocks 4 to 8 of 32: as many about the middle one, block 6. */
const middle = 6
const aside = 2

/** The edited blocks, ascending, when `last` is the last of them. */
const spreadBlocks = (last: number): number[] =>
  Array.from({ length: 2 * aside + 1 }, (_, i) => last - 2 * aside + i).filter((layer) => layer >= 0)

/** Two methods differ in their constants and in how a projection is written to. */
export const spreading = (
  about: Omit<EditingMethod, 'open'>,
  { constants, writer, anchoring }: SpreadRule,
): EditingMethod => ({
  ...about,
  async open(model, words, options = {}) {
    const { contexts = [], steps = constants.steps, text } = options
    const { layer = Math.min(scaledLayer(middle, model.config.layers) + aside, model.config.layers - 2) } =
      options
    const blocks = spreadBlocks(layer)
    const plain = await openHalves(model, layer, blocks.slice(0, -1))
    const { hidden, width } = plain
    const held = heldChanges(plain, blocks, words)
    const { ids, halves, edit } = held
    const anchor = await anchoring?.(plain, words, ids)
    const writers = (await momentsOfKeys(plain, blocks, words, text)).map((moment, i) =>
      writer(moment, hidden, blocks[i]!, options),
    )

    /**
     * With the edits as they are: the key of each block at the subject's last token – half of it after the bare prompt, half
     * the mean over those with a context –, and the stream behind the last block there, after the bare prompt.
     */
    async function look({ prompt, subject }: Lesson) {
      const keys = blocks.map(() => new Float64Array(hidden))
      const values: Float32Array[] = []
      for (const [i, own] of [prompt, ...contexts.map((context) => `${context} ${prompt}`)].entries()) {
        const share = contexts.length === 0 ? 1 : i === 0 ? 1 / 2 : 1 / 2 / contexts.length
        const given = ids.promptIds(own).slice(0, subjectToken(words, own, subject) + 1)
        const last = given.length - 1
        const take = (at: number, a: Float32Array): void => {
          for (let j = 0; j < hidden; j++) keys[at]![j]! += share * a[last * hidden + j]!
        }
        const tokens = await plain.below(plain.text(given.length), given, async (inner, block) => {
          take(blocks.indexOf(block), inner.a)
          await edit(inner, blocks.indexOf(block))
        })
        take(blocks.length - 1, tokens.a)
        await edit(tokens, blocks.length - 1)
        values.push(tokens.x.slice(last * width))
      }
      return { keys, value: values[0]! }
    }

    return {
      layer: blocks[0],
      ...held.questions,
      async teach(lesson) {
        const asked = await askedOf(halves, words, ids, lesson, contexts)
        const { batch, rows } = asked
        const current = batch.x.slice()
        await edit({ a: batch.a, x: current }, blocks.length - 1)
        const z = current.slice(rows[0]! * width, (rows[0]! + 1) * width)
        const own = { ...constants, steps }
        const found = await findValue(halves, asked, current, normOf(z), own)
        const changes = held.changes()
        const key = batch.a.slice(rows[0]! * hidden, (rows[0]! + 1) * hidden)
        // the projection behind the last block gives a part of z: δ is taken as what is added to that part
        const value = anchor && (await outputOf(plain, key, changes.at(-1)))
        addTo(z, value ? anchor(value, found.delta) : found.delta)
        for (const [i, { direction }] of writers.entries()) {
          const { keys, value } = await look(lesson)
          const missing = z.map((v, j) => (v - value[j]!) / (blocks.length - i))
          const x = direction(keys[i]!)
          const change = changes[i]!
          for (let p = 0; p < hidden; p++)
            for (let j = 0; j < width; j++) change[p * width + j]! += x[p]! * missing[j]!
        }
        const { keys } = await look(lesson)
        for (const [i, { done }] of writers.entries()) done?.(keys[i]!)
        return { steps: found.steps, loss: found.nll }
      },
      reset: async () => {
        await held.reset()
        for (const { reset } of writers) reset?.()
      },
      dispose: plain.dispose,
    }
  },
})
