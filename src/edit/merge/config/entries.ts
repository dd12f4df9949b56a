/** @file Pieces of a configuration that several readers share. */
import { didYouMean } from '../../../base/index.ts'
import { child, isMapping, type Place, refuse } from './place.ts'

/** Is nothing written there? */
export const isMissing = (value: unknown): value is undefined | null => value === undefined || value === null

/** Keys that mergekit knows and that cannot be obeyed here: why, and what to do instead. */
const elsewhere: Readonly<Record<string, string>> = {
  residual_weight: 'it has no effect in mergekit either; use `parameters`',
}

/** A mapping whose keys are all known. */
export function mapping(place: Place, what: string, known: readonly string[]): Place {
  if (!isMapping(place.value)) return refuse(place, `${what}: expected a mapping of ${known.join(', ')}`)
  for (const key of Object.keys(place.value)) {
    if (known.includes(key)) continue
    const why = elsewhere[key]
    place.problem(
      child(place, key).where(),
      why ? `${key}: ${why}` : `unknown key "${key}" in ${what}: ${didYouMean(key, known)}`,
    )
  }
  return place
}

/** A text, or nothing. */
export function optionalText(place: Place, what: string): string | undefined {
  const { value } = place
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string' || value === '') return refuse(place, `${what}: expected a text`)
  return value
}

/** A model's path: a text, or mergekit's mapping with `model: { path }`. */
export function readModel(place: Place, what: string): string {
  const { value } = place
  if (isMapping(value)) return readModel(child(place, 'path' in value ? 'path' : 'model'), what)
  if (typeof value !== 'string' || value.trim() === '')
    return refuse(place, `${what}: expected the path of a model`)
  if (value.includes('\0')) return refuse(place, `${what}: expected a path without zero bytes`)
  return value
}
