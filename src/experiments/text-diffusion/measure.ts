/** @file What is measured of a network that fills in a text: its loss, and how far what it generates has the correlations of the text. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Overlap, type OverlapReference, overlaps, referenceOf } from '../../data/index.ts'
import {
  fillStrings,
  fixedMasks,
  lookSteps,
  type MaskedNetwork,
  maskedDenoiser,
  maskedLosses,
  maskedTransformer,
  meanAndError,
  trainMasked,
} from '../../diffusion/index.ts'
import { appendMetric, type Bench, type Measured, readMetrics, truncateMetrics } from '../../lab/index.ts'
import { copyParameters, saveParameters, type TransformerParameters } from '../../nn/index.ts'
import { random } from '../../tensor/index.ts'
import type { Config } from './config.ts'
import { type Corpus, type PreparedText, readCorpus, someWindows, spreadWindows, textFrom } from './corpus.ts'

export type Cell =
  /** The long training on the whole text; the first cell, so that its folder is known. */
  | { readonly part: 'steps' }
  /** The text itself: held-out windows, and the same with their symbols in random order. */
  | { readonly part: 'text'; readonly shuffled: boolean }
  /** A training on P windows. */
  | { readonly part: 'data'; readonly P: number }

/** Loss of held-out windows after so many steps, nats a symbol; the error is over windows. */
export interface LossRow {
  readonly of: 'loss'
  readonly step: number
  readonly loss: number
  readonly error: number | null
}

/** Overlap at distance r of what is generated after so many steps (0: of a text). */
export interface OverlapRow extends Overlap {
  readonly of: 'overlap'
  readonly step: number
}

/** A window that was generated. */
export interface SampleRow {
  readonly of: 'sample'
  readonly step: number
  readonly text: string
}

/** The text. */
export interface TextRow {
  readonly of: 'text'
  readonly title: string
  readonly length: number
  readonly kinds: number
  /** Loss of held-out symbols by their frequencies alone, nats. */
  readonly frequencies: number
}

export type Row = LossRow | OverlapRow | SampleRow | TextRow
export type Found<R extends Row = Row> = Measured<Cell, Row> & R

/** A corpus and what generated windows are held against. */
export interface Resource extends Corpus {
  readonly reference: OverlapReference
}

type TextBench = Bench<Config, Resource, PreparedText>

export const openCorpus = async (given: Config): Promise<Resource> => {
  const corpus = await readCorpus(given)
  const reach = Math.min(given.reach, given.data.P.length > 0 ? given.data.window - 1 : given.reach)
  return { ...corpus, reference: referenceOf(corpus.train, corpus.symbols.length, reach) }
}

/** Windows that are shown of each look. */
const shownSamples = 4

/** Steps of the long training at which it is looked at. */
export const looksOf = ({ firstLook, steps }: Pick<Config, 'firstLook' | 'steps'>): number[] => [
  ...(firstLook < steps ? lookSteps(firstLook, steps - 1, 1) : []),
  steps,
]

/** The file of the parameters at a look, in the folder of the first cell. */
export const modelFile = (step: number): string => `model-${step}.safetensors`

const stateFile = 'state.safetensors'

export type Network = MaskedNetwork<TransformerParameters>

/** The network of a config, for windows of d symbols. */
export const networkOf = (
  { width, heads, layers }: Pick<Config, 'width' | 'heads' | 'layers'>,
  v: number,
  d: number,
): Network => maskedTransformer({ v, d, width, heads, layers })

/** Mean over windows, and its standard error. */
export function lossOver(windows: ArrayLike<number>): { loss: number; error: number | null } {
  const { value, error } = meanAndError(windows)
  return { loss: value, error }
}

/** What windows [count, d] say of themselves after a step. */
const rowsOf = (
  { reference, symbols }: Resource,
  windows: Int32Array,
  d: number,
  step: number,
): (OverlapRow | SampleRow)[] => [
  ...overlaps(reference, windows, d).map((own): OverlapRow => ({ of: 'overlap', step, ...own })),
  ...Array.from(
    { length: shownSamples },
    (_, i): SampleRow => ({
      ...{ of: 'sample', step },
      text: textFrom(windows.subarray(i * d, (i + 1) * d), symbols),
    }),
  ),
]

/** Looks at networks of one shape: the loss, and what is generated. */
function looker(network: Network, { config, key, resource, signal, threads }: TextBench, samples: number) {
  const { d } = network
  const losses = maskedLosses(network, { threads })
  const denoisers = maskedDenoiser(network, { batchSize: Math.min(256, samples), threads })
  const [forMasks, forSamples] = random.split(random.foldIn(key, 4))
  return {
    async loss(parameters: TransformerParameters, held: ReturnType<typeof fixedMasks>, step: number) {
      return { of: 'loss', step, ...lossOver(await losses.of(parameters, held)) } satisfies LossRow
    },
    heldOut: (count: number) => fixedMasks(spreadWindows(resource.heldOut, count, d), d, forMasks),
    generate: async (parameters: TransformerParameters, step: number) =>
      rowsOf(
        resource,
        await fillStrings(denoisers.with(parameters), samples, {
          ...{ perStep: config.perStep, key: forSamples, signal },
        }),
        d,
        step,
      ),
    dispose() {
      losses.dispose()
      denoisers.dispose()
    },
  }
}

