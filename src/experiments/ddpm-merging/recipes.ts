/** @file What is merged: every candidate as plain data, by family. */
import type { Parameters as MergeParameters } from '../../merge/index.ts'

/** The two trained models, and the middle between them, which stands for the base they do not have. */
export type ModelName = 'mnist' | 'fashion' | 'mean'

/**
 * How depth runs through the U-Net: `depth` from the input to the output, down, middle, up, as the table of stacks has it;
 * `inward` from the outermost level (down and up together) to the middle.
 */
type Order = 'depth' | 'inward'

/** λ^(ℓ) = α + β (ℓ − 1)/(L − 1) along an order; what lies outside the blocks gets α. */
export interface LinesRecipe {
  readonly alpha: number
  readonly beta: number
  readonly order: Order
}

/** A merge method of `treeline/merge` with its inputs, and LiNeS after it, measured from the mean. */
export interface Recipe {
  readonly method: string
  readonly base?: ModelName
  readonly models: readonly { readonly model: ModelName; readonly parameters?: MergeParameters }[]
  readonly parameters?: MergeParameters
  readonly lines?: LinesRecipe
}

type Family = 'line' | 'depth' | 'inward' | 'slerp' | 'other'

/** The place of a model in its family: λ of the line, α and β of LiNeS, t of slerp. */
export interface Place {
  readonly lambda?: number
  readonly alpha?: number
  readonly beta?: number
  readonly t?: number
}

/** One model to be measured. */
export interface Candidate {
  readonly family: Family
  readonly name: string
  readonly at: Place
  readonly recipe: Recipe
}

/** Steps that cannot be told from their decimal writing, so that names and places are what one reads. */
const tidy = (x: number): number => Math.round(x * 1e6) / 1e6 + 0

/** λ from −1 to 1 in `points` steps, and `beyond` more on both sides. */
export const lambdas = (points: number, beyond: number): number[] =>
  Array.from({ length: points + 2 * beyond }, (_, i) => tidy((2 * (i - beyond)) / (points - 1) - 1))

/**
 * θ = mean + λ τ, τ = MNIST − mean: MNIST at 1, the mean at 0, Fashion at −1. Between them it is linear interpolation with
 * w = (1 − λ)/2 of Fashion; beyond them task arithmetic that overshoots one task and negates the other.
 */
function onLine(lambda: number): Candidate {
  const w = tidy((1 - lambda) / 2)
  const isInside = Math.abs(lambda) <= 1
  return {
    family: 'line',
    name: isInside ? `linear, w = ${w}` : `task arithmetic, λ = ${lambda}`,
    at: { lambda },
    recipe: isInside
      ? {
          method: 'linear',
          models: [
            { model: 'mnist', parameters: { weight: tidy(1 - w) } },
            { model: 'fashion', parameters: { weight: w } },
          ],
        }
      : {
          method: 'task_arithmetic',
          base: 'mean',
          models: [{ model: 'mnist', parameters: { weight: 1 } }],
          parameters: { lambda },
        },
  }
}

/** LiNeS of the MNIST task vector: the task vector of Fashion is its negative, (α, β) of it is (−α, −β) here. */
function onGrid(order: Order, alpha: number, beta: number): Candidate {
  return {
    family: order,
    name: `LiNeS ${order}, α = ${alpha}, β = ${beta}`,
    at: { alpha, beta },
    recipe: {
      method: 'task_arithmetic',
      base: 'mean',
      models: [{ model: 'mnist', parameters: { weight: 1 } }],
      lines: { alpha, beta, order },
    },
  }
}

/** α and α + β between −1 and 1. */
export function grid(step: number): [alpha: number, beta: number][] {
  const ends = Array.from({ length: Math.round(2 / step) + 1 }, (_, i) => tidy(i * step - 1))
  return ends.flatMap((first) => ends.map((last): [number, number] => [first, tidy(last - first)]))
}

const slerp = (t: number): Candidate => ({
  family: 'slerp',
  name: `slerp, t = ${t}`,
  at: { t },
  recipe: { method: 'slerp', base: 'mnist', models: [{ model: 'fashion' }], parameters: { t } },
})

/** Methods that have no line to lie on. */
function others(): Candidate[] {
  const both = (weight?: readonly [number, number], density?: number): Recipe['models'] =>
    (['mnist', 'fashion'] as const).map((model, i) => ({
      model,
      parameters: { ...(weight ? { weight: weight[i]! } : {}), ...(density ? { density } : {}) },
    }))
  const one = (model: 'mnist' | 'fashion', parameters: MergeParameters): Recipe['models'] => [
    { model, parameters: { weight: 1, ...parameters } },
  ]
  const make = (name: string, recipe: Recipe): Candidate => ({ family: 'other', name, at: {}, recipe })
  return [
    make('nuslerp, by rows', {
      method: 'nuslerp',
      models: both([1, 1]),
      parameters: { nuslerp_flatten: false },
    }),
    make('karcher', { method: 'karcher', models: both() }),
    make('ties, equal weights', { method: 'ties', base: 'mean', models: both([1, 1]) }),
    make('ties, 2 : 1 for MNIST', { method: 'ties', base: 'mean', models: both([2, 1], 0.5) }),
    make('ties, 2 : 1 for Fashion', { method: 'ties', base: 'mean', models: both([1, 2], 0.5) }),
    make('model_stock', { method: 'model_stock', base: 'mean', models: both() }),
    make('consensus', { method: 'consensus', base: 'mean', models: both() }),
    make('arcee_fusion', { method: 'arcee_fusion', base: 'mnist', models: [{ model: 'fashion' }] }),
    ...(['mnist', 'fashion'] as const).flatMap((model) => {
      const label = model === 'mnist' ? 'MNIST' : 'Fashion'
      return [
        make(`ties_global, ${label}, density 0.5`, {
          method: 'ties_global',
          base: 'mean',
          models: one(model, { density: 0.5 }),
        }),
        make(`dare_linear, ${label}, density 0.9`, {
          method: 'dare_linear',
          base: 'mean',
          models: one(model, { density: 0.9 }),
        }),
        make(`breadcrumbs, ${label}, density 0.9`, {
          method: 'breadcrumbs',
          base: 'mean',
          models: one(model, { density: 0.9 }),
        }),
      ]
    }),
  ]
}

/** How fine the families are. */
interface Fineness {
  /** Places on the line from one model to the other, both ends included; odd, so that the mean is one. */
  readonly points: number
  /** Step of the grid in α and in α + β. */
  readonly step: number
}

/** Places of the line beyond each end. */
const beyondEnds = 3

/** Everything that is measured, in order. */
export const candidates = ({ points, step }: Fineness): Candidate[] => [
  ...lambdas(points, beyondEnds).map(onLine),
  ...(['depth', 'inward'] as const).flatMap((order) =>
    grid(step).map(([alpha, beta]) => onGrid(order, alpha, beta)),
  ),
  ...Array.from({ length: 7 }, (_, i) => slerp((i + 1) / 8)),
  ...others(),
]
