/** @file Parameters that several methods share. */
import type { ParameterSpec } from './types.ts'

export const weight: ParameterSpec = { name: 'weight', type: 'number', doc: "the model's weight" }

export const density: ParameterSpec = {
  name: 'density',
  type: 'number',
  default: 1,
  min: 0,
  max: 1,
  doc: 'the share of the task vector to keep',
}

export const lambda: ParameterSpec = {
  name: 'lambda',
  type: 'number',
  default: 1,
  doc: 'scales the combined task vector',
}

/** The same parameter where it is accepted and changes nothing. */
export const inert = (spec: ParameterSpec, why: string): ParameterSpec => ({ ...spec, inert: why })
