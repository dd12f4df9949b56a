/** @file Programs as ONNX files of standard operators, for other runtimes. */
import { fail } from '../base/index.ts'
import type { Spec } from './dtype.ts'
import { type Graph, trace } from './graph.ts'
import { openModel, type Sizes } from './onnx/dynamic.ts'
import { lower } from './onnx/lower.ts'
import { encodeModel, type OnnxModel } from './onnx/proto.ts'
import { simplify } from './simplify.ts'
import type { Tensor } from './tensor.ts'
import type { Tree } from './tree.ts'

export interface ExportOptions {
  readonly name?: string
  /** Written into the file's metadata. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Names for inputs (by leaf) and outputs; by default their place in the arguments and results. */
  readonly inputNames?: readonly string[]
  readonly outputNames?: readonly string[]
}

/** The bytes of an ONNX file, in chunks to be written one after the other. */
export interface OnnxFile {
  readonly chunks: readonly Uint8Array[]
  readonly length: number
}

/**
 * A program as an ONNX file of standard operators only (opset 20), in chunks to be written one after the other. Concrete
 * tensors the function closes over become weights in the file.
 */
export function exportOnnx<A extends readonly Tree<Tensor>[], R extends Tree<Tensor>>(
  fn: (...args: A) => R,
  specs: readonly Tree<Spec>[],
  options: ExportOptions = {},
): OnnxFile {
  const { graph } = trace(fn, specs, options.name)
  return encode(lower(simplify(graph, 'portable'), 'portable'), graph, options)
}

export interface DynamicExportOptions extends ExportOptions {
  /** As for `compileDynamic`. */
  readonly samples: readonly [Sizes, Sizes]
}

/**
 * The same for every size of some axes: in the file they have the names of the sizes. What is computed may depend on them
 * through shapes only; anything else is refused (`TL_UNSUPPORTED`) with the operation's name.
 */
export function exportDynamicOnnx<A extends readonly Tree<Tensor>[], R extends Tree<Tensor>>(
  fn: (...args: A) => R,
  specsAt: (sizes: Sizes) => readonly Tree<Spec>[],
  options: DynamicExportOptions,
): OnnxFile {
  const { samples } = options
  const [graph, other] = samples.map((sizes) => trace(fn, specsAt(sizes), options.name).graph) as [
    Graph,
    Graph,
  ]
  const [a, b] = [graph, other].map((own) => lower(simplify(own, 'portable'), 'portable')) as [
    OnnxModel,
    OnnxModel,
  ]
  return encode(openModel(a, b, samples), graph, options)
}

function encode(model: OnnxModel, graph: Graph, options: ExportOptions): OnnxFile {
  const bytes = model.initializers.reduce((n, t) => n + t.data.byteLength, 0)
  if (bytes > 2 ** 31 - 2 ** 20)
    fail('TL_UNSUPPORTED', `exportOnnx: ${bytes} bytes of weights exceed the 2 GB an ONNX file can hold`)
  const { inputNames = graph.inputNames, outputNames = graph.outputNames } = options
  for (const [kind, given, own] of [
    ['input', inputNames, graph.inputs],
    ['output', outputNames, graph.outputs],
  ] as const)
    if (given.length !== own.length)
      fail(
        'TL_BAD_ARGUMENT',
        `exportOnnx: ${kind}Names: expected ${own.length} names, got ${given.length} (${given.join(', ')})`,
      )
  const renamed = new Map<string, string>([
    ...inputNames.map((name, i) => [`i${i}`, name] as const),
    ...outputNames.map((name, i) => [`o${i}`, name] as const),
  ])
  const taken = new Set(renamed.values())
  if (taken.size !== renamed.size || taken.has(''))
    fail(
      'TL_BAD_ARGUMENT',
      `exportOnnx: input and output names must differ from each other and not be empty, got ${[...renamed.values()].join(', ')}`,
    )
  /** Values inside the program give way to the names chosen. */
  const rename = (name: string): string => {
    let result = renamed.get(name) ?? name
    if (!renamed.has(name)) while (taken.has(result)) result = `_${result}`
    return result
  }
  return encodeModel({
    ...model,
    metadata: options.metadata ?? {},
    nodes: model.nodes.map((n) => ({ ...n, inputs: n.inputs.map(rename), outputs: n.outputs.map(rename) })),
    initializers: model.initializers.map((v) => ({ ...v, name: rename(v.name) })),
    inputs: model.inputs.map((v) => ({ ...v, name: rename(v.name) })),
    outputs: model.outputs.map((v) => ({ ...v, name: rename(v.name) })),
  })
}
