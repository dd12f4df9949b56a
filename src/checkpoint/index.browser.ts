/** @file Stands in for `index.ts` in a browser: what is about bytes works, what is about files does not. */
import { needsNode } from '../base/index.ts'

export { elements } from './checkpoint.ts'
export { headerLength, parseHeader, type SafetensorsHeader, type TensorEntry } from './header.ts'
export const readSafetensors = needsNode('reading a safetensors file')
export const writeSafetensors = needsNode('writing a safetensors file')
