/** @file Language models. */

export {
  type ChatMessage,
  type ChatOptions,
  type Decoding,
  type Encoding,
  encodeAfter,
  loadTokenizer,
  type StreamDecoder,
  spaced,
  type Tokenizer,
  tokenizerOfGguf,
  tokensUpTo,
} from '../tokenizer/index.ts'
export { anyLengthAttention } from './anyLength.ts'
export { type Architecture, supportedModels, type TensorNames } from './architectures.ts'
export {
  type Attention,
  applyHead,
  block,
  collapse,
  type Down,
  normalize,
  type Stream,
} from './block.ts'
export { configOfFields, type ModelConfig, type RotaryScaling } from './config.ts'
export {
  type Answer,
  type AnswerOptions,
  type ChatEngine,
  type Conversation,
  openConversation,
  sharedLength,
} from './conversation.ts'
export { type Generated, type GenerateOptions, generateWith } from './generate.ts'
export { capacityFor, type KvCache, withRoomFor } from './kvCache.ts'
export { applyLinear, type Linear } from './matrix.ts'
export { type LanguageModel, type LoadOptions, languageModelOf, loadModel } from './model.ts'
export {
  type PackedLayout,
  packedLayout,
} from './packed.ts'
export { type Choice, choosePrecision, type Precision, precisions } from './precision.ts'
export { rotaryTables } from './rotary.ts'
export { argmaxOf, logProbabilities, logProbabilityOf, type Sampling, sampleToken } from './sampling.ts'
export { perplexity } from './score.ts'
export type {
  HookInputs,
  Segment,
  SegmentHook,
  SegmentInputs,
  SegmentOptions,
  SegmentOutputs,
} from './segment.ts'
export type { Session } from './session.ts'
export { applyBlocks, applyTop, lossAtTop, type Top, type TopBlocks, type TopTargets, topOf } from './top.ts'
export { type Translation, toGguf, toHuggingFace } from './translate/index.ts'
export type { BlockWeights, HeadWeights, ModelWeights, Norm } from './weights.ts'
