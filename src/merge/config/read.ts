/** @file Reads a merge configuration: mergekit's YAML, strictly, with the line of every mistake. */
import { didYouMean, dtypeOf, dtypeWord, fail } from '../../base/index.ts'
import { parseWritten, type WrittenFile } from '../../base/written.ts'
import { type MergeMethod, mergeMethods } from '../methods/index.ts'
import { assertNone, attempt, type Problem } from '../problems.ts'
import { isMissing, mapping, optionalText, readModel, refuseForeign } from './entries.ts'
import { readLines } from './lines.ts'
import { child, isMapping, type Place, type Remarks, refuse, show, top } from './place.ts'
import { readSettings } from './settings.ts'
import { readSkip } from './skip.ts'
import { readChatTemplate, readTokenizerSetting } from './tokenizer.ts'
import {
  isOutputDtype,
  type MergeConfig,
  type OutputDtype,
  type OutputModule,
  type OutputSlice,
  outputDtypes,
  type Settings,
  type Source,
} from './types.ts'

const none: Settings = new Map()

const keys = {
  file: [
    'merge_method',
    'base_model',
    'models',
    'slices',
    'modules',
    'parameters',
    'dtype',
    'out_dtype',
    'tokenizer_source',
    'tokenizer',
    'chat_template',
    'lines',
    'skip',
  ],
  model: ['model', 'parameters'],
  slice: ['sources', 'base_model', 'parameters'],
  source: ['model', 'layer_range', 'parameters'],
  module: ['models', 'slices', 'parameters'],
} as const

/** A list with something in it. */
function entries(place: Place, what: string, example: string): Place[] {
  const { value } = place
  if (!Array.isArray(value) || value.length === 0)
    return refuse(place, `${what}: expected a list, such as \`${example}\``)
  return value.map((_, i) => child(place, i))
}

interface Reading {
  readonly method: MergeMethod
  readonly baseModel: string | undefined
}

/** Parameters under a model; under the base most have no effect. */
function modelSettings(place: Place, model: string, { method, baseModel }: Reading): Settings {
  return readSettings(method, model === baseModel ? 'base' : 'model', child(place, 'parameters'))
}

function noTwice(sources: readonly Source[], place: Place): void {
  const seen = new Set<string>()
  for (const { model, where } of sources) {
    if (seen.has(model))
      fail(
        'TL_BAD_CONFIG',
        `${where}: ${show(model)} is named twice in ${place.path.at(-1) === 'models' ? 'models' : 'one slice'}; name each model once`,
      )
    seen.add(model)
  }
}

/** `models`: one slice of all layers; an unlisted base is the last of its sources. */
function readModels(place: Place, reading: Reading): OutputSlice {
  const read = (item: Place): Source => {
    mapping(item, 'models', keys.model)
    const model = readModel(child(item, 'model'), 'model')
    return { model, parameters: modelSettings(item, model, reading), where: item.where() }
  }
  const sources = entries(place, 'models', '- model: PATH').flatMap((item) =>
    place.attempt(() => [read(item)], []),
  )
  noTwice(sources, place)
  const { baseModel } = reading
  if (baseModel !== undefined && !sources.some(({ model }) => model === baseModel))
    sources.push({ model: baseModel, parameters: none, where: place.file.where(['base_model']) })
  return { sources, parameters: none, where: place.where() }
}

function readRange(place: Place): [number, number] {
  const { value } = place
  if (
    !Array.isArray(value) ||
    value.length !== 2 ||
    !value.every((layer) => Number.isInteger(layer) && layer >= 0 && layer < 1e6)
  )
    return refuse(place, 'layer_range: expected [first, end] with end not included, such as [0, 16]')
  const [from, to] = value as [number, number]
  if (from >= to) return refuse(place, 'layer_range: expected first < end')
  return [from, to]
}

