/** @file A simplified graph as an ONNX model: names, constants, and one call of each row's lowering. */
import { allocate, type Dtype, dtypeOf, fromFloat64, type TypedArray } from '../dtype.ts'
import { type Graph, nodesOf } from '../graph.ts'
import { opRow } from '../ops/table.ts'
import { evaluateNodes } from '../reference.ts'
import type { Node, Tensor } from '../tensor.ts'
import {
  type Branch,
  type Emitter,
  microsoft,
  type NodeOptions,
  type OnnxAttribute,
  onnxBytes,
  onnxType,
  type Target,
} from './emitter.ts'
import { type Kernels, noKernels } from './kernels.ts'
import { mapBranches, type OnnxModel, type OnnxNode, type OnnxTensor, readBy } from './proto.ts'

export const opset = 20

/**
 * Lower a graph. Inputs and outputs of zero size do not appear in the model: they carry nothing. With target 'cpu', `kernels` are
 * those that the runtime was found to have.
 */
export function lower(graph: Graph, target: Target, kernels: Kernels = noKernels): OnnxModel {
  let nodes: OnnxNode[] = []
  const initializers: OnnxTensor[] = []
  const constants = new Map<string, string>()
  const values = new Map<string, TypedArray>()
  const names = new Map<Tensor, string>()
  let next = 0
  const fresh = (): string => `v${next++}`

  const constant = (data: TypedArray, shape: readonly number[], dtype: Dtype): string => {
    const short =
      data.length <= 16
        ? `${dtype}[${shape}]${Array.from(data as Float64Array, (v) => (Object.is(v, -0) ? '-0' : String(v)))}`
        : undefined
    const known = short && constants.get(short)
    if (known) return known
    const name = fresh()
    initializers.push({ name, type: onnxType[dtype], shape, data })
    values.set(name, data)
    if (short) constants.set(short, name)
    return name
  }
  const emit = (
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    { domain = '', outputs = 1, isOpen }: NodeOptions = {},
  ): string[] => {
    const results = Array.from({ length: outputs }, fresh)
    nodes.push({ op, domain, inputs, outputs: results, attributes, ...(isOpen && { isOpen }) })
    return results
  }
  /** What `build` adds, beside the model instead of in it. */
  const aside = (build: () => string): Branch => {
    const around = nodes
    nodes = []
    const result = build()
    const branch = { nodes, result }
    nodes = around
    return branch
  }
  const emitter: Emitter = {
    target,
    block: kernels.channels,
    bits: kernels.bits,
    nodes: emit,
    node: (op, inputs, attributes, domain = '') => emit(op, inputs, attributes, { domain })[0]!,
    choose: (condition, then, otherwise) =>
      emit('If', [condition], {
        then_branch: { branch: aside(then) },
        else_branch: { branch: aside(otherwise) },
      })[0]!,
    constant: (data, shape) => constant(data, shape, dtypeOf(data)),
    valuesOf: (name) => values.get(name),
    bytes: (data, shape) => {
      const name = fresh()
      initializers.push({ name, type: onnxBytes, shape, data })
      return name
    },
    scalar: (value, dtype) => constant(fromFloat64([value], dtype), [], dtype),
    ints: (values) => constant(BigInt64Array.from(values, BigInt), [values.length], 'i64'),
    cast: (name, to) => emit('Cast', [name], { to: onnxType[to] })[0]!,
    reshape: (name, shape) =>
      emit('Reshape', [name, constant(BigInt64Array.from(shape, BigInt), [shape.length], 'i64')])[0]!,
  }

  for (const [i, t] of graph.inputs.entries()) names.set(t, `i${i}`)
  const uses = countUses(graph)
  for (const node of nodesOf(graph)) {
    if (node.op === 'input') continue
    if (node.op === 'constant') {
      const [t] = node.outputs
      names.set(t!, constant(t!.data, t!.shape, t!.dtype))
      continue
    }
    if (
      node.outputs.every((t) => t.size === 0) ||
      (node.inputs.length > 0 && node.inputs.every((t) => t.size === 0 || t.isConcrete))
    ) {
      for (const [i, t] of node.outputs.entries())
        names.set(t, constant(knownValue(node)[i]!, t.shape, t.dtype))
      continue
    }
    const row = opRow(node.op)
    const results =
      row.fused?.(emitter, node, { names, uses }) ??
      row.onnx(
        emitter,
        node.inputs.map((x) => names.get(x)!),
        node,
      )
    for (const [i, t] of node.outputs.entries()) names.set(t, results[i]!)
  }

  const inputs = graph.inputs.flatMap((t, i) =>
    t.size ? [{ name: `i${i}`, type: onnxType[t.dtype], shape: t.shape }] : [],
  )
  const outputs = graph.outputs.flatMap((t, i) => {
    if (!t.size) return []
    // a fresh name for every output: the same value may leave twice, or be an input or a constant
    nodes.push({ op: 'Identity', domain: '', inputs: [names.get(t)!], outputs: [`o${i}`], attributes: {} })
    return [{ name: `o${i}`, type: onnxType[t.dtype], shape: t.shape }]
  })
  const used = prune(
    withDirectOutputs(nodes),
    outputs.map((o) => o.name),
  )
  const needed = new Set(used.flatMap(readBy))
  return {
    name: graph.name,
    nodes: used,
    initializers: initializers.filter((t) => needed.has(t.name)),
    inputs,
    outputs,
    opsets: target === 'cpu' ? { '': opset, [microsoft]: 1, 'com.microsoft.nchwc': 1 } : { '': opset },
  }
}

