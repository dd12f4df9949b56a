/**
 * @file Values into a configuration: the text of the file with them written in, so that every candidate is a recipe by itself
 * and is checked by the reader that checks all recipes.
 */
import { Document, isAlias, isMap, parseDocument, visit } from 'yaml'
import { didYouMean, fail } from '../../base/index.ts'
import { parseMergeConfig } from '../config/index.ts'
import { type MergeMethod, mergeMethods } from '../methods/index.ts'
import type { Axis, SearchValue } from './grid.ts'

/** A configuration file as it is written; it may leave out what the search fills in. */
export interface Recipe {
  readonly path: string
  readonly text: string
}

type Path = readonly (string | number)[]

/** Where a value goes. */
interface Target {
  /** The name in full, `lines.beta` for `beta`. */
  readonly name: string
  readonly path: Path
  /** It holds for the whole merge: what is written for one slice or model would hide it, and is taken out. */
  readonly isWide: boolean
}

const lineNames = ['alpha', 'beta']
const methodKey = 'merge_method'

/** The document to write into. Aliases are written out: a value of one place must not appear in another. */
function documentOf({ text, path }: Recipe): Document {
  const document: Document = parseDocument(text, { merge: true })
  // what is no YAML, or no mapping, the reader of configurations can explain
  if (document.errors.length > 0 || !isMap(document.contents)) {
    parseMergeConfig(text, path)
    fail('TL_BAD_CONFIG', `${path}: expected a mapping with merge_method`)
  }
  let hasAlias = false
  visit(document, {
    Alias: () => {
      hasAlias = true
      return visit.BREAK
    },
  })
  return hasAlias
    ? new Document(document.toJS({ maxAliasCount: 100 }), { aliasDuplicateObjects: false })
    : document
}

/** The methods of the candidates: those of an axis, else that of the file. */
function methodsOf(document: Document, { text, path }: Recipe, axes: readonly Axis[]): MergeMethod[] {
  const axis = axes.find(({ name }) => name === methodKey)
  const names = axis ? axis.values.map(String) : [document.get(methodKey)]
  return names.map((name) => {
    if (typeof name === 'string' && Object.hasOwn(mergeMethods, name)) return mergeMethods[name]!
    if (axis)
      fail(
        'TL_USAGE',
        `--search ${methodKey}: there is no method ${name}: ${didYouMean(String(name), Object.keys(mergeMethods))}`,
      )
    parseMergeConfig(text, path)
    return fail('TL_BAD_CONFIG', `${path}: merge_method is missing`)
  })
}

/** Names of parameters that have an effect. */
const live = (specs: MergeMethod['parameters']['global']): string[] =>
  specs.filter(({ computed, inert }) => !computed && !inert).map(({ name }) => name)

/** What is asked of one method or of several. */
interface Asked {
  readonly name: string
  readonly global: readonly string[]
  readonly perModel: readonly string[]
}

const askedOf = (methods: readonly MergeMethod[]): Asked => ({
  name: methods.map(({ name }) => name).join(', '),
  global: [...new Set(methods.flatMap(({ parameters }) => live(parameters.global)))],
  perModel: [...new Set(methods.flatMap(({ parameters }) => live(parameters.perModel)))],
})

const unknown = (name: string, method: Asked, valid: readonly string[]): never =>
  fail(
    'TL_USAGE',
    `--search ${name}: ${method.name} has no such parameter: ${didYouMean(name, valid)}; for one model, such as models[1].weight`,
  )

/** The steps of `modules.NAME.slices[0].sources[1]`, or undefined when it is no such path. */
function stepsOf(text: string, document: Document): Path | undefined {
  let rest = text
  const steps: (string | number)[] = []
  if (rest.startsWith('modules.')) {
    const modules = document.get('modules')
    const names = isMap(modules) ? modules.items.map(({ key }) => String(key)) : []
    const name = names.find((one) => rest.startsWith(`modules.${one}.`))
    if (name === undefined) return undefined
    steps.push('modules', name)
    rest = rest.slice(`modules.${name}.`.length)
  }
  const pattern = /^(models|slices|sources)\[(\d{1,6})\](?:\.|$)/
  for (let match = pattern.exec(rest); match; match = pattern.exec(rest)) {
    steps.push(match[1]!, Number(match[2]))
    rest = rest.slice(match[0].length)
  }
  return rest === '' && steps.length > 0 ? steps : undefined
}

/** A parameter of one place of the file. */
function placed(name: string, method: Asked, document: Document): Target {
  const dot = name.lastIndexOf('.')
  const [place, parameter] = [name.slice(0, dot), name.slice(dot + 1)]
  const { global, perModel } = method
  const steps = stepsOf(place, document)
  if (!steps)
    return unknown(name, method, [...global, ...perModel, ...lineNames.map((one) => `lines.${one}`)])
  if (!document.hasIn(steps))
    fail('TL_USAGE', `--search ${name}: the configuration has no ${place}; numbers begin at 0`)
  const isModel = steps.at(-2) !== 'slices'
  const valid = isModel ? perModel : [...global, ...perModel]
  if (!valid.includes(parameter))
    fail(
      'TL_USAGE',
      `--search ${name}: ${method.name} has no parameter ${parameter} for ${isModel ? 'a model' : 'a slice'}: ${didYouMean(parameter, valid)}`,
    )
  return { name, path: [...steps, 'parameters', parameter], isWide: false }
}

