/**
 * @file How width enters a network: the size of initial weights, the factor in front of each product, and how a learning rate
 * must grow with the width.
 */
import { entryOf } from '../base/index.ts'
import type { DenseOptions } from './layers/dense.ts'

/**
 * - `standard`: He weights, Glorot readout, zero biases, no factors
 * - `torch`: PyTorch's defaults
 * - `ntk`: weights N(0, 1), every product divided by √fanIn (Jacot et al. 2018)
 * - `meanField`: as `ntk` but the readout divided by its width h, learning rate times h: features keep moving at any width
 *   (Mei et al. 2018; the "μP" of the Random Hierarchy Model papers)
 */
export type Parametrization = 'standard' | 'torch' | 'ntk' | 'meanField'

interface Rule {
  readonly hidden: (fanIn: number) => Required<Pick<DenseOptions, 'init' | 'scale'>>
  readonly readout: (width: number) => Required<Pick<DenseOptions, 'init' | 'scale'>>
  /** Factor of SGD's learning rate. */
  readonly learningRate: (width: number) => number
}

const unit = { normal: 1 } as const
const table: Record<Parametrization, Rule> = {
  standard: {
    hidden: () => ({ init: 'he', scale: 1 }),
    readout: () => ({ init: 'glorot', scale: 1 }),
    learningRate: () => 1,
  },
  torch: {
    hidden: () => ({ init: 'torch', scale: 1 }),
    readout: () => ({ init: 'torch', scale: 1 }),
    learningRate: () => 1,
  },
  ntk: {
    hidden: (fanIn) => ({ init: unit, scale: 1 / Math.sqrt(fanIn) }),
    readout: (width) => ({ init: unit, scale: 1 / Math.sqrt(width) }),
    learningRate: () => 1,
  },
  meanField: {
    hidden: (fanIn) => ({ init: unit, scale: 1 / Math.sqrt(fanIn) }),
    readout: (width) => ({ init: unit, scale: 1 / width }),
    learningRate: (width) => width,
  },
}

export const parametrizations = Object.keys(table) as Parametrization[]

/** The rule of a name; a typo lists the valid ones. */
export const parametrization = (name: Parametrization): Rule => entryOf('parametrization', table, name)

/** SGD's learning rate for a network of width `width`, given one for width 1. */
export const scaledLearningRate = (name: Parametrization, learningRate: number, width: number): number =>
  learningRate * parametrization(name).learningRate(width)
