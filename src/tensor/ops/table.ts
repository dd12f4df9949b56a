/**
 * @file The table of primitives. A primitive is one row: what it returns (shape), what it means (reference), how it is
 * differentiated (jvp, vjp), batched (vmap), and lowered (onnx); and its traits. A test fails when a row lacks a cell. Passes
 * over graphs ask rows for traits, not for names, so that a new primitive is one row in one file.
 */
import type { Code } from '../../base/wasm/index.ts'
import type { Spec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import type { Emitter, Fused, Target } from '../onnx/emitter.ts'
import type { Kernels } from '../onnx/kernels.ts'
import { defineShape, type ShapeRule } from '../outputSpecs.ts'
import { type Attributes, apply, applyAll, type Node, type Tensor } from '../tensor.ts'

/** Values in the reference interpreter: float64 storage for every dtype; integers are wrapped, booleans are 0 or 1. */
export interface Dense extends Spec {
  readonly values: Float64Array
}

/** A tangent or cotangent; null is a symbolic zero. */
export type Maybe = Tensor | null | undefined

/** What an expansion may look at besides its node. */
export interface Scene {
  readonly target: Target
  /** Nodes of the graph that read a tensor. */
  readonly readers: (x: Tensor) => readonly Node[]
}

/** What a row may say of its primitive besides its rules. */
export interface Traits {
  /** Each element of the result comes from one of each operand; operands are broadcast as in NumPy. */
  readonly isElementwise?: boolean
  /** Each element of the result is one of the operand: each exactly once (`moved`), or any number of times (`repeated`). */
  readonly elements?: 'moved' | 'repeated'
  /** Operands in each of which it is linear while the others stay. Gives the jvp. */
  readonly linear?: readonly number[]
  /** False: it is not computed ahead where its operands are known. */
  readonly isFoldable?: boolean
  /** A better tensor for the first output, or undefined to keep the node. Inputs are simplified already. */
  readonly simplify?: (inputs: readonly Tensor[], node: Node) => Tensor | undefined
  /** The outputs in terms of other primitives; undefined where the target takes the node as it is. */
  readonly expand?: (node: Node, inputs: readonly Tensor[], scene: Scene) => readonly Tensor[] | undefined
  /** A lowering that is better than `onnx` where it applies: together with neighbours, or in the layout of a neighbour. */
  readonly fused?: Fused
  /** WebAssembly's instruction for four f32 elements, where it rounds as the runtime does. */
  readonly simd?: Code
  /** What its lowering asks of the runtime. */
  readonly kernels?: keyof Kernels
}

export interface Row extends Traits {
  readonly shape: ShapeRule
  /** The definition, in float64. */
  readonly reference: (
    inputs: readonly Dense[],
    attributes: Attributes,
    specs: readonly Spec[],
  ) => Float64Array[]
  /** Tangents of the outputs from tangents of the inputs (not all null). */
  readonly jvp: (node: Node, tangents: readonly Maybe[]) => readonly Maybe[]
  /** Cotangents of the inputs from cotangents of the outputs (not all null). */
  readonly vjp: (node: Node, cotangents: readonly Maybe[]) => readonly Maybe[]
  /**
   * The node over a batch. Where `batched[i]`, input i carries a new axis 0 of length `size`; every output returned does.
   * At least one input is batched.
   */
  readonly vmap: (
    node: Node,
    inputs: readonly Tensor[],
    batched: readonly boolean[],
    size: number,
  ) => readonly Tensor[]
  /** Emit ONNX nodes, return the names of the outputs. */
  readonly onnx: (emitter: Emitter, inputs: readonly string[], node: Node) => readonly string[]
}

const rows = new Map<string, Row>()

/** Add a primitive to the table. A linear one needs no jvp. */
export function defineOp(
  name: string,
  cells: Omit<Row, 'jvp'> & (Pick<Row, 'jvp'> | Required<Pick<Row, 'linear'>>),
): void {
  if (rows.has(name)) fail('TL_BAD_ARGUMENT', `primitive "${name}" is defined twice`)
  rows.set(name, 'jvp' in cells ? cells : { ...cells, jvp: linearJvp(cells.linear) })
  defineShape(name, cells.shape)
}

/** The sum of the primitive with each operand's tangent in the operand's place. */
const linearJvp =
  (operands: readonly number[]): Row['jvp'] =>
  ({ op, inputs, attributes, outputs }, tangents) => {
    const terms = operands.flatMap((i) =>
      tangents[i] ? [applyAll(op, inputs.with(i, tangents[i]), attributes)] : [],
    )
    if (terms.length === 0) return outputs.map(() => null)
    return terms.reduce((a, b) => a.map((t, k) => apply('add', [t, b[k]!])))
  }

export const opRow = (name: string): Row =>
  rows.get(name) ?? fail('TL_UNSUPPORTED', `unknown primitive "${name}"`)

const ofLeaves: Traits = {}
/** Traits of any node's operation; inputs and constants, which are no primitives, have none. */
export const traitsOf = (op: string): Traits => rows.get(op) ?? ofLeaves

/** Names of all primitives, in the order of definition. */
export const opNames = (): string[] => [...rows.keys()]

/** A derivative that does not exist (integer or boolean results): a symbolic zero. */
export const noDerivative = (): readonly Maybe[] => [null]
