/** @file The shape rule of every primitive, by name: all that making a node needs to know of the table of primitives. */
import type { Spec } from './dtype.ts'
import { fail } from './mistake.ts'

/** Output specs from those of the inputs; throws a TreelineError on wrong input. */
export type ShapeRule = (
  inputs: readonly Spec[],
  attributes: { readonly [key: string]: unknown },
) => readonly Spec[]

const rules = new Map<string, ShapeRule>()

/** Called by the table of primitives as a row is defined. */
export function defineShape(op: string, rule: ShapeRule): void {
  rules.set(op, rule)
}

/** Specs of the outputs of a primitive. Throws TL_UNSUPPORTED for a name that is no primitive's. */
export const outputSpecs: (op: string, ...of: Parameters<ShapeRule>) => readonly Spec[] = (op, ...of) =>
  (rules.get(op) ?? fail('TL_UNSUPPORTED', `unknown primitive "${op}"`))(...of)
