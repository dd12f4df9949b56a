/** @file Language models. */
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
