/** @file The stack of pre-norm blocks that all towers have, with the names of Transformers. */
import { activation, attention, dense, layerNorm } from '../../nn/index.ts'
import { add, type Tensor } from '../../tensor/index.ts'
import type { WeightReader } from '../weights.ts'
import type { EncoderShape } from './config.ts'

/** x ↦ the same shape. */
type Step = (x: Tensor) => Tensor

/** A product and a bias, by their names. */
function readDense(read: WeightReader, name: string, inputs: number, outputs: number): Step {
  const parameters = { weight: read(`${name}.weight`, outputs, inputs), bias: read(`${name}.bias`, outputs) }
  return (x) => dense(inputs, outputs).apply(parameters, x)
}

export function readNorm(read: WeightReader, name: string, { width, epsilon }: EncoderShape): Step {
  const parameters = { weight: read(`${name}.weight`, width), bias: read(`${name}.bias`, width) }
  return (x) => layerNorm(width, { epsilon }).apply(parameters, x)
}

/** Two products with an activation between them. */
export function readMlp(read: WeightReader, name: string, shape: EncoderShape): Step {
  const [up, down] = [
    readDense(read, `${name}.fc1`, shape.width, shape.hidden),
    readDense(read, `${name}.fc2`, shape.hidden, shape.width),
  ]
  return (x) => down(activation(shape.activation)(up(x)))
}

function readBlock(read: WeightReader, name: string, shape: EncoderShape, causal: boolean): Step {
  const { width, heads } = shape
  const projection = (part: string) => ({
    weight: read(`${name}.self_attn.${part}.weight`, width, width),
    bias: read(`${name}.self_attn.${part}.bias`, width),
  })
  const parameters = {
    query: projection('q_proj'),
    key: projection('k_proj'),
    value: projection('v_proj'),
    out: projection('out_proj'),
  }
  const look = attention(width, { heads, causal })
  const [before, after] = [
    readNorm(read, `${name}.layer_norm1`, shape),
    readNorm(read, `${name}.layer_norm2`, shape),
  ]
  const mlp = readMlp(read, `${name}.mlp`, shape)
  return (x) => {
    const seen = add(x, look.apply(parameters, before(x)))
    return add(seen, mlp(after(seen)))
  }
}

/** x [N, T, width] ↦ x and what each block makes of it, layers + 1 of [N, T, width]. */
export function readEncoder(
  read: WeightReader,
  name: string,
  shape: EncoderShape,
  { causal = false }: { readonly causal?: boolean } = {},
): (x: Tensor) => Tensor[] {
  const blocks = Array.from({ length: shape.layers }, (_, i) =>
    readBlock(read, `${name}.layers.${i}`, shape, causal),
  )
  return (x) => {
    const all = [x]
    for (const block of blocks) all.push(block(all.at(-1)!))
    return all
  }
}
