/** @file Pieces of a configuration that several readers share. */
import { didYouMean, fail } from '../../base/index.ts'
import { child, isMapping, type Place, refuse } from './place.ts'

/** Is nothing written there? */
export const isMissing = (value: unknown): value is undefined | null => value === undefined || value === null

/** Keys that mergekit knows and that cannot be obeyed here: why, and what to do instead. */
const elsewhere: Readonly<Record<string, string>> = {
  residual_weight: 'it has no effect in mergekit either; use `parameters`',
}

/** Keys of the configurations of other programs of mergekit's, and what reads them. */
const foreign: Readonly<Record<string, string>> = {
  experts: 'mergekit-moe',
  gate_mode: 'mergekit-moe',
  experts_per_token: 'mergekit-moe',
  genome: 'mergekit-evolve',
}

/** A file for another program is named as one, instead of by its first key that is not known here. */
export function refuseForeign(place: Place): void {
  if (!isMapping(place.value)) return
  const key = Object.keys(place.value).find((name) => Object.hasOwn(foreign, name))
  if (key !== undefined)
    fail(
      'TL_BAD_CONFIG',
      `${child(place, key).where()}: ${key}: a configuration of ${foreign[key]}, which is not supported: treeline merges models of one architecture and makes no mixtures of experts`,
    )
}

/** A mapping whose keys are all known; at the top of the file there may also be places for anchors. */
export function mapping(place: Place, what: string, known: readonly string[]): Place {
  if (!isMapping(place.value)) return refuse(place, `${what}: expected a mapping of ${known.join(', ')}`)
  for (const key of Object.keys(place.value)) {
    if (known.includes(key) || (place.path.length === 0 && place.file.isAside(key))) continue
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

/** Keys of mergekit's mappings that mean nothing for folders on this machine. */
const hubOnly: Readonly<Record<string, string>> = {
  revision:
    'models are folders on this machine, which have no revisions; name the folder of the one that you mean',
  override_architecture:
    'tensors are matched by their names here, whatever the architecture is called; leave it out',
}

function checkKeys(place: Place, what: string, known: readonly string[]): void {
  for (const [key, value] of Object.entries(place.value as Record<string, unknown>)) {
    if (known.includes(key) || (Object.hasOwn(hubOnly, key) && isMissing(value))) continue
    const why = hubOnly[key]
    place.problem(
      child(place, key).where(),
      why ? `${key}: ${why}` : `unknown key "${key}" in ${what}: ${didYouMean(key, known)}`,
    )
  }
}

/** mergekit's `{ model: { path: BASE }, lora: { path: ADAPTER } }`, or a part of it, as BASE+ADAPTER. */
function readReference(place: Place, what: string): string {
  const isPath = isMapping(place.value) && 'path' in place.value
  checkKeys(place, what, isPath ? ['path'] : ['model', 'lora'])
  if (isPath) return readModel(child(place, 'path'), what)
  const lora = child(place, 'lora')
  const base = readModel(child(place, 'model'), what)
  return isMissing(lora.value) ? base : `${base}+${readModel(lora, `${what}.lora`)}`
}

/** A model's path: a text (BASE+ADAPTER for one with an adapter), or mergekit's mapping. */
export function readModel(place: Place, what: string): string {
  const { value } = place
  if (isMapping(value)) return readReference(place, what)
  if (typeof value !== 'string' || value.trim() === '')
    return refuse(place, `${what}: expected the path of a model`)
  if (value.includes('\0')) return refuse(place, `${what}: expected a path without zero bytes`)
  return value
}