function readSlice(place: Place, reading: Reading): OutputSlice {
  mapping(place, 'a slice', keys.slice)
  const own = child(place, 'base_model')
  const baseModel = isMissing(own.value) ? reading.baseModel : readModel(own, 'base_model')
  const inner = { ...reading, baseModel }
  const read = (item: Place): Source => {
    mapping(item, 'sources', keys.source)
    const model = readModel(child(item, 'model'), 'model')
    const layers = readRange(child(item, 'layer_range'))
    return { model, layers, parameters: modelSettings(item, model, inner), where: item.where() }
  }
  const sources = entries(
    child(place, 'sources'),
    'sources',
    '- { model: PATH, layer_range: [0, 16] }',
  ).flatMap((item) => place.attempt(() => [read(item)], []))
  noTwice(sources, place)
  const sizes = sources.map(({ layers }) => layers![1] - layers![0])
  const odd = sizes.findIndex((size) => size !== sizes[0])
  if (odd >= 0)
    fail(
      'TL_BAD_CONFIG',
      `${sources[odd]!.where}: layer_range of ${sizes[odd]} layers, expected ${sizes[0]} as in the first source of this slice`,
    )
  return {
    sources,
    ...(baseModel === undefined ? {} : { baseModel }),
    parameters: readSettings(reading.method, 'wide', child(place, 'parameters')),
    where: place.where(),
  }
}

/** The slices of a file or module, from exactly one of its `models` and `slices`. */
function readParts(place: Place, what: string, choices: readonly string[], reading: Reading): OutputSlice[] {
  const given = choices.filter((key) => !isMissing(child(place, key).value))
  if (given.length !== 1)
    fail(
      'TL_BAD_CONFIG',
      `${place.where()}: ${what}: expected exactly one of ${choices.join(', ')}, got ${given.join(' and ') || 'none'}`,
    )
  const inner = child(place, given[0]!)
  if (given[0] === 'models') return [readModels(inner, reading)]
  return entries(inner, 'slices', '- sources: […]').flatMap((item) =>
    place.attempt(() => [readSlice(item, reading)], []),
  )
}

function readModules(place: Place, reading: Reading): OutputModule[] {
  const modules = child(place, 'modules')
  if (isMissing(modules.value))
    return [
      {
        slices: readParts(place, 'the configuration', ['models', 'slices', 'modules'], reading),
        parameters: none,
        where: place.where(),
      },
    ]
  const others = ['models', 'slices'].filter((key) => !isMissing(child(place, key).value))
  if (others.length > 0)
    fail(
      'TL_BAD_CONFIG',
      `${child(place, others[0]!).where()}: expected exactly one of models, slices, modules, got modules and ${others.join(' and ')}`,
    )
  if (!isMapping(modules.value) || Object.keys(modules.value).length === 0)
    return refuse(modules, 'modules: expected names of modules, such as `default: { models: […] }`')
  const read = (name: string): OutputModule => {
    const item = mapping(child(modules, name), `module ${name}`, keys.module)
    return {
      name,
      slices: readParts(item, `module ${name}`, ['models', 'slices'], reading),
      parameters: readSettings(reading.method, 'wide', child(item, 'parameters')),
      where: item.where(),
    }
  }
  return Object.keys(modules.value).flatMap((name) => place.attempt(() => [read(name)], []))
}

function readDtype(place: Place, what: string): OutputDtype | undefined {
  const word = optionalText(place, what)
  if (word === undefined) return undefined
  const dtype = dtypeOf(word)
  if (isOutputDtype(dtype)) return dtype
  return fail(
    'TL_BAD_CONFIG',
    `${place.where()}: ${what}: unknown type ${show(word)}: ${didYouMean(word.toLowerCase(), [...Object.values(outputDtypes).map(dtypeWord), ...Object.keys(outputDtypes)])}`,
  )
}

/** Number of models besides the base, wherever the file names them. */
function checkCounts(modules: readonly OutputModule[], { method, baseModel }: Reading): void {
  const { needsBase, minModels, maxModels, name } = method
  for (const { slices } of modules)
    for (const slice of slices) {
      const base = slice.baseModel ?? baseModel
      if (needsBase === true && base === undefined)
        fail(
          'TL_BAD_CONFIG',
          `${slice.where}: ${name} needs a base_model: the model that the others were trained from`,
        )
      const listed = base !== undefined && slice.sources.some(({ model }) => model === base)
      if (needsBase !== false && base !== undefined && !listed)
        fail(
          'TL_BAD_CONFIG',
          `${slice.where}: the base model ${show(base)} must be one of the sources of this slice, so that its layers are known`,
        )
      const count = slice.sources.length - (needsBase !== false && listed ? 1 : 0)
      if (count >= minModels && count <= maxModels) continue
      const most = maxModels === Infinity ? `at least ${minModels}` : `${minModels} to ${maxModels}`
      const wanted = minModels === maxModels ? String(minModels) : most
      fail(
        'TL_BAD_CONFIG',
        `${slice.where}: ${name}: expected ${wanted} model${wanted === '1' ? '' : 's'}${needsBase === false ? '' : ' besides the base'}, got ${count}`,
      )
    }
}

