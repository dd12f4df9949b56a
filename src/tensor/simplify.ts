/**
 * @file Graph rewriting before lowering: expansion of what the target has no kernel for, then algebraic simplification,
 * constant folding and sharing of equal nodes in one pass from inputs to outputs.
 */
import { fromFloat64, isFloat, sameShape } from './dtype.ts'
import type { Graph } from './graph.ts'
import type { Target } from './onnx/emitter.ts'
import { broadcastShapes } from './ops/broadcast.ts'
import { expandComposite, type Scene } from './ops/composite.ts'
import { inline } from './ops/control.ts'
import { convByPatches } from './ops/conv-patches.ts'
import { convBySlices, convInputGradBySlices, convKernelGradBySlices } from './ops/conv-slices.ts'
import { geometryOf } from './ops/convGeometry.ts'
import { matmulFlags } from './ops/matmul.ts'
import { evaluateNodes } from './reference.ts'
import { apply, applyAll, type Node, scalar, type Tensor, tensor } from './tensor.ts'
import { ancestors, replay } from './transform/walk.ts'

/** One node written in terms of others, when the target cannot take it as it is. */
function expansion(node: Node, inputs: readonly Tensor[], scene: Scene): readonly Tensor[] | undefined {
  if (node.op === 'copy' || node.op === 'stopGradient') return inputs
  if (node.op === 'checkpoint') return inline(node, inputs)
  const isConvolution =
    node.op.startsWith('conv') && node.outputs[0]!.size > 0 && inputs.every((x) => x.size > 0)
  if (isConvolution && node.outputs[0]!.dtype === 'f32' && scene.target === 'cpu') {
    const product = convByPatches(node, inputs as [Tensor, Tensor])
    if (product) return [product]
  }
  if (node.op.startsWith('conv') && node.outputs[0]!.dtype === 'f64' && node.outputs[0]!.size > 0) {
    const g = geometryOf(node.attributes)
    const [a, b] = inputs as [Tensor, Tensor]
    if (node.op === 'conv')
      return [convBySlices(a, b, g, node.outputs[0]!.shape.slice(2) as unknown as [number, number])]
    return [node.op === 'convInputGrad' ? convInputGradBySlices(a, b, g) : convKernelGradBySlices(a, b, g)]
  }
  return expandComposite(node, inputs, scene)
}

const erfArguments = (nodes: readonly Node[]): Set<Tensor> =>
  new Set(
    nodes.flatMap(({ op, inputs: [x] }) =>
      op === 'erf' && x!.node.op === 'mul' ? [x!.node.inputs[0]!] : [],
    ),
  )

/** Expand until nothing is left to expand. */
function expandAll(graph: Graph, target: Target): Graph {
  let { outputs } = graph
  for (let changed = true; changed; ) {
    changed = false
    const inputs = new Map(graph.inputs.map((t) => [t, t]))
    const nodes = ancestors(outputs)
    const scene: Scene = { target, erfArguments: erfArguments(nodes) }
    const lookup = replay(nodes, inputs, (node, xs) => {
      const expanded = node.op === 'input' || node.op === 'constant' ? undefined : expansion(node, xs, scene)
      if (expanded) {
        changed = true
        return expanded
      }
      return xs.every((x, i) => x === node.inputs[i]) ? node.outputs : applyAll(node.op, xs, node.attributes)
    })
    outputs = outputs.map(lookup)
  }
  return { ...graph, outputs }
}

const foldLimit = 4096

const constantOf = (x: Tensor): number | undefined =>
  x.isConcrete && x.size === 1 ? Number(x.data[0]) : undefined
/** A constant of one value everywhere, through broadcasts and reshapes. */
function uniformValue(x: Tensor): number | undefined {
  if (x.node.op === 'broadcastTo' || x.node.op === 'reshape') return uniformValue(x.node.inputs[0]!)
  return constantOf(x)
}

const elementwiseOps = new Set([
  'add',
  'sub',
  'mul',
  'div',
  'pow',
  'max',
  'min',
  'where',
  'equal',
  'less',
  'lessEqual',
  'and',
  'or',
  'bitXor',
  'bitAnd',
  'bitOr',
  'shiftLeft',
  'shiftRight',
  'mod',
])

