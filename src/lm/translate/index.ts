/** @file GGUF and Hugging Face folders into each other. */
export { toGguf } from './gguf.ts'
export { type Translation, toHuggingFace } from './huggingFace.ts'
