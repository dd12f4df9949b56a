/** @file Tokenizers: text to token ids and back, exactly as the model was trained with. */
export type { ChatMessage, ChatOptions } from './chat.ts'
export { encodeAfter, spaced, tokensUpTo } from './continuation.ts'
export type { Decoding, StreamDecoder } from './decode.ts'
export { loadTokenizer, tokenizerOfGguf } from './load.ts'
export type { Encoding, Tokenizer } from './tokenizer.ts'