/** What a name of `--search` means for this recipe. Throws TL_USAGE with the valid names. */
function targetOf(name: string, method: Asked, document: Document): Target {
  if (name === methodKey) return { name, path: [methodKey], isWide: false }
  const own = [...method.global, ...method.perModel]
  const short = name.replace(/^parameters\./, '')
  if (own.includes(short)) {
    if (short === name && lineNames.includes(name) && document.has('lines'))
      fail(
        'TL_USAGE',
        `--search ${name}: both ${method.name} and lines have it: say parameters.${name} or lines.${name}`,
      )
    return { name: short, path: ['parameters', short], isWide: true }
  }
  const line = name.replace(/^lines\./, '')
  if (lineNames.includes(line)) return { name: `lines.${line}`, path: ['lines', line], isWide: false }
  if (name.includes('[')) return placed(name, method, document)
  return unknown(name, method, [...own, ...lineNames.map((one) => `lines.${one}`)])
}

/** Paths of all `parameters` below the top that hold `name`. */
function hiding(value: unknown, name: string, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]): Path[] => {
    const here = [...path, Array.isArray(value) ? Number(key) : key]
    const isHidden =
      key === 'parameters' && path.length > 0 && typeof inner === 'object' && inner !== null && name in inner
    return isHidden ? [here] : hiding(inner, name, here)
  })
}

/** Write one value; mappings on the way to it are made where there are none. */
function write(document: Document, { path, isWide }: Target, value: SearchValue): void {
  const name = String(path.at(-1))
  if (isWide)
    for (const parameters of hiding(document.toJS(), name)) {
      document.deleteIn([...parameters, name])
      const rest = document.getIn(parameters)
      if (isMap(rest) && rest.items.length === 0) document.deleteIn(parameters)
    }
  const parent = path.slice(0, -1)
  const found = document.getIn(parent, true)
  if (!isMap(found) && !isAlias(found)) {
    // LiNeS with only its β given takes its α from norms, as its authors do
    const isBeta = parent[0] === 'lines' && name === 'beta'
    document.setIn(parent, document.createNode(isBeta ? { alpha: 'auto' } : {}))
  }
  document.setIn(path, value)
}

/** Take out parameters that a method does not have: a recipe for several methods has those of all of them. */
function prune(document: Document, { parameters: { global, perModel } }: MergeMethod): void {
  const known = new Set([...live(global), ...live(perModel)])
  const below = (value: unknown, path: Path): void => {
    if (typeof value !== 'object' || value === null) return
    for (const [key, inner] of Object.entries(value)) {
      const here = [...path, Array.isArray(value) ? Number(key) : key]
      if (key !== 'parameters' || typeof inner !== 'object' || inner === null) below(inner, here)
      else
        for (const name of Object.keys(inner as object))
          if (!known.has(name)) document.deleteIn([...here, name])
    }
  }
  below(document.toJS(), [])
}

/** A way to write the values of some parameters into a recipe. */
interface Writer {
  /** The parameters' names in full. */
  readonly names: readonly string[]
  /** The text of the recipe with these values, in the order of the names. */
  readonly fill: (values: readonly SearchValue[]) => string
}

/**
 * Find the places of these parameters in a recipe: a parameter of its method, for the whole merge or all models (`lambda`,
 * `weight`), of one place (`models[1].weight`, `slices[0].sources[1].weight`), or `lines.alpha` and `lines.beta`, also without
 * `lines.`; and `merge_method`, whose candidates leave out parameters that their method does not have. Throws TL_USAGE for a name that is not known or given twice, TL_BAD_CONFIG for what is no configuration.
 */
export function recipeWriter(recipe: Recipe, axes: readonly Axis[]): Writer {
  const document = documentOf(recipe)
  const asked = askedOf(methodsOf(document, recipe, axes))
  const targets = axes.map(({ name }) => targetOf(name, asked, document))
  const methodAt = axes.findIndex(({ name }) => name === methodKey)
  const twice = targets.find(({ name }, i) => targets.findIndex((one) => one.name === name) < i)
  if (twice)
    fail('TL_USAGE', `--search ${twice.name}: it is there twice; give all its values in one --search`)
  // wide ones first: they take out what is written for single places
  const order = targets.map((_, i) => i).sort((a, b) => targets[a]!.path.length - targets[b]!.path.length)
  return {
    names: targets.map(({ name }) => name),
    fill(values) {
      const own = documentOf(recipe)
      for (const i of order) write(own, targets[i]!, values[i]!)
      if (methodAt >= 0) prune(own, mergeMethods[String(values[methodAt])]!)
      return own.toString({ lineWidth: 0 })
    },
  }
}
