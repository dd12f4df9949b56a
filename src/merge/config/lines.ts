/** @file Reads the section `lines`: LiNeS after the merge. */
import { fail } from '../../base/index.ts'
import { isMissing, mapping, readModel } from './entries.ts'
import { child, type Place, refuse } from './place.ts'
import type { LinesSetting } from './types.ts'

const keys = ['alpha', 'beta', 'base'] as const

/** The section `lines`; undefined without one. */
export function readLines(place: Place, baseModel: string | undefined): LinesSetting | undefined {
  if (isMissing(place.value)) return undefined
  mapping(place, 'lines', keys)
  const [alpha, beta, own] = keys.map((key) => child(place, key))
  const number = (at: Place, name: string, expected: string): number =>
    typeof at.value === 'number' && Number.isFinite(at.value)
      ? at.value
      : refuse(at, `lines.${name}: expected ${expected}`)
  const base = isMissing(own!.value) ? baseModel : readModel(own!, 'lines.base')
  if (base === undefined)
    return fail(
      'TL_BAD_CONFIG',
      `${place.where()}: lines scales the change from a base model by depth; name it with base_model, or with lines.base when it takes no part in the merge`,
    )
  return {
    alpha: alpha!.value === 'auto' ? 'auto' : number(alpha!, 'alpha', '`auto` or a number'),
    beta: number(beta!, 'beta', 'a number'),
    base,
    where: place.where(),
  }
}
