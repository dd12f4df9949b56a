/** @file Stands in for `checkpoint.ts` in a browser: training works there, its checkpoints are files. */
import { needsNode } from '../../base/index.ts'

export const saveTraining = needsNode('checkpoint.path')
export const loadTraining = needsNode('resume')
