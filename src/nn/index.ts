/** @file Neural networks as pure functions of parameter trees: layers, networks, losses, optimizers, the training loop. */
export { type Activation, activation } from './activations.ts'
export { type Fans, type Initializer, initialize, initializeBias } from './initializers.ts'
export { type KroneckerOptions, kroneckerFactors, kroneckerQuadratic } from './kronecker/factors.ts'
export {
  fromFunction,
  initAll,
  type Key,
  type Layer,
  type Parameters,
  type ParametersOf,
  residual,
  sequential,
  subKey,
} from './layer.ts'
export {
  type AttendOptions,
  type AttentionInputs,
  type AttentionOptions,
  type AttentionParameters,
  attend,
  attention,
} from './layers/attention.ts'
export {
  type ConvOptions,
  type ConvParameters,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  convTranspose1d,
  convTranspose2d,
} from './layers/conv.ts'
export { type DenseOptions, type DenseParameters, dense } from './layers/dense.ts'
export { dropout } from './layers/dropout.ts'
export { embedding, sinusoidalFeatures } from './layers/embedding.ts'
export {
  fromConvWeight,
  hierarchicalConv,
  hierarchicalConv2d,
  hierarchicalConvTranspose,
  joinNeighbours,
  joinTiles,
  joinWindows,
  splitWindows,
} from './layers/hierarchicalConv.ts'
export { groupNorm, layerNorm, type NormParameters, rmsNorm } from './layers/normalization.ts'
export { type RotaryOptions, rotary } from './layers/rotary.ts'
export { type Linearized, linearize } from './linearized.ts'
export {
  binaryCrossEntropyLoss,
  type CrossEntropyOptions,
  crossEntropyLoss,
  hingeLoss,
  meanSquaredError,
  weightedMean,
} from './losses.ts'
export { accuracy, isCorrect } from './metrics.ts'
export {
  type AttentionStack,
  type AttentionStackOptions,
  type AttentionStackParameters,
  attentionStack,
} from './networks/attentionStack.ts'
export { type DdpmUnetOptions, type DdpmUnetParameters, ddpmUnet } from './networks/ddpmUnet.ts'
export {
  type DenoisingMlpOptions,
  type DenoisingMlpParameters,
  denoisingMlp,
} from './networks/denoisingMlp.ts'
export {
  type HierarchicalCnn,
  type HierarchicalCnnOptions,
  type HierarchicalCnnParameters,
  hierarchicalCnn,
} from './networks/hierarchicalCnn.ts'
export {
  type HierarchicalLcn,
  type HierarchicalLcnOptions,
  type HierarchicalLcnParameters,
  hierarchicalLcn,
} from './networks/hierarchicalLcn.ts'
export { type Mlp, type MlpOptions, type MlpParameters, mlp } from './networks/mlp.ts'
export {
  type SmallCnn,
  type SmallCnnOptions,
  type SmallCnnParameters,
  smallCnn,
} from './networks/smallCnn.ts'
export {
  type Transformer,
  type TransformerBlockParameters,
  type TransformerInputs,
  type TransformerOptions,
  type TransformerParameters,
  transformer,
} from './networks/transformer.ts'
export {
  type TreeUnet,
  type TreeUnetOptions,
  type TreeUnetParameters,
  treeUnet,
} from './networks/treeUnet.ts'
export {
  type ResidualBlockParameters,
  residualBlock,
  type UnetOptions,
  type UnetParameters,
  unet,
  upsampleNearest,
} from './networks/unet.ts'
export {
  type TimeFeatures,
  type Unet2dLevel,
  type Unet2dOptions,
  type Unet2dParameters,
  unet2d,
} from './networks/unet2d.ts'
export { type VitOptions, vit } from './networks/vit.ts'
export { type AdamOptions, type AdamState, type AdamWOptions, adam, adamW } from './optimizers/adam.ts'
export { clipByGlobalNorm, globalNorm, movingAverage } from './optimizers/gradients.ts'
export { type Optimizer, unpackScalars, zerosLikeTree } from './optimizers/optimizer.ts'
export {
  type CosineOptions,
  constant,
  cosine,
  type Schedule,
  type StepDecayOptions,
  stepDecay,
  warmUp,
} from './optimizers/schedules.ts'
export { type SgdOptions, type SgdState, sgd } from './optimizers/sgd.ts'
export {
  castParameters,
  copyParameters,
  countParameters,
  describeParameters,
  loadParameters,
  partition,
  saveParameters,
} from './parameters.ts'
export {
  type Parametrization,
  parametrization,
  parametrizations,
  scaledLearningRate,
} from './parametrization.ts'
export { sensitivity, similarity } from './sensitivity.ts'
export { agreementKernel, kernelError, kernelMatrix, type Labelled } from './tangentKernel.ts'
export {
  applyInBatches,
  evaluateMeans,
  type InBatchesOptions,
  overTable,
  type TableFunction,
} from './train/evaluate.ts'
export { firstNonFinite } from './train/guard.ts'
export type {
  Batch,
  BestOptions,
  DataSource,
  Evaluation,
  LossContext,
  LossResult,
  MetricsLine,
  Snapshots,
  TrainOptions,
  TrainProgress,
  TrainResult,
} from './train/options.ts'
export { train } from './train/train.ts'