/** Better tensors for one node, or undefined to keep it. Inputs are already simplified. */
function rewrite(op: string, xs: readonly Tensor[], node: Node): Tensor | undefined {
  const [a, b] = xs as [Tensor, Tensor]
  const out = node.outputs[0]!
  const whole = (x: Tensor): Tensor =>
    sameShape(x.shape, out.shape) ? x : apply('broadcastTo', [x], { shape: [...out.shape] })
  switch (op) {
    case 'reshape':
      if (sameShape(a.shape, out.shape)) return a
      if (a.node.op === 'reshape') return again('reshape', [a.node.inputs[0]!], node)
      return undefined
    case 'broadcastTo':
      return sameShape(a.shape, out.shape) ? a : undefined
    case 'transpose': {
      const p = node.attributes['permutation'] as number[]
      if (p.every((axis, i) => axis === i)) return a
      if (a.node.op === 'transpose') {
        const q = a.node.attributes['permutation'] as number[]
        return simple('transpose', [a.node.inputs[0]!], { permutation: p.map((i) => q[i]!) })
      }
      // moving only axes of size 1 is a reshape
      const moved = p.filter((axis) => a.shape[axis] !== 1)
      return moved.every((axis, i) => i === 0 || axis > moved[i - 1]!)
        ? simple('reshape', [a], { shape: [...out.shape] })
        : undefined
    }
    case 'matmul': {
      const flags = matmulFlags(node.attributes)
      const [ta, tb] = [swapsLastAxes(a), swapsLastAxes(b)]
      if (ta || tb)
        return simple('matmul', [ta ?? a, tb ?? b], {
          ...flags,
          transposeA: flags.transposeA !== Boolean(ta),
          transposeB: flags.transposeB !== Boolean(tb),
        })
      // a factor on an operand is a factor on the product, which costs nothing
      for (const [i, x] of [a, b].entries()) {
        const factor = scaleOf(x)
        if (factor)
          return simple('matmul', i === 0 ? [factor.x, b] : [a, factor.x], {
            ...flags,
            alpha: flags.alpha * factor.by,
          })
      }
      return undefined
    }
    case 'mul': {
      const [ca, cb] = [uniformValue(a), uniformValue(b)]
      if (cb === 1) return whole(a)
      if (ca === 1) return whole(b)
      if (cb !== undefined && a.node.op === 'matmul' && a.dtype === 'f32' && sameShape(a.shape, out.shape)) {
        const flags = matmulFlags(a.node.attributes)
        return simple('matmul', a.node.inputs, { ...flags, alpha: flags.alpha * cb })
      }
      if (ca !== undefined && cb === undefined && constantOf(a) !== undefined)
        return again('mul', [b, a], node)
      if (cb !== undefined && isFloat(out.dtype) && a.node.op === 'mul') {
        const inner = constantOf(a.node.inputs[1]!)
        if (inner !== undefined && sameShape(a.shape, out.shape))
          return again('mul', [a.node.inputs[0]!, scalar(inner * cb, out.dtype)], node)
      }
      if (cb !== undefined && a.node.op === 'neg' && isFloat(out.dtype))
        return again('mul', [a.node.inputs[0]!, scalar(-cb, out.dtype)], node)
      return undefined
    }
    case 'div':
      return uniformValue(b) === 1 ? whole(a) : undefined
    case 'add':
      if (uniformValue(b) === 0) return whole(a)
      if (uniformValue(a) === 0) return whole(b)
      if (b.node.op === 'neg') return again('sub', [a, b.node.inputs[0]!], node)
      if (a.node.op === 'neg') return again('sub', [b, a.node.inputs[0]!], node)
      return biasUnderReshape(a, b, out) ?? biasUnderReshape(b, a, out)
    case 'sub':
      if (uniformValue(b) === 0) return whole(a)
      return b.node.op === 'neg' ? again('add', [a, b.node.inputs[0]!], node) : undefined
    case 'neg':
      if (a.node.op === 'neg') return a.node.inputs[0]
      if (a.node.op === 'sub') return simple('sub', [a.node.inputs[1]!, a.node.inputs[0]!], {})
      return undefined
    default:
      return undefined
  }
}

const simple = (op: string, inputs: readonly Tensor[], attributes: Node['attributes']): Tensor =>
  apply(op, inputs, attributes)
const again = (op: string, inputs: readonly Tensor[], node: Node): Tensor =>
  apply(op, inputs, node.attributes)

/** x = by · y for a constant factor, through reshapes. */
function scaleOf(x: Tensor): { x: Tensor; by: number } | undefined {
  if (x.dtype !== 'f32') return undefined
  if (x.node.op === 'mul') {
    const by = constantOf(x.node.inputs[1]!)
    const y = x.node.inputs[0]!
    return by !== undefined && sameShape(y.shape, x.shape) ? { x: y, by } : undefined
  }
  if (x.node.op === 'reshape' || x.node.op === 'transpose') {
    const inner = scaleOf(x.node.inputs[0]!)
    return inner && { x: simple(x.node.op, [inner.x], x.node.attributes), by: inner.by }
  }
  return undefined
}

/** The untransposed operand when x only swaps the last two axes. */
function swapsLastAxes(x: Tensor): Tensor | undefined {
  if (x.node.op !== 'transpose') return undefined
  const p = x.node.attributes['permutation'] as number[]
  const r = p.length
  return p.every((axis, i) => axis === (i === r - 1 ? r - 2 : i === r - 2 ? r - 1 : i))
    ? x.node.inputs[0]
    : undefined
}

