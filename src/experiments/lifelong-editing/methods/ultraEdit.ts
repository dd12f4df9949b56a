/**
 * @file UltraEdit (Gu et al. 2026): no training and no subject. At each token of the answers the input h of a down projection
 * and the gradient g of its output are normalized by statistics over all edits so far; the outputs wanted, −η ‖ĥ‖² ĝ, are
 * written by ridge regression on h.
 */
import { cholesky, fail, solveCholesky } from '../../../base/index.ts'
import type { Words } from '../../../edit/index.ts'
import type { LanguageModel } from '../../../lm/index.ts'
import { addTo, heldChanges, sideBySide } from './edited.ts'
import { type Between, openHalves } from './halves.ts'
import { type EditingMethod, type Lesson, scaledLayer, type Taught } from './method.ts'
import { makeSlopes, type Wanted } from './slope.ts'

/**
 * The published file for Mistral, which edits down projections, those of blocks 29 and 30 of 32 (other models have gates and
 * up projections edited): η, facts of a turn, which are written at once, and of a batch, whose statistics are taken at once.
 */
export const ultraEditConstants = { layer: 30, rate: 1e-6, turn: 100, batch: 10 } as const

interface UltraEditRule {
  readonly rate: number
  readonly turn: number
  readonly batch: number
}

/** The epsilon of float32, in which the published code counts. */
const epsilon = 2 ** -23

/** Mean and deviation of each column over rows that come in batches. */
interface Statistics {
  /** Take rows in, float32 [rows, columns]. */
  update(rows: Float32Array): void
  /** (x − mean) / (deviation + ε) of each row. */
  normalized(rows: Float32Array): Float64Array
}

/**
 * The published running statistics: of a batch of b rows the sum of squares counts b/(b − 1) times, for it is taken as b times
 * the unbiased variance. One row alone has none, and counts 0.
 */
export function runningStatistics(columns: number): Statistics {
  const mean = new Float64Array(columns)
  const squares = new Float64Array(columns)
  let count = 0
  return {
    update(rows) {
      const b = rows.length / columns
      const total = count + b
      for (let j = 0; j < columns; j++) {
        let [own, apart] = [0, 0]
        for (let i = j; i < rows.length; i += columns) own += rows[i]! / b
        for (let i = j; i < rows.length; i += columns) apart += (rows[i]! - own) ** 2
        const delta = own - mean[j]!
        mean[j]! += (b * delta) / total
        squares[j]! += (b > 1 ? (b * apart) / (b - 1) : 0) + (count * b * delta ** 2) / total
      }
      count = total
    },
    normalized(rows) {
      return Float64Array.from(rows, (v, i) => {
        const j = i % columns
        return (v - mean[j]!) / (Math.sqrt(squares[j]! / (count - 1 + epsilon)) + epsilon)
      })
    },
  }
}

/**
 * (HᵀH + 1)⁻¹ Hᵀ V for keys H [rows, hidden] and outputs V [rows, width], as Hᵀ (HHᵀ + 1)⁻¹ V: there are fewer rows than
 * features.
 */
export function ridge(keys: Float32Array, values: Float64Array, rows: number): Float32Array {
  const [hidden, width] = [keys.length / rows, values.length / rows]
  const gram = new Float64Array(rows * rows)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j <= i; j++) {
      let dot = i === j ? 1 : 0
      for (let k = 0; k < hidden; k++) dot += keys[i * hidden + k]! * keys[j * hidden + k]!
      gram[i * rows + j] = dot
    }
  if (cholesky(gram, rows) >= 0) fail('TL_NOT_FINITE', 'UltraEdit: the inputs of a projection are not finite')
  const solved = values.slice()
  solveCholesky(gram, rows, solved, width)
  const out = new Float64Array(hidden * width)
  for (let i = 0; i < rows; i++)
    for (let p = 0; p < hidden; p++) {
      const key = keys[i * hidden + p]!
      for (let j = 0; j < width; j++) out[p * width + j]! += key * solved[i * width + j]!
    }
  return Float32Array.from(out)
}

/** [h, g] of each row, [rows, hidden + width]. */
function featuresOf(keys: Float32Array, slopes: Float32Array, rows: number): Float32Array {
  const [hidden, width] = [keys.length / rows, slopes.length / rows]
  const out = new Float32Array(rows * (hidden + width))
  for (let i = 0; i < rows; i++) {
    out.set(keys.subarray(i * hidden, (i + 1) * hidden), i * (hidden + width))
    out.set(slopes.subarray(i * width, (i + 1) * width), i * (hidden + width) + hidden)
  }
  return out
}

/** −η ‖ĥ‖² ĝ of each row, from normalized features [rows, hidden + width]. */
export function wantedOutputs(
  features: Float64Array,
  hidden: number,
  width: number,
  rate: number,
): Float64Array {
  const columns = hidden + width
  const rows = features.length / columns
  const out = new Float64Array(rows * width)
  for (let i = 0; i < rows; i++) {
    const own = features.subarray(i * columns, (i + 1) * columns)
    let square = 0
    for (let p = 0; p < hidden; p++) square += own[p]! ** 2
    for (let j = 0; j < width; j++) out[i * width + j] = -rate * square * own[hidden + j]!
  }
  return out
}

/** Rows of several lists one after another. */
function joined(list: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(list.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const own of list) {
    out.set(own, at)
    at += own.length
  }
  return out
}

/** A fact as token ids. */
interface Example {
  readonly place: number
  readonly sequence: readonly number[]
  readonly from: number
  readonly target: readonly number[]
}

