/** @file Turns the description of a method into a `MergeMethod`: checks the input, fills the defaults. */
import { didYouMean, fail } from '../../base/index.ts'
import { arithmeticOf, openSession, type Source, vectorOf } from '../vector/index.ts'
import type {
  Formula,
  LazyInput,
  Looked,
  MergeInput,
  MergeMethod,
  ParameterSpec,
  Parameters,
  ParameterValue,
} from './types.ts'

interface Description {
  readonly name: string
  readonly title: string
  readonly source: string
  readonly global?: readonly ParameterSpec[]
  readonly perModel?: readonly ParameterSpec[]
  readonly needsBase?: boolean | 'optional'
  readonly minModels?: number
  readonly maxModels?: number
  readonly missing?: MergeMethod['missing']
  readonly random?: boolean
  readonly reach?: MergeMethod['reach'] | 'element'
  readonly check?: MergeMethod['check']
  readonly prepare?: MergeMethod['prepare']
  /** The formula: all parameters are there and of the right type. */
  readonly run: Formula
}

/** A parameter known to be a number or a boolean, after `define` has checked it. */
export const numberOf = (parameters: Parameters, name: string): number => parameters[name] as number
export const isSet = (parameters: Parameters, name: string): boolean => parameters[name] === true

/** How a value shows in a message. */
const show = (value: unknown): string => (typeof value === 'string' ? JSON.stringify(value) : String(value))

function expectation({ type, min, max }: ParameterSpec): string {
  if (type === 'boolean') return 'true or false'
  const kind = type === 'integer' ? 'an integer' : 'a number'
  if (min !== undefined && max !== undefined) return `${kind} from ${min} to ${max}`
  if (min !== undefined) return `${kind} >= ${min}`
  return max === undefined ? kind : `${kind} <= ${max}`
}

function fits(value: ParameterValue, { type, min = -Infinity, max = Infinity }: ParameterSpec): boolean {
  if (type === 'boolean') return typeof value === 'boolean'
  if (typeof value !== 'number' || !Number.isFinite(value)) return false
  return (type !== 'integer' || Number.isInteger(value)) && value >= min && value <= max
}

/** All parameters of `specs`, from `given` or by default; `where` begins the message of an error. */
export function resolveParameters(
  specs: readonly ParameterSpec[],
  given: Parameters,
  where: string,
): Parameters {
  const resolved: Record<string, ParameterValue> = {}
  for (const spec of specs) {
    const value = given[spec.name] ?? spec.default
    if (value === undefined)
      fail(
        'TL_BAD_ARGUMENT',
        `${where}: parameter "${spec.name}" is missing (${spec.doc}); expected ${expectation(spec)}`,
      )
    if (!fits(value, spec))
      fail('TL_BAD_ARGUMENT', `${where}: ${spec.name}: expected ${expectation(spec)}, got ${show(value)}`)
    resolved[spec.name] = value
  }
  for (const name of Object.keys(given))
    if (!specs.some((spec) => spec.name === name))
      fail(
        'TL_BAD_ARGUMENT',
        `${where}: unknown parameter "${name}", ${didYouMean(
          name,
          specs.map((spec) => spec.name),
        )}`,
      )
  return resolved
}

const plural = (n: number): string => `${n} model${n === 1 ? '' : 's'}`

function wantedModels({ minModels, maxModels, needsBase }: MergeMethod): string {
  const beside = needsBase === false ? '' : ' besides the base'
  if (minModels === maxModels) return `${plural(minModels)}${beside}`
  return maxModels === Infinity
    ? `at least ${plural(minModels)}${beside}`
    : `${minModels} to ${plural(maxModels)}${beside}`
}

function checkModels(method: MergeMethod, { name, base, models }: LazyInput): void {
  const { length } = models
  if (length < method.minModels || length > method.maxModels)
    fail('TL_BAD_ARGUMENT', `${method.name}: expected ${wantedModels(method)}, got ${length} for ${name}`)
  if (method.needsBase === true && !base)
    fail(
      'TL_BAD_ARGUMENT',
      `${method.name}: ${name} has no base values; set base_model to a model that has them`,
    )
}

function checkLengths(method: MergeMethod, { name, shape, base, models }: MergeInput): number {
  const size = shape.reduce((product, n) => product * n, 1)
  for (const values of [...(base ? [base] : []), ...models.map((model) => model.values)])
    if (values.length !== size)
      fail(
        'TL_SHAPE_MISMATCH',
        `${method.name}: ${name}: expected ${size} values for shape [${shape.join(', ')}], got ${values.length}`,
      )
  return size
}

/** Values in memory as a source. */
const inMemory = (values: Float32Array): Source => ({
  dtype: 'F32',
  values: (start, count) => values.subarray(start, start + count),
})

/** Show values in memory to a first look. */
export function lookInMemory<T>(
  base: Float32Array,
  models: readonly Float32Array[],
  look: (looked: Looked) => T,
): T {
  const session = openSession(base.length)
  try {
    return look({
      session,
      arithmetic: arithmeticOf('F32'),
      base: vectorOf(inMemory(base)),
      models: models.map((values) => vectorOf(inMemory(values))),
    })
  } finally {
    session.close()
  }
}

/** Merge values in memory with the machine that merges files. */
function mergeInMemory(method: MergeMethod, input: MergeInput): Float32Array {
  const size = checkLengths(method, input)
  const arithmetic = arithmeticOf(input.arithmetic ?? 'F32')
  const session = openSession(size, input.block)
  const vector = (values: Float32Array) => arithmetic.vector(vectorOf(inMemory(values)))
  const out = new Float32Array(size)
  try {
    const merged = method.formula({
      ...input,
      base: input.base && vector(input.base),
      models: input.models.map(({ values, parameters }) => ({ values: vector(values), parameters })),
      session,
      arithmetic,
    })
    session.visit([merged], ([values], start) => out.set(values!, start))
  } finally {
    session.close()
  }
  return out
}

/** A method from its description. */
export function define(description: Description): MergeMethod {
  const { name, title, source, global = [], perModel = [], reach, run } = description
  const method: MergeMethod = {
    name,
    title,
    source,
    parameters: { global, perModel },
    needsBase: description.needsBase ?? false,
    minModels: description.minModels ?? 1,
    maxModels: description.maxModels ?? Infinity,
    missing: description.missing ?? 'error',
    random: description.random ?? false,
    prepare: description.prepare,
    check: description.check ?? (() => undefined),
    reach: typeof reach === 'function' ? reach : () => reach ?? 'tensor',
    formula(input) {
      checkModels(method, input)
      const models = input.models.map(({ values, parameters }, i) => ({
        values,
        parameters: resolveParameters(perModel, parameters, `${name}, model ${i + 1}`),
      }))
      const base = method.needsBase === false ? undefined : input.base
      const parameters = resolveParameters(global, input.parameters, name)
      const own = models.map((model) => model.parameters)
      const mistake = method.check({ parameters, perModel: own, number: input.arithmetic.number })
      if (mistake !== undefined) fail('TL_BAD_ARGUMENT', `${name}: ${input.name}: ${mistake}`)
      return run({ ...input, base, models, parameters })
    },
    merge: (input) => mergeInMemory(method, input),
  }
  return method
}
