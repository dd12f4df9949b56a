/** @file The tensor engine: programs over tensors, their derivatives, their compilation. */
import './methods.ts'

export { type Arena, heap, openArena } from './arena.ts'
export { type Backend, type BackendOptions, type Executable, referenceBackend } from './backend.ts'
export {
  type Compiled,
  type CompileOptions,
  compile,
  evaluate,
  spec,
} from './compile.ts'
export { type BackendChoice, setDefaultBackend } from './defaultBackend.ts'
export {
  allocate,
  bytesPerElement,
  type Dtype,
  dtypes,
  type FloatDtype,
  isFloat,
  isInteger,
  type Spec,
  sameShape,
  showSpec,
  sizeOf,
  type TypedArray,
} from './dtype.ts'
export { compileDynamic, type DynamicOptions, type DynamicProgram, type Sizes } from './dynamic.ts'
export {
  type DynamicExportOptions,
  type ExportOptions,
  exportDynamicOnnx,
  exportOnnx,
  type OnnxFile,
} from './exportOnnx.ts'
export { type Graph, printGraph, trace } from './graph.ts'
export type { ReduceOptions } from './methodTypes.ts'
export type { OrtModule } from './onnx/ort.ts'
export { type RuntimeChoice, type RuntimeName, runtime, silenceRuntimeNotice } from './onnx/runtime.ts'
export { makeOnnxBackend, type OnnxBackendOptions, onnxBackend } from './onnx/session.ts'
export { openWasm, type WasmFactory } from './onnx/wasm/index.ts'
export { scatterAlong, takeAlong } from './ops/along.ts'
export * from './ops/arithmetic.ts'
export { blockSums } from './ops/blockSums.ts'
export { broadcastTo } from './ops/broadcast.ts'
export {
  type CachedAttentionInputs,
  type CachedAttentionOptions,
  cachedAttention,
} from './ops/cachedAttention.ts'
export { checkpoint, stopGradient } from './ops/control.ts'
export {
  type ConvOptions,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  convTranspose1d,
  convTranspose2d,
} from './ops/convolve.ts'
export { einsum } from './ops/einsum.ts'
export { gather, scatterAdd } from './ops/gather.ts'
export { arange, iota, oneHot, triangularMask } from './ops/iota.ts'
export { linear } from './ops/linear.ts'
export * from './ops/logic.ts'
export { dot, type MatmulOptions, matmul, matrixTranspose } from './ops/matmul.ts'
export {
  crossEntropy,
  gelu,
  layerNorm,
  logSoftmax,
  logSumExp,
  type NormOptions,
  silu,
  softCrossEntropy,
  softmax,
  softplus,
} from './ops/normalize.ts'
export { flip } from './ops/pad.ts'
export { type PadOptions, pad } from './ops/padding.ts'
export { concatenate, roll, select, slice, sliceAxis, split, stack } from './ops/pieces.ts'
export {
  type AveragePoolOptions,
  averagePool1d,
  averagePool2d,
  type MaxPoolOptions,
  maxPool1d,
  maxPool2d,
  type PoolOptions,
} from './ops/pool.ts'
export {
  type QuantizedMatrix,
  quantizedBlock,
  quantizedMatmul,
  quantizedMatrix,
} from './ops/quantized.ts'
export {
  argmax,
  argmin,
  cumsum,
  max,
  mean,
  min,
  prod,
  sum,
  variance,
} from './ops/reduce.ts'
export { addRmsNorm, rmsNorm, swiGlu } from './ops/rms.ts'
export { expandDims, flatten, reshape, squeeze, swapAxes, transpose } from './ops/shape.ts'
export { argsort, type SortOptions, sort, topK } from './ops/sort.ts'
export { opNames } from './ops/table.ts'
export type { Key } from './random.ts'
export * as random from './random.ts'
export { compileStep, type StepOptions, type StepProgram } from './step.ts'
export {
  full,
  ones,
  onesLike,
  placeholder,
  scalar,
  Tensor,
  type TensorLike,
  tensor,
  zeros,
  zerosLike,
} from './tensor.ts'
export { jvp, linearize } from './transform/jvp.ts'
export { parameterProducts } from './transform/products.ts'
export { grad, valueAndGrad, valueAndGradWithAux, vjp } from './transform/vjp.ts'
export { type InAxes, vmap } from './transform/vmap.ts'
export { entries, fromEntries, leaves, mapTree, type Tree, unflatten, zipTrees } from './tree.ts'
