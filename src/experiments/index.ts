/** @file The table of experiments. A new one is a file here and a row in this table. */
import { type AnyExperiment, experimentNamed } from '../lab/index.ts'
import { clustering } from './clustering.ts'
import { composition } from './composition.ts'
import { contexts } from './contexts.ts'
import { correlatedChunks } from './correlated-chunks.ts'
import { ddpmMerging } from './ddpm-merging.ts'
import { digits } from './digits.ts'
import { imageChunks } from './image-chunks.ts'
import { imageMemorization } from './image-memorization.ts'
import { imageTransition } from './image-transition.ts'
import { layerScaling } from './layer-scaling.ts'
import { lifelongEditing } from './lifelong-editing.ts'
import { memorization } from './memorization.ts'
import { phaseTransition } from './phase-transition.ts'
import { plateaus } from './plateaus.ts'
import { probes } from './probes.ts'
import { sampleComplexity } from './sample-complexity.ts'
import { scalingLaws } from './scaling-laws.ts'
import { taskArithmetic } from './task-arithmetic.ts'
import { textChunks } from './text-chunks.ts'
import { textCorrelations } from './text-correlations.ts'
import { textDiffusion } from './text-diffusion.ts'
import { textMemorization } from './text-memorization.ts'
import { tokenCorrelations } from './token-correlations.ts'

export { loadExperiment, registry } from './load.ts'

/** All experiments, in the order in which they are listed. */
export const experiments: readonly AnyExperiment[] = [
  phaseTransition,
  correlatedChunks,
  tokenCorrelations,
  textCorrelations,
  plateaus,
  scalingLaws,
  contexts,
  probes,
  clustering,
  sampleComplexity,
  composition,
  memorization,
  textDiffusion,
  textChunks,
  imageTransition,
  imageChunks,
  imageMemorization,
  textMemorization,
  digits,
  layerScaling,
  ddpmMerging,
  taskArithmetic,
  lifelongEditing,
]

/** An experiment by name. Throws TL_USAGE with the nearest name. */
export const findExperiment = (name: string): AnyExperiment => experimentNamed(name, experiments)