/** The long training, with a look at every doubling of its steps. A run that was cut goes on from its last state. */
async function overSteps(bench: TextBench): Promise<Row[]> {
  const { config, key, resource, folder, threads, signal, progress } = bench
  const network = networkOf(config, resource.symbols.length, config.window)
  const look = looker(network, bench, config.samples)
  const held = look.heldOut(config.validation)
  const [state, journal] = [join(folder, stateFile), join(folder, 'looks.jsonl')]
  // what a process wrote that was ended before its first checkpoint
  if (!existsSync(state)) truncateMetrics(journal, -1)
  let seen = ''
  try {
    await trainMasked(network, {
      ...{ source: { sequence: resource.train }, parameters: network.init(random.foldIn(key, 2)) },
      ...{ steps: config.steps, batchSize: config.batchSize, learningRate: config.learningRate },
      ...{ key: random.foldIn(key, 3), threads, signal, looks: looksOf(config), config: bench.prepared },
      checkpoint: { path: state, every: 128 },
      onResume: (step) => truncateMetrics(journal, step),
      onProgress: (share, loss) => progress(share, `loss ${loss.toFixed(3)}${seen}`),
      onLook: async (parameters, step) => {
        const rows: Row[] = [
          await look.loss(parameters, held, step),
          ...(await look.generate(parameters, step)),
        ]
        saveParameters(join(folder, modelFile(step)), parameters)
        appendMetric(journal, { step, rows })
        seen = `, held out ${(rows[0] as LossRow).loss.toFixed(3)}`
        return true
      },
    })
    return readMetrics(journal).flatMap(({ rows }) => rows as unknown as Row[])
  } finally {
    look.dispose()
  }
}

/** Training has passed its best look for good: so much later, and so much worse. */
const isPast = (best: LossRow, now: LossRow): boolean =>
  now.step > 1.6 * best.step && now.loss > 1.01 * best.loss

/** Training on P windows until held-out text is predicted worse again; what the best look generates. */
async function overData(P: number, bench: TextBench): Promise<Row[]> {
  const { config, key, resource, threads, signal, progress } = bench
  const { window, steps, learningRate, validation, samples } = config.data
  const network = networkOf(config, resource.symbols.length, window)
  const look = looker(network, bench, samples)
  const held = look.heldOut(validation)
  const rows: LossRow[] = []
  let best: { row: LossRow; parameters: TransformerParameters } | undefined
  try {
    await trainMasked(network, {
      source: { strings: someWindows(resource.train, P, window, random.foldIn(key, 1)) },
      ...{ parameters: network.init(random.foldIn(key, 2)), key: random.foldIn(key, 3) },
      ...{ steps, batchSize: config.batchSize, learningRate, weightDecay: 0, threads, signal },
      looks: lookSteps(Math.min(32, steps), steps, 4),
      onProgress: (share, loss) => progress(share, `P = ${P}, loss ${loss.toFixed(3)}`),
      onLook: async (parameters, step) => {
        const row = await look.loss(parameters, held, step)
        rows.push(row)
        if (!best || row.loss < best.row.loss) best = { row, parameters: copyParameters(parameters) }
        return !isPast(best.row, row)
      },
    })
    return [...rows, ...(await look.generate(best!.parameters, best!.row.step))]
  } finally {
    look.dispose()
  }
}

/** Held-out windows as if they were generated; or, as a control, windows of the same symbols in random order. */
function ofText(shuffled: boolean, { config, key, resource, prepared }: TextBench): Row[] {
  const { heldOut, train, symbols, title } = resource
  const d = config.window
  const count = Math.min(config.samples, Math.floor(heldOut.length / d))
  if (shuffled) {
    const order = random.samplePermutation(random.foldIn(key, 5), heldOut.length)
    return rowsOf(
      resource,
      spreadWindows(
        Uint16Array.from(order, (at) => heldOut[at]!),
        count,
        d,
      ),
      d,
      0,
    )
  }
  const counts = new Float64Array(symbols.length)
  for (const id of train) counts[id]!++
  const frequencies = heldOut.reduce(
    (sum, id) => sum - Math.log((counts[id]! + 1) / (train.length + symbols.length)),
    0,
  )
  return [
    {
      ...{ of: 'text', title, length: prepared.length, kinds: symbols.length },
      frequencies: frequencies / heldOut.length,
    },
    ...rowsOf(resource, spreadWindows(heldOut, count, d), d, 0),
  ]
}

export async function measure(cell: Cell, bench: TextBench): Promise<Row[]> {
  if (cell.part === 'steps') return overSteps(bench)
  return cell.part === 'data' ? overData(cell.P, bench) : ofText(cell.shuffled, bench)
}