function readMethod(place: Place): MergeMethod {
  const name = optionalText(place, 'merge_method')
  const names = Object.keys(mergeMethods)
  if (name === undefined)
    return fail(
      'TL_BAD_CONFIG',
      `${place.where()}: merge_method is missing; expected one of ${names.join(', ')}`,
    )
  if (Object.hasOwn(mergeMethods, name)) return mergeMethods[name]!
  return fail(
    'TL_BAD_CONFIG',
    `${place.where()}: unknown merge_method ${show(name)}: ${didYouMean(name, names)}`,
  )
}

/** Options of the reader. */
export interface ReadOptions {
  /** Unknown keys and keys without effect become warnings. */
  readonly lenient?: boolean
}

/** A configuration with everything that is wrong with it. */
export interface ReadConfig {
  readonly problems: readonly Problem[]
  /** Absent when the method or the models cannot be told. With problems it lacks what could not be read. */
  readonly config?: MergeConfig
}

/** Read what a file says besides its method. */
function readRest(place: Place, baseModel: string | undefined) {
  const compute = place.attempt(() => readDtype(child(place, 'dtype'), 'dtype'), undefined)
  return {
    compute,
    dtype: place.attempt(() => readDtype(child(place, 'out_dtype'), 'out_dtype'), undefined) ?? compute,
    lines: place.attempt(() => readLines(child(place, 'lines'), baseModel), undefined),
    tokenizer: place.attempt(() => readTokenizerSetting(place, baseModel), undefined),
    chatTemplate: place.attempt(() => readChatTemplate(child(place, 'chat_template')), undefined),
  }
}

function readFile(
  file: WrittenFile,
  text: string,
  lenient: boolean,
  remarks: Remarks,
): MergeConfig | undefined {
  const whole = top(file, lenient, remarks)
  const { attempt } = whole
  const place = attempt(() => {
    refuseForeign(whole)
    return mapping(whole, 'the configuration', keys.file)
  }, undefined)
  if (!place) return undefined
  const method = attempt(() => readMethod(child(place, 'merge_method')), undefined)
  const base = child(place, 'base_model')
  const baseModel = isMissing(base.value)
    ? undefined
    : attempt(() => readModel(base, 'base_model'), undefined)
  const reading = method && { method, baseModel }
  const before = place.found()
  const modules = reading ? attempt(() => readModules(place, reading), []) : []
  // with a model that could not be read their number is unknown
  if (reading && place.found() === before) attempt(() => checkCounts(modules, reading), undefined)
  const { compute, dtype, lines, tokenizer, chatTemplate } = readRest(place, baseModel)
  const sources = modules.flatMap(({ slices }) => slices.flatMap((slice) => slice.sources))
  const models = new Set([
    ...(baseModel === undefined ? [] : [baseModel]),
    ...sources.map(({ model }) => model),
  ])
  if (!method || models.size === 0) return undefined
  return {
    path: file.path,
    text,
    method,
    ...(baseModel === undefined ? {} : { baseModel }),
    ...(dtype === undefined ? {} : { dtype }),
    ...(compute === undefined ? {} : { computeDtype: compute }),
    modules,
    parameters: readSettings(method, 'wide', child(place, 'parameters')),
    ...(tokenizer === undefined ? {} : { tokenizer }),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
    ...(lines === undefined ? {} : { lines }),
    skip: readSkip(child(place, 'skip')),
    models: [...models],
    warnings: remarks.warnings,
  }
}

/** Read a configuration, and list everything that is wrong with it: what is no YAML, or no merge, with its line. */
export function readMergeConfig(
  text: string,
  path: string,
  { lenient = false }: ReadOptions = {},
): ReadConfig {
  const problems: Problem[] = []
  const file = attempt(problems, path, () => parseWritten(text, path), undefined)
  const config = file && readFile(file, text, lenient, { problems, warnings: [] })
  return { problems, ...(config ? { config } : {}) }
}

/**
 * Read a configuration. Throws TL_BAD_CONFIG for what is no YAML or no merge, beginning with file and line.
 */
export function parseMergeConfig(text: string, path: string, options: ReadOptions = {}): MergeConfig {
  const { problems, config } = readMergeConfig(text, path, options)
  assertNone(problems)
  return config!
}
