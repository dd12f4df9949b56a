/** @file Networks trained on a few strings of a grammar, looked at until they copy them; two on disjoint halves; and a kernel. */
import { eigenOf, fail } from '../../base/index.ts'
import {
  type Look,
  learningCurve,
  lookSteps,
  makeNoiseProcess,
  type NoiseProcess,
  treeUnetFor,
} from '../../diffusion/index.ts'
import { type Grammar, makeGrammar, sliceTrees, type Trees, trainTest } from '../../grammar/index.ts'
import type { Bench } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'
import { alikeTokens, type Generated, type HalvesRow, halvesOf } from '../onset/halves.ts'
import { isOver } from '../onset/times.ts'
import { type Cell, fullShape, mostSteps } from './cells.ts'
import type { Config } from './config.ts'
import { type PrototypeRow, prototypes } from './prototypes.ts'

/** One look at one network. */
export interface CurveRow {
  readonly of: 'curve'
  readonly step: number
  readonly trainingLoss: number
  readonly validationLoss: number
  /** Share of generated strings that are training strings, less what is so by chance. */
  readonly copies: number
  /** A_1 … A_L of what is generated. */
  readonly validity: readonly number[]
}

/** Gradient flow of kernel regression in closed form. */
export interface KernelRow {
  readonly of: 'kernel'
  /** Time at which half of the energy of random labels is fitted, and of a smooth label. */
  readonly random: number
  readonly smooth: number
}

export type Row = CurveRow | HalvesRow | KernelRow | PrototypeRow

interface Setting {
  readonly grammar: ReturnType<typeof makeGrammar>
  readonly noising: NoiseProcess
  readonly validation: Trees
}

/** Networks of one kind begin alike and draw alike, whatever they are trained on. */
async function curveOf(
  { grammar, noising, validation }: Setting,
  train: Trees,
  cell: Cell,
  { config, signal, progress }: Pick<Bench<Config, void>, 'config' | 'signal' | 'progress'>,
  key: random.Key,
  onLook?: (look: Look, generated: Int32Array) => void,
): Promise<Look[]> {
  const looks: Look[] = []
  const steps = mostSteps(cell, config)
  return learningCurve(grammar, treeUnetFor(grammar, { width: cell.width }), noising, {
    ...{ train, validation, steps, key, signal, threads: 1, samples: config.samples },
    ...{
      batchSize: config.batchSize,
      learningRate: config.learningRate,
      looks: lookSteps(32, steps, config.looks),
    },
    onProgress: progress,
    onLook: (look, _, generated) => {
      looks.push(look)
      onLook?.(look, generated)
      return !isOver(looks, 0.1)
    },
  })
}

/** Two networks on disjoint halves that see the same noise. */
function halves(
  setting: Setting,
  train: Trees,
  cell: Cell,
  bench: Bench<Config, void>,
  key: random.Key,
): Promise<HalvesRow[]> {
  return halvesOf([sliceTrees(train, 0, cell.P), sliceTrees(train, cell.P, 2 * cell.P)], {
    progress: bench.progress,
    ...{ size: setting.grammar.d, alike: alikeTokens },
    async train(own, progress) {
      const made: Generated<Int32Array>[] = []
      await curveOf(setting, own, cell, { ...bench, progress }, key, ({ step, copies }, generated) => {
        made.push({ step, copies, generated })
      })
      return made
    },
  })
}

/** Coordinates of the points of the kernel, and the squared length, for each of them, below which two points are near. */
const dimensions = 8
const nearness = 0.1

/**
 * P random points, and gradient flow f' = −K (f − y)/P from 0: a label's energy in the eigenvectors of K/P falls as e^{−2 λ t}. K
 * is a part that tells points apart, exp(−‖x − y‖²/(2 · 0.1 d)), and one that they share, x · y/d: the bulk of the eigenvalues is
 * near K(0)/P, the shared ones near 1/d whatever P is. (Favero et al. 2025, arXiv 2505.16959, section 3.3)
 */
function kernel(P: number, key: random.Key): KernelRow {
  const [forPoints, forLabels] = random.split(key)
  const points = random.sampleNormal(forPoints, P * dimensions)
  const labels = random.sampleNormal(forLabels, P)
  const matrix = new Float64Array(P * P)
  for (let i = 0; i < P; i++)
    for (let j = 0; j < P; j++) {
      let [squares, product] = [0, 0]
      for (let k = 0; k < dimensions; k++) {
        const [x, y] = [points[i * dimensions + k]!, points[j * dimensions + k]!]
        squares += (x - y) ** 2
        product += x * y
      }
      matrix[i * P + j] = (Math.exp(-squares / (2 * nearness * dimensions)) + product / dimensions) / P
    }
  const { values, vectors } = eigenOf(matrix, P) ?? fail('TL_NOT_FINITE', 'kernel: the points are not finite')
  const halfTime = (label: ArrayLike<number>): number => {
    const energy = Array.from(values, (_, e) => {
      let part = 0
      for (let i = 0; i < P; i++) part += vectors[e * P + i]! * label[i]!
      return part * part
    })
    const whole = energy.reduce((a, b) => a + b, 0)
    const left = (time: number): number =>
      energy.reduce((sum, part, e) => sum + part * Math.exp(-2 * values[e]! * time), 0) / whole
    // bisection of a falling function, in ln t
    let [low, high] = [Math.log(1e-3), Math.log(1e9)]
    for (let i = 0; i < 80; i++) {
      const middle = (low + high) / 2
      if (left(Math.exp(middle)) > 0.5) low = middle
      else high = middle
    }
    return Math.exp(low)
  }
  const smooth = Float64Array.from({ length: P }, (_, i) => points[i * dimensions]!)
  return { of: 'kernel', random: halfTime(labels), smooth: halfTime(smooth) }
}

/** Grammars of a replica of a cell: none of a kernel; of prototypes one more, with the same rules and Zipf productions. */
export function grammarsOf(cell: Cell, key: random.Key, { prototypes: { zipf } }: Config): Grammar[] {
  if (cell.part === 'kernel') return []
  const forGrammar = random.split(key, 3)[0]!
  const own = makeGrammar(fullShape(cell), forGrammar)
  return cell.draws ? [own, makeGrammar(fullShape(cell), forGrammar, { probabilities: { zipf } })] : [own]
}

/** Do one cell. Training sets of one grammar are nested; networks of one replica begin alike. */
export async function measure(cell: Cell, bench: Bench<Config, void>): Promise<Row[]> {
  const { config, key } = bench
  const [, forData, forTraining] = random.split(key, 3) as [random.Key, random.Key, random.Key]
  if (cell.part === 'kernel') return [kernel(cell.P, random.foldIn(forData, cell.P))]
  const [grammar, zipf] = grammarsOf(cell, key, config) as [Grammar, Grammar?]
  if (cell.draws && zipf)
    return prototypes({ ...cell, draws: cell.draws }, bench, [grammar, zipf], [forData, forTraining])
  const count = cell.part === 'halves' ? 2 * cell.P : cell.P
  const { train, test } = trainTest(grammar, forData, count, config.validation)
  const setting = { grammar, validation: test, noising: makeNoiseProcess({ steps: config.diffusionSteps }) }
  if (cell.part === 'halves') return halves(setting, train, cell, bench, forTraining)
  const looks = await curveOf(setting, train, cell, bench, forTraining)
  return looks.map(({ step, trainingLoss, validationLoss, copies, validity }) => ({
    of: 'curve',
    ...{ step, trainingLoss, validationLoss, copies, validity: validity.slice(1) },
  }))
}
