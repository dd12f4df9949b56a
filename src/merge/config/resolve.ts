/** @file From what is written to the parameters of one tensor: precedence, filters, and gradients over depth. */
import { fail } from '../../base/index.ts'
import type { ParameterSpec, Parameters, ParameterValue } from '../methods/index.ts'
import type { Scalars, Setting, Settings } from './types.ts'

/**
 * A gradient's value at `depth` in [0, 1]: numbers are interpolated between evenly spaced points, anything else takes the
 * value whose turn it is.
 */
export function atDepth(scalars: Scalars, depth: number): ParameterValue {
  if (typeof scalars !== 'object') return scalars
  const last = scalars.length - 1
  const scaled = depth * last
  const left = Math.trunc(scaled)
  const a = scalars[left]!
  const b = scalars[Math.min(last, left + 1)]!
  if (typeof a !== 'number' || typeof b !== 'number') return a
  const share = scaled - left
  return (1 - share) * a + share * b
}

/** The value for a tensor, or undefined when no filter matches its name. */
export function valueFor(setting: Setting, tensor: string, depth: number): ParameterValue | undefined {
  if (setting.kind === 'value') return atDepth(setting.value, depth)
  const entry = setting.entries.find(({ filter }) => filter === undefined || tensor.includes(filter))
  return entry && atDepth(entry.value, depth)
}

/**
 * Every parameter of `specs` for one tensor: from the first of `settings` (nearest first) that has a value for it, else
 * its default. Throws TL_BAD_CONFIG when a parameter without default has none; `of` names the model or merge.
 */
export function parametersFor(
  specs: readonly ParameterSpec[],
  settings: readonly Settings[],
  { tensor, depth, of }: { tensor: string; depth: number; of: string },
): Parameters {
  const resolved: Record<string, ParameterValue> = {}
  for (const spec of specs) {
    if (spec.computed) continue
    const value = settings
      .map((scope) => scope.get(spec.name))
      .map((setting) => setting && valueFor(setting, tensor, depth))
      .find((found) => found !== undefined)
    if (value !== undefined) {
      if (spec.type === 'integer' && !Number.isInteger(value))
        fail(
          'TL_BAD_CONFIG',
          `${spec.name} of ${of}: its gradient gives ${value} for ${tensor}; expected integers`,
        )
      resolved[spec.name] = value
    } else if (spec.default !== undefined) resolved[spec.name] = spec.default
    else
      fail(
        'TL_BAD_CONFIG',
        `${of}: no ${spec.name} for ${tensor} (${spec.doc}); give one under the model or in \`parameters\`${settings.some((scope) => scope.has(spec.name)) ? ', or end the filter list with an entry that has only a value' : ''}`,
      )
  }
  return resolved
}
