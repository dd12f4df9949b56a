/**
 * @file Results that stay where they are written. The runtime's binding makes a copy of every result it hands back, also of
 * arrays it was given to write into: with a cache that is several times the work of a token. It hands results back one by one
 * after the run and ends with an error at one that is no tensor. So such a result is asked for first, and everything else is
 * read from the given arrays. A binding that can hand it over just copies again.
 */
import { onnxType } from './emitter.ts'
import type { OnnxModel } from './proto.ts'

/** Name of the result that ends the handing back. */
export const lastResult = 'end'

/** The model with an empty sequence as its first output. */
export const withLastResult = (model: OnnxModel): OnnxModel => ({
  ...model,
  nodes: [
    ...model.nodes,
    {
      op: 'SequenceEmpty',
      domain: '',
      inputs: [],
      outputs: [lastResult],
      attributes: { dtype: onnxType.f32 },
    },
  ],
  outputs: [{ name: lastResult, type: onnxType.f32, shape: [], isSequence: true }, ...model.outputs],
})

/** Did the binding end at that result? Everything has been computed and written then. */
export const isLastResult = (error: unknown): boolean => /^non tensor type\b/i.test((error as Error).message)
