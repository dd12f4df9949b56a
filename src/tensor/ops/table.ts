/**
 * @file The table of primitives. A primitive is one row: what it returns (shape), what it means (reference), how it is
 * differentiated (jvp, vjp), batched (vmap), and lowered (onnx). A test fails when a row lacks a cell.
 */
import type { Spec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import type { Emitter } from '../onnx/emitter.ts'
import { defineShape, type ShapeRule } from '../outputSpecs.ts'
import type { Attributes, Node, Tensor } from '../tensor.ts'

/** Values in the reference interpreter: float64 storage for every dtype; integers are wrapped, booleans are 0 or 1. */
export interface Dense extends Spec {
  readonly values: Float64Array
}

/** A tangent or cotangent; null is a symbolic zero. */
export type Maybe = Tensor | null | undefined

export interface Row {
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

/** Add a primitive to the table. */
export function defineOp(name: string, row: Row): void {
  if (rows.has(name)) fail('TL_BAD_ARGUMENT', `primitive "${name}" is defined twice`)
  rows.set(name, row)
  defineShape(name, row.shape)
}

export const opRow = (name: string): Row =>
  rows.get(name) ?? fail('TL_UNSUPPORTED', `unknown primitive "${name}"`)

/** Names of all primitives, in the order of definition. */
export const opNames = (): string[] => [...rows.keys()]

/** A derivative that does not exist (integer or boolean results): a symbolic zero. */
export const noDerivative = (): readonly Maybe[] => [null]
