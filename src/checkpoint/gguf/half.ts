/** @file The value of every f16 code: block scales are f16, and looking them up is what makes decoding fast. */
import { decodingTable, f16 } from '../smallFloats.ts'

let values: Float32Array | undefined

/** 65,536 values; index = the code's 16 bits. */
export function halfValues(): Float32Array {
  values ??= new Float32Array(decodingTable(f16).buffer as ArrayBuffer)
  return values
}
