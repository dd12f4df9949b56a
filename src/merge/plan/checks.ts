/** @file Mistakes of single tensors that their headers and parameters show: what the method, the types and the arithmetic refuse. */

import { fail, TreelineError } from '../../base/index.ts'
import type { MergeConfig } from '../config/index.ts'
import type { Parameters } from '../methods/index.ts'
import { type Problem, problemOf } from '../problems.ts'
import { arithmeticOf, type NumberType } from '../vector/index.ts'
import type { PlannedInput, PlannedTensor } from './types.ts'

/** What every result is rounded to. */
export const roundedTo = (arithmetic: 'float32' | 'dtype', compute: string): NumberType =>
  arithmetic === 'dtype' && (compute === 'BF16' || compute === 'F16') ? compute : 'F32'

/** A mistake of several tensors, said once: tensors by what is said of them. */
export type ByMessage = Map<string, { readonly problem: Problem; readonly tensors: string[] }>

/** Run a check of a tensor; the same mistake of other tensors is not repeated. */
export function noteMistake<Value>(found: ByMessage, tensor: string, check: () => Value): Value | undefined {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof TreelineError)) throw error
    // the name is all that differs between the tensors of a model
    const key = error.message.replaceAll(tensor, '')
    const known = found.get(key)
    if (known) known.tensors.push(tensor)
    else found.set(key, { problem: problemOf(error, tensor), tensors: [tensor] })
    return undefined
  }
}

/** What was noted, in the order in which it was found. */
export const mistakesOf = (found: ByMessage): Problem[] =>
  [...found.values()].map(({ problem, tensors: { length } }) =>
    length === 1
      ? problem
      : {
          ...problem,
          message: `${problem.message} (and so for ${length - 1} other tensor${length > 2 ? 's' : ''})`,
        },
  )

function checkFinite({ name, compute }: PlannedTensor, parameters: Parameters, type: NumberType): void {
  const { number } = arithmeticOf(type)
  for (const [parameter, value] of Object.entries(parameters))
    if (typeof value === 'number' && !Number.isFinite(number(value)))
      fail(
        'TL_BAD_ARGUMENT',
        `${name}: ${parameter}: ${value} is beyond ${type === 'F32' ? 'float32' : compute}, in which the merge computes`,
      )
}

/** Inputs whose bytes go to the output must have one type; floats that a method cannot mix must have one source. */
function checkCopy(
  { name }: PlannedTensor,
  dtypes: readonly string[],
  models: readonly PlannedInput[],
  { method }: MergeConfig,
): void {
  const [first, ...others] = models
  if (others.length === 0) return
  const odd = dtypes.findIndex((dtype) => dtype !== dtypes[0])
  if (odd >= 0)
    fail(
      'TL_UNSUPPORTED',
      `${name}: ${dtypes[0]} in ${first!.model}, ${dtypes[odd]} in ${models[odd]!.model}; integers cannot be merged, so the types must be equal`,
    )
  if (/^(B?F\d)/.test(dtypes[0]!))
    fail(
      'TL_SHAPE_MISMATCH',
      `${name}: ${method.name} needs the base of a tensor that ${first!.model} and ${others[0]!.model} have, and the base lacks it`,
    )
}

/** Throws for a tensor that is bound to fail when it is merged. `dtypes`: those of `models`. */
export function checkTensor(
  tensor: PlannedTensor,
  dtypes: readonly string[],
  config: MergeConfig,
  arithmetic: 'float32' | 'dtype',
): void {
  if (tensor.action === 'copy') {
    checkCopy(tensor, dtypes, tensor.models, config)
    return
  }
  const { method } = config
  const type = roundedTo(arithmetic, tensor.compute)
  const perModel = tensor.models.map(({ parameters }) => parameters)
  for (const own of [tensor.parameters, ...perModel]) checkFinite(tensor, own, type)
  const { number } = arithmeticOf(type)
  const mistake = method.check({ parameters: tensor.parameters, perModel, number })
  if (mistake !== undefined) fail('TL_BAD_ARGUMENT', `${method.name}: ${tensor.name}: ${mistake}`)
}
