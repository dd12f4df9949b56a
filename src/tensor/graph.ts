/** @file A traced program: inputs, outputs, and the nodes between them; and its readable form. */
import { fail } from '../base/index.ts'
import { type Spec, showSpec } from './dtype.ts'
import { type Node, placeholder, type Tensor } from './tensor.ts'
import { ancestors, callProgram, resultsOf } from './transform/walk.ts'
import { entries, mapTree, type Tree } from './tree.ts'

export interface Graph {
  readonly name: string
  readonly inputs: readonly Tensor[]
  readonly inputNames: readonly string[]
  readonly outputs: readonly Tensor[]
  readonly outputNames: readonly string[]
}

/** Nodes of a graph in topological order, inputs and constants included. */
export const nodesOf = (graph: Graph): Node[] => ancestors(graph.outputs)

const identifier = (name: string, fallback: string): string => name || fallback

/** Call a function on placeholders; returns the graph and the tree its results had. */
export function trace<A extends readonly Tree<Tensor>[], R extends Tree<Tensor>>(
  fn: (...args: A) => R,
  specs: readonly Tree<Spec>[],
  name = fn.name || 'program',
): { graph: Graph; result: R } {
  const inputs: Tensor[] = []
  const inputNames: string[] = []
  const args = specs.map((tree, i) =>
    mapTree(tree, (spec, path) => {
      const label = path ? `arg${i}.${path}` : `arg${i}`
      const hole = placeholder(spec, label)
      inputs.push(hole)
      inputNames.push(label)
      return hole
    }),
  ) as unknown as A
  const result = callProgram(name, fn, args)
  resultsOf(name, result)
  const list = entries(result as Tree<Tensor>)
  const graph: Graph = {
    name,
    inputs,
    inputNames,
    outputs: list.map(([, t]) => t),
    outputNames: list.map(([path], i) => identifier(path, `result${i ? i : ''}`)),
  }
  const known = new Set(inputs.map((t) => t.node))
  for (const node of nodesOf(graph))
    if (node.op === 'input' && !known.has(node))
      fail(
        'TL_NOT_CONCRETE',
        `${name}: uses ${showSpec(node.outputs[0]!)}, a symbolic tensor of another program (pass it as an argument, or as a concrete value)`,
      )
  return { graph, result }
}

const showAttribute = (value: unknown): string =>
  ArrayBuffer.isView(value)
    ? `<${(value as Float32Array).length}>`
    : typeof value === 'object'
      ? JSON.stringify(value, (_, v) => (v?.results ? '<body>' : v)).replaceAll('"', '')
      : String(value)

/** One line for each node: `%3: f32[2,4] = matmul(%1, w) transposeA=false`. Constants of one element are shown in place. */
export function printGraph(graph: Graph): string {
  const names = new Map<Tensor, string>(graph.inputs.map((t, i) => [t, graph.inputNames[i]!]))
  const lines: string[] = []
  let next = 0
  for (const node of nodesOf(graph)) {
    if (node.op === 'input') continue
    if (node.op === 'constant') {
      const [t] = node.outputs
      names.set(t!, t!.size === 1 ? `${Number(t!.data[0])}` : `const ${showSpec(t!)}`)
      continue
    }
    const results = node.outputs.map((t) => {
      names.set(t, `%${next++}`)
      return `${names.get(t)}: ${showSpec(t)}`
    })
    const attributes = Object.entries(node.attributes).map(
      ([key, value]) => ` ${key}=${showAttribute(value)}`,
    )
    lines.push(
      `  ${results.join(', ')} = ${node.op}(${node.inputs.map((x) => names.get(x)).join(', ')})${attributes.join('')}`,
    )
  }
  const header = graph.inputs.map((t, i) => `${graph.inputNames[i]}: ${showSpec(t)}`).join(', ')
  const footer = graph.outputs.map((t, i) => `${graph.outputNames[i]} = ${names.get(t)}`).join(', ')
  return `${graph.name}(${header}) {\n${lines.join('\n')}\n  return ${footer}\n}`
}