/** What one projection has at the tokens of answers: inputs [rows, hidden], and slopes of the loss in its outputs [rows, width]. */
interface Traces {
  readonly keys: Float32Array
  readonly slopes: Float32Array
}

/** The model with its edited projections, and derivatives at the outputs of each. */
export async function openTraces(model: LanguageModel, layer: number, words: Words) {
  const blocks = [layer - 1, layer].filter((block) => block >= 0)
  const plain = await openHalves(model, layer, blocks.slice(0, -1))
  const { hidden, width } = plain
  const held = heldChanges(plain, blocks, words)
  const inner = makeSlopes(model, layer)

  /** Traces of each block, and the loss of each fact, when the loss is the mean over all tokens of the answers. */
  async function trace(examples: readonly Example[]): Promise<{ traces: Traces[]; losses: number[] }> {
    const between: Between[][] = blocks.map(() => [])
    for (const { sequence } of examples) {
      const take = async (own: Between, block: number): Promise<void> => {
        await held.edit(own, blocks.indexOf(block))
        between[blocks.indexOf(block)]!.push(own)
      }
      await take(await plain.below(plain.text(sequence.length), sequence, take), layer)
    }
    const tokens = examples.reduce((sum, { target }) => sum + target.length, 0)
    const { length } = sideBySide(plain, between[0]!)
    const wanted = examples.flatMap(({ from, target }, b) =>
      target.map((label, j): Wanted => ({ at: b * length + from + j, label, weight: 1 / tokens })),
    )
    const down = held
      .changes()
      .at(-1)!
      .map((v, i) => v + plain.weight[i]!)
    const traces: Traces[] = []
    let each = new Float32Array()
    for (const [i, own] of between.entries()) {
      const { a, x, size } = sideBySide(plain, own)
      const isLast = i === blocks.length - 1
      const found = isLast
        ? await plain.slope(x, size, wanted)
        : await inner.slope(x, size, wanted, undefined, down)
      each = found.losses as typeof each
      const rowsOf = (all: Float32Array, columns: number): Float32Array =>
        joined(wanted.map(({ at }) => all.subarray(at * columns, (at + 1) * columns)))
      traces.push({ keys: rowsOf(a, hidden), slopes: rowsOf(found.gradient, width) })
    }
    let first = 0
    const losses = examples.map(({ target }) => {
      const own = each.subarray(first, first + target.length)
      first += target.length
      return own.reduce((sum, loss) => sum + loss, 0) / target.length
    })
    return { traces, losses }
  }
  return {
    ...{ blocks, hidden, width, held, trace },
    dispose: () => {
      inner.dispose()
      plain.dispose()
    },
  }
}

/** UltraEdit with another η, and other numbers of facts written at once and taken at once. */
export const ultraEditWith = ({ rate, turn, batch }: UltraEditRule): EditingMethod => ({
  name: 'ultraedit',
  title: 'UltraEdit',
  about: `down projections of blocks 29 and 30 of 32; without steps: (HᵀH + 1)⁻¹ Hᵀ V on the tokens of the answers, V = −η ‖ĥ‖² ĝ, η = ${rate}, statistics over all edits, up to ${turn} facts at once`,
  source: 'Gu et al. 2026, arXiv 2505.14679; github.com/XiaojieGu/UltraEdit config/model/mistral-7b.yaml',
  async open(model, words, { layer = scaledLayer(ultraEditConstants.layer, model.config.layers) } = {}) {
    const { blocks, hidden, width, held, trace, dispose } = await openTraces(model, layer, words)
    const { ids } = held
    let statistics = runningStatistics(hidden + width)

    const exampleOf = ({ prompt, target: text }: Lesson, place: number): Example => {
      const before = ids.promptIds(prompt)
      const target = ids.targetIds(prompt, text)
      return { place, sequence: [...before, ...target.slice(0, -1)], from: before.length - 1, target }
    }

    async function teachAll(
      lessons: readonly Lesson[],
      progress: (share: number) => void,
    ): Promise<Taught[]> {
      const examples = lessons.map(exampleOf)
      const losses = examples.map(() => 0)
      for (let first = 0; first < examples.length; first += turn) {
        // the longest first, as published: batches are of one length, nearly
        const own = examples.slice(first, first + turn).sort((a, b) => b.sequence.length - a.sequence.length)
        const all: Traces[][] = blocks.map(() => [])
        for (let from = 0; from < own.length; from += batch) {
          progress((first + from) / examples.length)
          const part = own.slice(from, from + batch)
          const found = await trace(part)
          for (const [i, { keys, slopes }] of found.traces.entries()) {
            statistics.update(featuresOf(keys, slopes, keys.length / hidden))
            all[i]!.push({ keys, slopes })
          }
          for (const [i, { place }] of part.entries()) losses[place] = found.losses[i]!
        }
        for (const [i, list] of all.entries()) {
          const keys = joined(list.map((one) => one.keys))
          const slopes = joined(list.map((one) => one.slopes))
          const rows = keys.length / hidden
          const features = statistics.normalized(featuresOf(keys, slopes, rows))
          addTo(held.changes()[i]!, ridge(keys, wantedOutputs(features, hidden, width, rate), rows))
        }
      }
      progress(1)
      return losses.map((loss) => ({ steps: 1, loss }))
    }

    return {
      layer: blocks[0],
      ...held.questions,
      teachAll,
      teach: async (lesson) => (await teachAll([lesson], () => undefined))[0]!,
      async reset() {
        statistics = runningStatistics(hidden + width)
        await held.reset()
      },
      dispose,
    }
  },
})

export const ultraEdit = ultraEditWith(ultraEditConstants)
