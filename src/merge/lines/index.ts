/** @file LiNeS: factors that grow with depth, for the task vector of any merge. */
export { findLayers, type LayerOptions, type Layers, layerOf, type Place, type Stack } from './layers.ts'
export {
  applyLines,
  autoAlpha,
  type LinesOptions,
  type LinesRow,
  linesPlan,
  linesScale,
  singleTask,
  type TaskVectorNorms,
  taskVectorNorms,
} from './lines.ts'
export { type Segment, type StackPattern, stackPatterns } from './stacks.ts'
