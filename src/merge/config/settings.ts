/** @file Parameters as they are written: scalars, gradients, filter lists; checked against what the method knows. */
import { didYouMean, fail } from '../../base/index.ts'
import type { MergeMethod, ParameterSpec, ParameterValue } from '../methods/index.ts'
import { child, isMapping, type Place, refuse, show } from './place.ts'
import type { FilterEntry, Scalars, Setting, Settings } from './types.ts'

/** Where parameters stand: under one model, where only its own make sense, or in a wider place, where all do. */
type Scope = 'model' | 'base' | 'wide'

const isScalar = (value: unknown): value is ParameterValue =>
  typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string'

/** The words that YAML 1.1, which mergekit's files are written in, takes for booleans. */
const booleans = new Map([
  ...['true', 'yes', 'on', 'y', 't', '1'].map((word) => [word, true] as const),
  ...['false', 'no', 'off', 'n', 'f', '0'].map((word) => [word, false] as const),
])

/** What a value of this type is called in a message. */
function expectation({ type, min, max }: ParameterSpec): string {
  if (type === 'boolean') return 'true or false'
  const kind = type === 'integer' ? 'an integer' : 'a number'
  if (min !== undefined && max !== undefined) return `${kind} from ${min} to ${max}`
  if (min !== undefined) return `${kind} >= ${min}`
  return max === undefined ? kind : `${kind} <= ${max}`
}

/** A scalar as the type of its parameter: numbers and booleans may be written as text (`1e-5` is text in YAML 1.1). */
function coerce(spec: ParameterSpec, value: ParameterValue, where: string): ParameterValue {
  const wrong = (): never =>
    fail('TL_BAD_CONFIG', `${where}: ${spec.name}: expected ${expectation(spec)}, got ${show(value)}`)
  if (spec.type === 'boolean') {
    const word = booleans.get(String(value).toLowerCase())
    return word ?? wrong()
  }
  const number = typeof value === 'string' && value.trim() === '' ? Number.NaN : Number(value)
  if (!Number.isFinite(number) || (spec.type === 'integer' && !Number.isInteger(number))) return wrong()
  if (number < (spec.min ?? -Infinity) || number > (spec.max ?? Infinity)) return wrong()
  return number
}

function readScalars(spec: ParameterSpec, place: Place): Scalars {
  const { value } = place
  if (isScalar(value)) return coerce(spec, value, place.where())
  if (Array.isArray(value) && value.length > 0 && value.every(isScalar))
    return value.map((one, i) => coerce(spec, one, child(place, i).where()))
  return refuse(place, `${spec.name}: expected ${expectation(spec)}, or a list of them over the layers`)
}

const matchesAll = (filter: string | undefined): boolean =>
  filter === undefined || filter === '*' || filter === ''

function readEntry(spec: ParameterSpec, place: Place): FilterEntry {
  const { value } = place
  if (!isMapping(value) || !Object.hasOwn(value, 'value'))
    return refuse(place, `${spec.name}: expected { filter: TEXT, value: … }`)
  for (const key of Object.keys(value))
    if (key !== 'filter' && key !== 'value')
      place.problem(
        child(place, key).where(),
        `${spec.name}: unknown key "${key}", ${didYouMean(key, ['filter', 'value'])}`,
      )
  const filter: unknown = value['filter'] ?? undefined
  if (filter !== undefined && !isScalar(filter))
    refuse(child(place, 'filter'), 'filter: expected a part of tensor names')
  const scalars = readScalars(spec, child(place, 'value'))
  const text = filter === undefined ? undefined : String(filter)
  return { ...(matchesAll(text) ? {} : { filter: text! }), value: scalars, where: place.where() }
}

function readSetting(spec: ParameterSpec, place: Place): Setting {
  const { value } = place
  const where = place.where()
  if (isMapping(value)) return { kind: 'filters', entries: [readEntry(spec, place)], where }
  if (Array.isArray(value) && value.some(isMapping)) {
    const entries = value.map((_, i) => readEntry(spec, child(place, i)))
    const last = entries.findIndex(({ filter }) => filter === undefined)
    if (last >= 0 && last < entries.length - 1)
      place.problem(
        entries[last + 1]!.where,
        `${spec.name}: this entry has no effect: the one on ${entries[last]!.where} matches every tensor before it`,
      )
    return { kind: 'filters', entries, where }
  }
  return { kind: 'value', value: readScalars(spec, place), where }
}

/** What is wrong with a name that the method does not take here. */
function explainName(name: string, method: MergeMethod, scope: Scope, valid: readonly string[]): string {
  const isGlobal = method.parameters.global.some((spec) => spec.name === name && !spec.computed)
  const isOwn = method.parameters.perModel.some((spec) => spec.name === name && !spec.computed)
  if (isGlobal)
    return `${name} has no effect under one model, it belongs to the whole merge: move it to the \`parameters\` of the file`
  if (isOwn) return `${name} has no effect under the base model of ${method.name}: leave it out`
  if (valid.length === 0)
    return `parameter "${name}" has no effect: ${method.name} takes none ${scope === 'wide' ? '' : 'for a model'}`.trimEnd()
  return `unknown parameter "${name}" of ${method.name}: ${didYouMean(name, valid)}`
}

/** Read a `parameters` mapping; `place.value` undefined gives none. */
export function readSettings(method: MergeMethod, scope: Scope, place: Place): Settings {
  const { value } = place
  const settings = new Map<string, Setting>()
  if (value === undefined || value === null) return settings
  if (!isMapping(value))
    return place.attempt(
      () => refuse(place, 'parameters: expected names and values, such as `weight: 0.5`'),
      settings,
    )
  const { global, perModel } = method.parameters
  const own = scope === 'base' && method.needsBase !== false ? [] : perModel
  const specs = (scope === 'wide' ? [...global, ...perModel] : own).filter(({ computed }) => !computed)
  for (const name of Object.keys(value)) {
    const at = child(place, name)
    const spec = specs.find((one) => one.name === name)
    if (!spec) {
      const valid = [...new Set(specs.map((one) => one.name))]
      place.problem(at.where(), explainName(name, method, scope, valid))
      continue
    }
    const setting = place.attempt(() => readSetting(spec, at), undefined)
    if (!setting) continue
    if (spec.inert) {
      const message = `${name} has no effect on ${method.name}: ${spec.inert}`
      // a hint on how to store masks is no mistake: files that mergekit users have are full of it
      if (name === 'int8_mask') place.warn(at.where(), message)
      else place.problem(at.where(), `${message}; leave it out`)
    }
    settings.set(name, setting)
  }
  return settings
}
