/**
 * @file Graph rewriting before lowering: expansion of what the target has no kernel for, then algebraic simplification,
 * constant folding and sharing of equal nodes in one pass from inputs to outputs.
 */
import { fromFloat64, sameShape } from './dtype.ts'
import type { Graph } from './graph.ts'
import type { Target } from './onnx/emitter.ts'
import { broadcastShapes } from './ops/broadcast.ts'
import { type Scene, traitsOf } from './ops/table.ts'
import { evaluateNodes } from './reference.ts'
import { applyAll, type Node, type Tensor, tensor } from './tensor.ts'
import { ancestors, replay } from './transform/walk.ts'

/** Who reads each tensor; found when it is first asked for. */
function readersOf(nodes: readonly Node[]): Scene['readers'] {
  let readers: Map<Tensor, Node[]> | undefined
  return (x) => {
    if (!readers) {
      readers = new Map()
      for (const node of nodes)
        for (const input of node.inputs) {
          const list = readers.get(input)
          if (list) list.push(node)
          else readers.set(input, [node])
        }
    }
    return readers.get(x) ?? []
  }
}

/** Expand until nothing is left to expand. */
function expandAll(graph: Graph, target: Target): Graph {
  let { outputs } = graph
  for (let changed = true; changed; ) {
    changed = false
    const inputs = new Map(graph.inputs.map((t) => [t, t]))
    const nodes = ancestors(outputs)
    const scene: Scene = { target, readers: readersOf(nodes) }
    const lookup = replay(nodes, inputs, (node, xs) => {
      const expanded = traitsOf(node.op).expand?.(node, xs, scene)
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

/** Operands of an elementwise operation need not be broadcast beforehand. */
function withoutBroadcasts(op: string, xs: readonly Tensor[], out: Tensor): readonly Tensor[] {
  if (!traitsOf(op).isElementwise || xs.length < 2) return xs
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
  traitsOf(node.op).isFoldable !== false &&
  node.outputs.every((y) => y.size <= foldLimit)

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
    const better = depth < 8 ? traitsOf(node.op).simplify?.(xs, node) : undefined
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
