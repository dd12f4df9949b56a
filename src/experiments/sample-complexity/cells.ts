/** @file Which networks are trained on which grammars with how many strings, and about how long that takes. */
import { checkShape, classificationThreshold, internalNodes, type Shape } from '../../grammar/index.ts'
import type { Config } from './config.ts'

/** A grammar; there are as many classes as symbols. */
export interface Sizes {
  readonly v: number
  readonly m: number
  readonly s: number
  readonly L: number
}

/** What is measured on `P` training strings of grammars of one shape; `test` others are tested on. */
export interface Cell extends Sizes {
  readonly part: Config['parts'][number]
  readonly rules: 'random' | 'uncorrelated'
  readonly P: number
  readonly test: number
}

export const fullShape = ({ v, m, s, L }: Sizes): Shape => ({ v, classes: v, m, s, L })

/** n_c·m^L, what thresholds are measured in. */
export const scaleOf = (sizes: Sizes): number => classificationThreshold(fullShape(sizes))

/** P_max = n_c·m^((s^L − 1)/(s − 1)). (Cagnetta et al. 2024, eq. 6) */
export const stringsOf = (sizes: Sizes): number => sizes.v * sizes.m ** internalNodes(fullShape(sizes))

/** Error of guessing: 1 − 1/n_c. */
export const chanceOf = ({ v }: Sizes): number => 1 - 1 / v

/** Training sets take at most this share of all strings, so that some are left to test on. */
const largestShare = 0.9

/** Beyond, the kernel's table of agreement patterns is too large. */
const largestKernelLeaves = 20

/** Sizes of training sets, ascending, each once. */
function trainSizes(sizes: Sizes, wanted: readonly number[]): number[] {
  const most = Math.floor(largestShare * stringsOf(sizes))
  const all = wanted.map((P) => Math.min(most, Math.max(2, Math.round(P))))
  return [...new Set(all)].sort((a, b) => a - b)
}

/** Cells of one shape: training sets in units of `unit`, one test set for all. */
function cellsOfShape(
  { testStrings }: Config,
  kind: Pick<Cell, 'part' | 'rules'> & Sizes,
  multiples: readonly number[],
  unit: number,
): Cell[] {
  const sizes = trainSizes(
    kind,
    multiples.map((multiple) => multiple * unit),
  )
  const test = Math.min(testStrings, stringsOf(kind) - sizes.at(-1)!)
  return sizes.map((P) => ({ ...kind, P, test }))
}

/** Shapes of each part. */
function shapesOf({ v, s, settings, correlations, shallow, control }: Config): Record<Cell['part'], Sizes[]> {
  const own = settings.map(({ m, L }) => ({ v, m, s, L }))
  return {
    cnn: own,
    lazy: own.filter(({ L }) => s ** L <= largestKernelLeaves),
    correlations: correlations.settings.map(({ m, L }) => ({ v: correlations.v, m, s, L })),
    shallow: shallow.sizes.map((size) => ({ v: size, m: size, s, L: 2 })),
    control: control.shapes.map((shape) => ({ v: shape.v, m: shape.v, s, L: shape.L })),
  }
}

export function cellsOf(config: Config): Cell[] {
  const { parts, multiples, correlations, shallow, control, lazy } = config
  const shapes = shapesOf(config)
  const makers: Record<Cell['part'], (sizes: Sizes) => Cell[]> = {
    cnn: (sizes) =>
      cellsOfShape(config, { part: 'cnn', rules: 'random', ...sizes }, multiples, scaleOf(sizes)),
    control: (sizes) =>
      (['random', 'uncorrelated'] as const).flatMap((rules) =>
        cellsOfShape(config, { part: 'control', rules, ...sizes }, control.multiples, scaleOf(sizes)),
      ),
    // shares of all strings in place of multiples of the scale
    shallow: (sizes) =>
      cellsOfShape(
        config,
        { part: 'shallow', rules: 'random', ...sizes },
        shallow.shares.map((share) => (share * stringsOf(sizes)) / scaleOf(sizes)),
        scaleOf(sizes),
      ),
    // the training and test sets of the CNN, where the kernel matrix is not too large
    lazy: (sizes) =>
      cellsOfShape(config, { part: 'lazy', rules: 'random', ...sizes }, multiples, scaleOf(sizes)).filter(
        ({ P }) => P <= lazy.maxStrings,
      ),
    correlations: (sizes) =>
      cellsOfShape(
        config,
        { part: 'correlations', rules: 'random', ...sizes },
        correlations.multiples,
        scaleOf(sizes),
      ),
  }
  // what takes longest first, so that no thread is left alone with it
  const order = ['cnn', 'control', 'lazy', 'shallow', 'correlations'] as const
  return order.filter((part) => parts.includes(part)).flatMap((part) => shapes[part].flatMap(makers[part]))
}

/** Throws TL_BAD_CONFIG for impossible sizes, before the first hour of training. */
export function checkConfig(config: Config): void {
  const shapes = shapesOf(config)
  for (const part of new Set(config.parts))
    for (const sizes of shapes[part]) checkShape(fullShape(sizes), `config (m = ${sizes.m}, L = ${sizes.L})`)
}

export function replicasOfCell(config: Config, { part }: Cell): number {
  if (part === 'cnn') return config.grammars
  const { grammars } = config[part]
  return part === 'lazy' ? Math.min(grammars, config.grammars) : grammars
}

/** Multiply-adds of a forward pass for one string. */
function forwardOf({ part, ...sizes }: Cell, config: Config): number {
  const { v, s, L } = sizes
  if (part === 'shallow') return config.shallow.width * (s ** L * v + v)
  const { width } = config
  const windows = (internalNodes(fullShape(sizes)) - s ** (L - 1)) * s * width * width
  return v * width * s ** L + windows + width * v
}

/** Steps that training usually takes before the loss is small, of those allowed. */
const usualSteps = 2500

/** Seconds on one thread of a laptop, roughly. */
export function costOf(cell: Cell, config: Config): number {
  const { part, P, s, L } = cell
  if (part === 'correlations') return 1e-3 + 4e-7 * P * s ** L
  if (part === 'lazy') return 0.1 + 4e-10 * P ** 3 + 2e-8 * P * cell.test
  const { steps } = part === 'shallow' ? config.shallow : config
  const perStep = 1e-4 + 2e-11 * 6 * forwardOf(cell, config) * Math.min(config.batchSize, P)
  return 0.2 + Math.min(steps, usualSteps) * perStep
}
