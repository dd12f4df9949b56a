/** @file How sums and products simplify: neutral elements, factors that a matrix product takes, signs, biases. */
import { isFloat, sameShape } from '../dtype.ts'
import { apply, scalar, type Tensor } from '../tensor.ts'
import { broadcastTo } from './broadcast.ts'
import { constantOf, uniformValue } from './constants.ts'
import { matmulFlags } from './matmulFlags.ts'
import type { Traits } from './table.ts'

type Rule = NonNullable<Traits['simplify']>

export const simplifyMul: Rule = ([a, b], { outputs: [out] }) => {
  const { shape, dtype } = out!
  const [ca, cb] = [uniformValue(a!), uniformValue(b!)]
  if (cb === 1) return broadcastTo(a!, shape)
  if (ca === 1) return broadcastTo(b!, shape)
  if (cb === undefined) return constantOf(a!) === undefined ? undefined : apply('mul', [b!, a!])
  const { op, inputs, attributes } = a!.node
  const isWhole = sameShape(a!.shape, shape)
  if (op === 'matmul' && a!.dtype === 'f32' && isWhole) {
    const flags = matmulFlags(attributes)
    return apply('matmul', inputs, { ...flags, alpha: flags.alpha * cb })
  }
  if (!isFloat(dtype)) return undefined
  const inner = op === 'mul' && isWhole ? constantOf(inputs[1]!) : undefined
  if (inner !== undefined) return apply('mul', [inputs[0]!, scalar(inner * cb, dtype)])
  return op === 'neg' ? apply('mul', [inputs[0]!, scalar(-cb, dtype)]) : undefined
}

export const simplifyDiv: Rule = ([a, b], { outputs: [out] }) =>
  uniformValue(b!) === 1 ? broadcastTo(a!, out!.shape) : undefined

export const simplifyAdd: Rule = ([a, b], { outputs: [out] }) => {
  if (uniformValue(b!) === 0) return broadcastTo(a!, out!.shape)
  if (uniformValue(a!) === 0) return broadcastTo(b!, out!.shape)
  if (b!.node.op === 'neg') return apply('sub', [a!, b!.node.inputs[0]!])
  if (a!.node.op === 'neg') return apply('sub', [b!, a!.node.inputs[0]!])
  return biasUnderReshape(a!, b!, out!) ?? biasUnderReshape(b!, a!, out!)
}

export const simplifySub: Rule = ([a, b], { outputs: [out] }) => {
  if (uniformValue(b!) === 0) return broadcastTo(a!, out!.shape)
  return b!.node.op === 'neg' ? apply('add', [a!, b!.node.inputs[0]!]) : undefined
}

export const simplifyNeg: Rule = ([x]) => {
  const { op, inputs } = x!.node
  if (op === 'neg') return inputs[0]
  return op === 'sub' ? apply('sub', [inputs[1]!, inputs[0]!]) : undefined
}

/** reshape(product) + bias → reshape(product + bias), so that the runtime adds the bias inside the product. */
function biasUnderReshape(x: Tensor, bias: Tensor, { shape }: Tensor): Tensor | undefined {
  const isOpen = x.node.op === 'reshape' && sameShape(x.shape, shape)
  if (!isOpen || bias.rank !== 1 || bias.shape[0] !== shape.at(-1)) return undefined
  const product = x.node.inputs[0]!
  if (product.node.op !== 'matmul' || product.rank !== 2 || product.shape[1] !== bias.shape[0])
    return undefined
  return apply('reshape', [apply('add', [product, bias])], { shape: [...shape] })
}
