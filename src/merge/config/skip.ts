/** @file `skip`: names of tensors that a merge leaves as the base has them. */
import { isMissing } from './entries.ts'
import { child, type Place, refuse } from './place.ts'

/** One pattern: a part of a name, where `*` stands for any characters. */
export interface SkipPattern {
  readonly pattern: string
  readonly where: string
}

function readPattern(place: Place): SkipPattern {
  const { value } = place
  if (typeof value !== 'string' || value.replaceAll('*', '').trim() === '')
    return refuse(place, 'skip: expected a part of tensor names, such as visual. or mtp.*')
  return { pattern: value, where: place.where() }
}

/** The patterns of `skip`: a list, or one. */
export function readSkip(place: Place): SkipPattern[] {
  const { value } = place
  if (isMissing(value)) return []
  if (!Array.isArray(value)) return place.attempt(() => [readPattern(place)], [])
  return value.flatMap((_, i) => place.attempt(() => [readPattern(child(place, i))], []))
}

/** Does a pattern occur in a name? */
export function isSkippedBy({ pattern }: SkipPattern, name: string): boolean {
  let at = 0
  for (const part of pattern.split('*')) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return true
}
