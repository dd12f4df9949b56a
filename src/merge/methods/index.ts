/** @file Merge methods: one table of pure functions over the values of one tensor. A new method is one row. */
import { averageMethods } from './averages.ts'
import { consensusMethods } from './consensus.ts'
import { globalTiesMethods } from './globalTies.ts'
import { isotropicMethods } from './isotropic.ts'
import { modelStockMethods } from './modelStock.ts'
import { pairMethods } from './pairs.ts'
import { ramMethods } from './ram.ts'
import { sceMethods } from './sce.ts'
import { slerpMethods } from './slerp.ts'
import { sphericalMeanMethods } from './sphericalMeans.ts'
import { taskArithmeticMethods } from './taskArithmetic.ts'
import type { MergeMethod } from './types.ts'

/** Every method by its name in a configuration file. */
export const mergeMethods: Readonly<Record<string, MergeMethod>> = Object.fromEntries(
  [
    ...averageMethods,
    ...slerpMethods,
    ...sphericalMeanMethods,
    ...taskArithmeticMethods,
    ...sceMethods,
    ...ramMethods,
    ...modelStockMethods,
    ...pairMethods,
    ...consensusMethods,
    ...globalTiesMethods,
    ...isotropicMethods,
  ].map((method) => [method.name, method]),
)

export { tallMask } from './consensus.ts'
export { resolveParameters } from './define.ts'
export { globalCuts } from './globalTies.ts'
export type {
  MergeInput,
  MergeMethod,
  MissingPolicy,
  ModelInput,
  ParameterSpec,
  Parameters,
  ParameterValue,
  Preparation,
  TensorParameters,
} from './types.ts'