function countUses(graph: Graph): Map<Tensor, number> {
  const uses = new Map<Tensor, number>()
  for (const node of nodesOf(graph)) for (const x of node.inputs) uses.set(x, (uses.get(x) ?? 0) + 1)
  for (const t of graph.outputs) uses.set(t, (uses.get(t) ?? 0) + 1)
  return uses
}

/** Values of a node that no input can change (all its inputs are empty or constant). */
function knownValue(node: Node): TypedArray[] {
  if (node.outputs.every((t) => t.size === 0)) return node.outputs.map((t) => allocate(t.dtype, 0))
  const empty = new Map(node.inputs.filter((x) => !x.isConcrete).map((x) => [x, new Float64Array(0)]))
  return evaluateNodes(node.outputs, empty).map((values, i) => fromFloat64(values, node.outputs[i]!.dtype))
}

/** Let producers write outputs directly where the copy in between is the only difference. */
function withDirectOutputs(nodes: readonly OnnxNode[]): OnnxNode[] {
  const producer = new Map(nodes.flatMap((n) => n.outputs.map((o) => [o, n] as const)))
  const renamed = new Map<string, string>()
  const dropped = new Set<OnnxNode>()
  for (const node of nodes) {
    const [source] = node.inputs
    if (
      node.op !== 'Identity' ||
      !node.outputs[0]!.startsWith('o') ||
      !producer.has(source!) ||
      renamed.has(source!)
    )
      continue
    renamed.set(source!, node.outputs[0]!)
    dropped.add(node)
  }
  const name = (s: string): string => renamed.get(s) ?? s
  const withNames = (node: OnnxNode): OnnxNode => ({
    ...node,
    inputs: node.inputs.map(name),
    outputs: node.outputs.map(name),
    attributes: mapBranches(node, (nodes) => nodes.map(withNames)),
  })
  return nodes.filter((n) => !dropped.has(n)).map(withNames)
}

/** Nodes that the outputs need, in order. */
function prune(nodes: readonly OnnxNode[], outputs: readonly string[]): OnnxNode[] {
  const needed = new Set(outputs)
  const kept: OnnxNode[] = []
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((o) => needed.has(o))) continue
    for (const x of readBy(node)) needed.add(x)
    kept.push(node.isOpen ? { ...node, outputs: trimOutputs(node.outputs, needed) } : node)
  }
  return kept.reverse()
}

/** Outputs that nobody reads get no name. */
function trimOutputs(outputs: readonly string[], needed: ReadonlySet<string>): string[] {
  const list = outputs.map((o, i) => (i === 0 || needed.has(o) ? o : ''))
  while (list.length > 1 && list.at(-1) === '') list.pop()
  return list
}
