/** @file What a row's ONNX cell may do: add nodes and constants to the model under construction. Names stand for values. */
import { type Dtype, ofEachType, type TypedArray } from '../dtype.ts'
import type { Node, Tensor } from '../tensor.ts'

/** `portable` emits only standard operators (for files); `cpu` may use the runtime's own fused and blocked kernels. */
export type Target = 'portable' | 'cpu'

export interface OnnxNode {
  readonly op: string
  readonly domain: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Readonly<Record<string, OnnxAttribute>>
  /** Outputs after the first may be left out. */
  readonly isOpen?: true
}

/** Nodes of their own with one result, which read what is around them by name: what a condition chooses. */
export interface Branch {
  readonly nodes: readonly OnnxNode[]
  readonly result: string
}

export type OnnxAttribute =
  | number
  | bigint
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly branch: Branch }

export interface NodeOptions {
  readonly domain?: string
  /** Names wanted. Default: one. */
  readonly outputs?: number
  /** Outputs after the first that nobody reads are left out, so that the runtime need not compute them. */
  readonly isOpen?: true
}

export interface Emitter {
  readonly target: Target
  /** Channels in a block of the runtime's own image layout on this processor (8 or 16); 0 where it has none. */
  readonly block: number
  /** Widths of block-quantized weights that the runtime multiplies as they are (4, 8). */
  readonly bits: ReadonlySet<number>
  /** Add a node, return the names of its outputs. Numbers become INT attributes, `{ float }` FLOAT ones. */
  readonly nodes: (
    op: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, OnnxAttribute>>,
    options?: NodeOptions,
  ) => string[]
  /** Add a node with one output. */
  readonly node: (
    op: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, OnnxAttribute>>,
    domain?: string,
  ) => string
  /** One of two results by a boolean: only the nodes of the chosen one are computed. */
  readonly choose: (condition: string, then: () => string, otherwise: () => string) => string
  readonly constant: (data: TypedArray, shape: readonly number[]) => string
  /** Values of a constant; undefined for what is computed. */
  readonly valuesOf: (name: string) => TypedArray | undefined
  /** A constant of unsigned bytes, which the engine has no element type for: packed weights. */
  readonly bytes: (data: Uint8Array, shape: readonly number[]) => string
  readonly scalar: (value: number, dtype: Dtype) => string
  /** A one-dimensional int64 constant, as shapes and axes are given. */
  readonly ints: (values: readonly number[]) => string
  readonly cast: (name: string, to: Dtype) => string
  readonly reshape: (name: string, shape: readonly number[]) => string
}

/** What a lowering may ask about the graph: names of values emitted so far, and how often each value is read. */
export interface Surroundings {
  readonly names: ReadonlyMap<Tensor, string>
  readonly uses: ReadonlyMap<Tensor, number>
}

/** Names of a node's outputs from a lowering together with its neighbours; undefined where it does not apply. */
export type Fused = (e: Emitter, node: Node, around: Surroundings) => readonly string[] | undefined

/** Code of an element type in ONNX's TensorProto.DataType. */
export const onnxType = ofEachType(({ onnx }) => onnx)

/** Code of unsigned bytes. */
export const onnxBytes = 2

export const microsoft = 'com.microsoft'
