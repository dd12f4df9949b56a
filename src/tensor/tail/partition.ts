/**
 * @file The tail of a step: elementwise arithmetic that only makes new state (an optimizer's update, a moving average). The
 * runtime would make one pass over memory for each operation; here each connected piece becomes one kernel.
 */
import { type Graph, nodesOf } from '../graph.ts'
import { traitsOf } from '../ops/table.ts'
import type { Node, Tensor } from '../tensor.ts'

/** Smaller tensors stay in the runtime: reading them back costs more than the passes saved. */
const smallest = 64

/** Elementwise nodes over tensors of one size, in topological order. */
export interface TailKernel {
  readonly size: number
  readonly nodes: readonly Node[]
  /** Inputs of the full size, each read once. */
  readonly vectors: readonly Tensor[]
  /** Inputs of one element that are not constants. */
  readonly scalars: readonly Tensor[]
  /** Results, and which outputs of the graph they are. */
  readonly results: readonly { readonly tensor: Tensor; readonly outputs: readonly number[] }[]
}

export interface TailPlan {
  /**
   * The rest. Outputs: the graph's own that no kernel makes, in order, then the tensors that kernels need from it.
   */
  readonly head: Graph
  readonly kept: readonly number[]
  readonly boundary: readonly Tensor[]
  readonly kernels: readonly TailKernel[]
}

/** Split a simplified graph whose first `stateCount` outputs are the new state. Undefined when there is no tail worth it. */
export function splitTail(graph: Graph, stateCount: number): TailPlan | undefined {
  const nodes = nodesOf(graph)
  const consumers = new Map<Tensor, Node[]>()
  for (const node of nodes) for (const x of node.inputs) consumers.set(x, [...(consumers.get(x) ?? []), node])
  const stateOutputs = new Map<Tensor, number[]>()
  const otherOutputs = new Set(graph.outputs.slice(stateCount))
  for (const [i, t] of graph.outputs.slice(0, stateCount).entries())
    stateOutputs.set(t, [...(stateOutputs.get(t) ?? []), i])

  const tail = new Set<Node>()
  for (const node of nodes.toReversed()) {
    const [y] = node.outputs
    if (
      traitsOf(node.op).simd === undefined ||
      y!.dtype !== 'f32' ||
      y!.size < smallest ||
      otherOutputs.has(y!)
    )
      continue
    const fits = (x: Tensor): boolean => x.size === 1 || (!x.isConcrete && sameElements(x, y!))
    if (!node.inputs.every(fits)) continue
    const users = consumers.get(y!) ?? []
    if (users.every((user) => tail.has(user) && user.outputs[0]!.size === y!.size)) tail.add(node)
  }
  if (tail.size === 0) return undefined

  const kernels = components(nodes.filter((node) => tail.has(node))).map((list) =>
    describe(list, stateOutputs),
  )
  const made = new Set(kernels.flatMap((k) => k.results.flatMap((r) => r.outputs)))
  const kept = graph.outputs.map((_, i) => i).filter((i) => !made.has(i))
  const given = new Set(graph.inputs)
  const boundary = [...new Set(kernels.flatMap((k) => [...k.vectors, ...k.scalars]))].filter(
    (t) => !given.has(t),
  )
  const head: Graph = {
    ...graph,
    outputs: [...kept.map((i) => graph.outputs[i]!), ...boundary],
    outputNames: [...kept.map((i) => graph.outputNames[i]!), ...boundary.map((_, i) => `boundary${i}`)],
  }
  return { head, kept, boundary, kernels }
}

/** The same number of elements in the same order: axes of size 1 aside, the same shape. */
const sameElements = (x: Tensor, y: Tensor): boolean => {
  const essential = (t: Tensor): string => t.shape.filter((n) => n !== 1).join()
  return essential(x) === essential(y)
}

/** Connected pieces, by edges between nodes. */
function components(nodes: readonly Node[]): Node[][] {
  const group = new Map<Node, Node[]>()
  for (const node of nodes) {
    const merged = [node]
    const near = new Set(node.inputs.flatMap((x) => group.get(x.node) ?? []))
    merged.push(...near)
    for (const member of merged) group.set(member, merged)
  }
  return [...new Set(group.values())].map((list) => [...new Set(list)].sort((a, b) => a.id - b.id))
}

function describe(nodes: readonly Node[], stateOutputs: ReadonlyMap<Tensor, number[]>): TailKernel {
  const inside = new Set(nodes)
  const outside = [...new Set(nodes.flatMap((node) => node.inputs.filter((x) => !inside.has(x.node))))]
  const { size } = nodes[0]!.outputs[0]!
  return {
    size,
    nodes,
    vectors: outside.filter((x) => x.size === size),
    scalars: outside.filter((x) => x.size === 1 && !x.isConcrete),
    results: nodes.flatMap(({ outputs: [t] }) =>
      stateOutputs.has(t!) ? [{ tensor: t!, outputs: stateOutputs.get(t!)! }] : [],
    ),
  }
}
