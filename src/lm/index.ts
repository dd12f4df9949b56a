/** @file Language models. */

export {
  type Answer,
  type AnswerOptions,
  type ChatEngine,
  type Conversation,
  openConversation,
  sharedLength,
} from './conversation.ts'
export {
  type ChatMessage,
  type ChatOptions,
  type Decoding,
  type Encoding,
  loadTokenizer,
  type StreamDecoder,
  type Tokenizer,
  tokenizerOfGguf,
} from './tokenizer/index.ts'
