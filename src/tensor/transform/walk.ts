/** @file Which nodes lie between some tensors and others: the part of the graph a transformation has to visit. */
import { fail } from '../mistake.ts'
import { type Node, Tensor } from '../tensor.ts'
import { leaves, type Tree } from '../tree.ts'

/** The leaves of what a function returned; they must be tensors. */
export function resultsOf(name: string, value: unknown): Tensor[] {
  const list = leaves(value as Tree<unknown>)
  for (const leaf of list)
    if (!(leaf instanceof Tensor))
      fail(
        'TL_BAD_ARGUMENT',
        `${name}: expected tensors as results of the function, got ${String(leaf)} (make it one: tensor(…))`,
      )
  return list as Tensor[]
}

/** Call a function that is transformed or traced: one that is none, and an argument that nobody gave, are named here. */
export function callProgram<A extends readonly unknown[], R>(name: string, f: (...args: A) => R, args: A): R {
  if (typeof f !== 'function') fail('TL_BAD_ARGUMENT', `${name}: expected a function, got ${String(f)}`)
  try {
    return f(...args)
  } catch (error) {
    const missing = args.length < f.length ? args.length : args.indexOf(undefined)
    if (!(error instanceof TypeError) || missing < 0) throw error
    return fail('TL_BAD_ARGUMENT', `${name}: argument ${missing + 1} of the function is missing`, error)
  }
}

/**
 * Nodes on a path from `sources` to `targets`, in topological order (the sources' own nodes excluded). Nodes older than
 * the oldest source cannot depend on one and are not visited.
 */
export function nodesBetween(sources: readonly Tensor[], targets: readonly Tensor[]): Node[] {
  const from = new Set(sources.map((t) => t.node))
  const oldest = Math.min(...sources.map((t) => t.node.id))
  const candidates = ancestors(targets, (node) => node.id > oldest && !from.has(node))
  const dependent = new Set<Node>(from)
  return candidates.filter((node) => {
    const depends = node.inputs.some((x) => dependent.has(x.node))
    if (depends) dependent.add(node)
    return depends
  })
}

/** All nodes that the targets need, in topological order; `enter` may stop the descent. */
export function ancestors(targets: readonly Tensor[], enter: (node: Node) => boolean = () => true): Node[] {
  const seen = new Set<Node>()
  const stack = targets.map((t) => t.node)
  while (stack.length) {
    const node = stack.pop()!
    if (seen.has(node) || !enter(node)) continue
    seen.add(node)
    for (const x of node.inputs) stack.push(x.node)
  }
  return [...seen].sort((a, b) => a.id - b.id)
}

/** Re-apply nodes with some tensors replaced; returns a function from old tensors to new ones. */
export function replay(
  nodes: readonly Node[],
  replaced: ReadonlyMap<Tensor, Tensor>,
  apply: (node: Node, inputs: readonly Tensor[]) => readonly Tensor[],
): (old: Tensor) => Tensor {
  const map = new Map(replaced)
  const lookup = (old: Tensor): Tensor => map.get(old) ?? old
  for (const node of nodes) {
    const outputs = apply(node, node.inputs.map(lookup))
    for (const [i, old] of node.outputs.entries()) map.set(old, outputs[i]!)
  }
  return lookup
}
