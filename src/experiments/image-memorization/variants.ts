/** @file Ways to train that differ from the recipe in one thing, to see what the exponent of τ_mem depends on. */
import { adam, type Optimizer, sgd } from '../../nn/index.ts'

/** A difference from the recipe; what is left out is as in the recipe. */
interface Variant {
  /** As a report says it. */
  readonly words: string
  /** Batch size and rate are multiplied by (P/64)^power. */
  readonly batchPower?: number
  readonly ratePower?: number
  /** Times the width. */
  readonly wider?: number
  /** The weights looked at are averaged over about the last tenth of the steps. */
  readonly isAveraged?: boolean
  readonly optimizer?: { readonly make: () => Optimizer; readonly rate: number; readonly longer: number }
}

/** The table of variants; a new one is a row here. */
const table = {
  batch: { words: 'batch proportional to P', batchPower: 1 },
  batchAndRate: { words: 'batch proportional to P, rate to its root', batchPower: 1, ratePower: 0.5 },
  sgd: {
    words: 'SGD with momentum 0.9',
    optimizer: { make: () => sgd({ momentum: 0.9 }), rate: 100, longer: 4 },
  },
  averaged: { words: 'weights averaged', isAveraged: true },
  wide: { words: 'twice the width', wider: 2 },
} satisfies Record<string, Variant>

export type VariantName = keyof typeof table | 'recipe'
export const variantNames = Object.keys(table) as [keyof typeof table, ...(keyof typeof table)[]]

const variantOf = (name: VariantName): Variant => (name === 'recipe' ? { words: 'recipe' } : table[name])

export const wordsOf = (name: VariantName): string => variantOf(name).words

/** P at which batches and rates that are scaled are those of the recipe. */
const reference = 64

/** What a variant differs from: fields of the config. */
interface Recipe {
  readonly width: number
  readonly batchSize: number
  readonly learningRate: number
  readonly leastSteps: number
  readonly stepsPerImage: number
}

/** How a network of P images is trained in a variant. */
export function trainingOf(name: VariantName, P: number, config: Recipe) {
  const { batchPower = 0, ratePower = 0, wider = 1, isAveraged = false, optimizer } = variantOf(name)
  const scale = (power: number): number => (P / reference) ** power
  return {
    width: config.width * wider,
    batchSize: Math.max(1, Math.round(config.batchSize * scale(batchPower))),
    learningRate: config.learningRate * (optimizer?.rate ?? 1) * scale(ratePower),
    optimizer: optimizer?.make() ?? adam(),
    // copies come after some forty steps for each image
    steps: (config.leastSteps + config.stepsPerImage * P) * (optimizer?.longer ?? 1),
    ...(isAveraged && { averageDecay: (step: number) => 1 - Math.min(1, 10 / step) }),
  }
}