/** reshape(product) + bias → reshape(product + bias), so that the runtime adds the bias inside the product. */
function biasUnderReshape(x: Tensor, bias: Tensor, out: Tensor): Tensor | undefined {
  if (
    x.node.op !== 'reshape' ||
    bias.rank !== 1 ||
    bias.shape[0] !== out.shape.at(-1) ||
    !sameShape(x.shape, out.shape)
  )
    return undefined
  const product = x.node.inputs[0]!
  if (product.node.op !== 'matmul' || product.rank !== 2 || product.shape[1] !== bias.shape[0])
    return undefined
  return simple('reshape', [simple('add', [product, bias], {})], { shape: [...out.shape] })
}

/** Operands of an elementwise operation need not be broadcast beforehand. */
function withoutBroadcasts(op: string, xs: readonly Tensor[], out: Tensor): readonly Tensor[] {
  if (!elementwiseOps.has(op) || xs.length < 2) return xs
  let list = xs
  for (const [i, x] of xs.entries()) {
    if (x.node.op !== 'broadcastTo') continue
    const next = list.with(i, x.node.inputs[0]!)
    if (sameShape(broadcastShapes(op, next), out.shape)) list = next
  }
  return list
}

const isFoldable = (node: Node, xs: readonly Tensor[]): boolean =>
  xs.length > 0 &&
  xs.every((x) => x.isConcrete) &&
  node.op !== 'barrier' &&
  node.outputs.every((y) => y.size <= foldLimit) &&
  node.op !== 'broadcastTo'

function fold(node: Node, xs: readonly Tensor[]): Tensor[] {
  const outputs = applyAll(node.op, xs, node.attributes)
  return evaluateNodes(outputs, new Map()).map((values, i) => {
    const { shape, dtype } = node.outputs[i]!
    return tensor(fromFloat64(values, dtype), { shape })
  })
}

/** Simplify a graph for a target. The result computes the same values (sums may be reassociated by scalar factors only). */
export function simplify(graph: Graph, target: Target): Graph {
  const expanded = expandAll(graph, target)
  const shared = new Map<string, readonly Tensor[]>()
  const ids = new Map<Node, number>()
  const keyOf = (op: string, xs: readonly Tensor[], attributes: Node['attributes']): string =>
    `${op}(${xs.map((x) => `${ids.get(x.node) ?? idOf(x.node)}.${x.index}`).join()})${JSON.stringify(attributes)}`
  const idOf = (node: Node): number => {
    ids.set(node, node.id)
    return node.id
  }
  const scalars = new Map<string, Tensor>()
  const canonical = (x: Tensor): Tensor => {
    if (!x.isConcrete || x.size !== 1) return x
    const key = `${x.dtype}[${x.shape}]${Object.is(Number(x.data[0]), -0) ? '-0' : x.data[0]}`
    if (!scalars.has(key)) scalars.set(key, x)
    return scalars.get(key)!
  }
  /** A node in its simplest form; new nodes made by a rule are simplified in turn. */
  const settle = (node: Node, given: readonly Tensor[], depth = 0): readonly Tensor[] => {
    const xs = withoutBroadcasts(node.op, given.map(canonical), node.outputs[0]!).map(canonical)
    if (isFoldable(node, xs)) return fold(node, xs).map(canonical)
    const better = depth < 8 ? rewrite(node.op, xs, node) : undefined
    if (better) {
      if (better.node.op === 'input' || better.isConcrete || ids.has(better.node)) return [better]
      // a rule may build two levels (reshape of add): settle the inner one first
      const inner = better.node.inputs.map((x) =>
        ids.has(x.node) || x.node.inputs.length === 0
          ? x
          : settle(x.node, x.node.inputs, depth + 1)[x.index]!,
      )
      return settle(better.node, inner, depth + 1)
    }
    const key = keyOf(node.op, xs, node.attributes)
    const known = shared.get(key)
    if (known) return known
    const outputs =
      xs.every((x, i) => x === node.inputs[i]) && xs.length === node.inputs.length
        ? node.outputs
        : applyAll(node.op, xs, node.attributes)
    shared.set(key, outputs)
    ids.set(outputs[0]!.node, outputs[0]!.node.id)
    return outputs
  }
  const lookup = replay(ancestors(expanded.outputs), new Map(graph.inputs.map((t) => [t, t])), (node, xs) => {
    if (node.op === 'input') {
      ids.set(node, node.id)
      return node.outputs
    }
    if (node.op === 'constant') {
      ids.set(node, node.id)
      return node.outputs.map(canonical)
    }
    return settle(node, xs)
  })
  return { ...expanded, outputs: expanded.outputs.map(lookup) }
}
