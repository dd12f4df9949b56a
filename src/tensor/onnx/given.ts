/**
 * @file Weights that stay in the caller's arrays. The runtime copies constants, and packs them anew for each product that reads
 * them: several times their size while a session is opened, twice afterwards. As inputs they are read where they are; a product
 * packs a part of them at a time, which costs little where it is bound by their bytes.
 */
import { onnxType } from './emitter.ts'
import { type OnnxModel, type OnnxTensor, readBy } from './proto.ts'

/** Operations that take a matrix as well as an input as a constant. */
const products = new Set(['MatMul', 'Gemm', 'FusedMatMul'])

/** The model with constants of at least `from` bytes, read by products only, as inputs; and those constants. */
export function withGiven(
  model: OnnxModel,
  from: number,
): { model: OnnxModel; given: readonly OnnxTensor[] } {
  const others = new Set(model.nodes.filter(({ op }) => !products.has(op)).flatMap(readBy))
  const isGiven = ({ name, type, data }: OnnxTensor): boolean =>
    type === onnxType.f32 && data.byteLength >= from && !others.has(name)
  const given = model.initializers.filter(isGiven)
  return {
    model: {
      ...model,
      initializers: model.initializers.filter((one) => !isGiven(one)),
      inputs: [...model.inputs, ...given.map(({ name, type, shape }) => ({ name, type, shape }))],
    },
    given,
  }
}
