/** @file Model editing: merge methods as pure functions of tensors, and LiNeS. */
export {
  globalCuts,
  type MergeInput,
  type MergeMethod,
  type MissingPolicy,
  type ModelInput,
  mergeMethods,
  type ParameterSpec,
  type Parameters,
  type ParameterValue,
  type Preparation,
  resolveParameters,
  tallMask,
} from './merge/methods/index.ts'
