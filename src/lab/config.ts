/** @file Config composition: defaults ← preset ← file ← `--set a.b=value`, checked strictly, explained in words. */
import { z } from 'zod'
import { didYouMean, fail } from '../base/index.ts'
import type { WrittenFile } from '../base/written.ts'
import { contentHash } from './canonical.ts'
import type { AnyExperiment, BaseConfig } from './experiment.ts'
import { describeField, type FieldSchema, fieldAt, fieldSchema, leafFields, parseWord } from './schema.ts'

/** The field every experiment has. */
export const seedField = z.int().min(0).max(0xffff_ffff).default(0).describe('all randomness comes from it')

/** A value for a field, and the place in a file that gave it. */
export interface Assignment {
  readonly path: string
  readonly value: unknown
  /** `file.yaml:3` */
  readonly where: string
}

/** What a user asks for: a preset by name and assignments in order. */
export interface ConfigRequest {
  preset?: string
  /** From files (see `assignmentsIn`); they win over the preset. */
  assignments?: readonly Assignment[]
  /** `a.b=value`, or several separated by commas: `L=3,m=4`. Later ones win. */
  set?: readonly string[]
  /** Values by dotted path, already typed; they win over `set`. */
  values?: Readonly<Record<string, unknown>>
}

export type Tree = Record<string, unknown>
export const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Deep merge of plain objects; lists and leaves are replaced. */
export function mergeConfig(base: Tree, over: Tree): Tree {
  const merged: Tree = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key]
    merged[key] = isTree(old) && isTree(value) ? mergeConfig(old, value) : value
  }
  return merged
}

/** Split `L=3,m=4` at the commas that begin a new assignment; `sizes=1,2,3` stays whole. */
const splitAssignments = (text: string): string[] => text.split(/,(?=\s*[A-Za-z_][\w.]*=)/)

/** Where a path's value comes from, as `file.yaml:3`; undefined when from no file. */
type Locate = (path: readonly PropertyKey[]) => string | undefined
const prefix = (place: string | undefined): string => (place === undefined ? '' : `${place}: `)

function unknownField(schema: FieldSchema, path: readonly string[], place?: string): never {
  const word = path.join('.')
  const parent = path.slice(0, -1)
  const siblings = Object.keys(fieldAt(schema, parent)?.properties ?? {}).map((key) =>
    [...parent, key].join('.'),
  )
  const choices = siblings.length > 0 ? siblings : leafFields(schema).map(([leaf]) => leaf)
  return fail(
    'TL_BAD_CONFIG',
    `${prefix(place)}config.${word}: there is no such field: ${didYouMean(word, choices)}`,
  )
}

/**
 * The fields that a group in a file assigns, nested (`noise: { size: 1 }`) or dotted (`noise.size: 1`), in order.
 * `at` is the group's place in the file. Throws TL_BAD_CONFIG for a field that does not exist, naming line and nearest.
 */
export function assignmentsIn(
  experiment: AnyExperiment,
  file: WrittenFile,
  group: unknown,
  at: readonly (string | number)[] = [],
): Assignment[] {
  const schema = fieldSchema(experiment.config)
  if (!isTree(group))
    fail(
      'TL_BAD_CONFIG',
      `${file.where(at)}: expected fields with their values, such as \`seed: 1\`, got ${JSON.stringify(group)}`,
    )
  const walk = (node: Tree, keys: readonly string[], fields: readonly string[]): Assignment[] =>
    Object.entries(node).flatMap(([key, value]) => {
      const place = [...keys, key]
      const path = [...fields, ...key.split('.')]
      const where = file.where([...at, ...place])
      const field = fieldAt(schema, path)
      if (!field) unknownField(schema, path, where)
      if (field.properties && isTree(value)) return walk(value, place, path)
      return [{ path: path.join('.'), value, where }]
    })
  return walk(group, [], [])
}

/** The assignments of a config file; the `config.json` of a run will do, too. */
export function fileAssignments(experiment: AnyExperiment, file: WrittenFile): Assignment[] {
  const { value } = file
  const ofRun = isTree(value) && typeof value['hash'] === 'string' && isTree(value['config'])
  return ofRun
    ? assignmentsIn(experiment, file, value['config'], ['config'])
    : assignmentsIn(experiment, file, value)
}

function assign(tree: Tree, path: readonly string[], value: unknown): void {
  let node = tree
  for (const key of path.slice(0, -1)) {
    const child = node[key]
    const next: Tree = isTree(child) ? child : {}
    node[key] = next
    node = next
  }
  node[path.at(-1)!] = value
}

/** Find the first field of `tree` that the schema does not know. */
function checkFields(schema: FieldSchema, tree: unknown, path: readonly string[] = []): void {
  const node = fieldAt(schema, path)
  if (!isTree(tree) || !node?.properties) return
  for (const [key, value] of Object.entries(tree)) {
    if (!Object.hasOwn(node.properties, key)) unknownField(schema, [...path, key])
    checkFields(schema, value, [...path, key])
  }
}

function valueAt(tree: unknown, path: readonly PropertyKey[]): unknown {
  let node = tree
  for (const key of path)
    node = node !== null && typeof node === 'object' ? (node as Record<PropertyKey, unknown>)[key] : undefined
  return node
}

/** One line for the first thing zod found: `config.s: expected an integer >= 2, got 1 (symbols per rule)`. */
function explain(
  issue: z.core.$ZodIssue,
  schema: FieldSchema,
  input: unknown,
  locate: Locate | undefined,
): string {
  const path = issue.path
  const name = `${prefix(locate?.(path))}${['config', ...path.map(String)].join('.')}`
  const got = JSON.stringify(valueAt(input, path)) ?? 'nothing'
  if (issue.code === 'custom') return `${name}: ${issue.message}${path.length ? `, got ${got}` : ''}`
  const field = fieldAt(schema, path)
  const about = field?.description ? ` (${field.description})` : ''
  return `${name}: expected ${describeField(field)}, got ${got}${about}`
}

/** Validate a partial config: defaults are filled in, unknown fields refused. Throws TL_BAD_CONFIG. */
export function completeConfig(experiment: AnyExperiment, partial: unknown, locate?: Locate): BaseConfig {
  const schema = fieldSchema(experiment.config)
  if (!isTree(partial))
    fail('TL_BAD_CONFIG', `config: expected a group of fields, got ${JSON.stringify(partial)}`)
  checkFields(schema, partial)
  const parsed = experiment.config.safeParse(partial)
  if (!parsed.success) fail('TL_BAD_CONFIG', explain(parsed.error.issues[0]!, schema, partial, locate))
  return parsed.data
}

/**
 * What was asked for, before defaults and validation: a tree of fields, and where each came from.
 * Throws TL_BAD_CONFIG for an unknown preset or field.
 */
export function requestedFields(
  experiment: AnyExperiment,
  request: ConfigRequest,
): { tree: Tree; locate: Locate } {
  const schema = fieldSchema(experiment.config)
  const places = new Map<string, string>()
  let tree: Tree = {}
  if (request.preset !== undefined) {
    const presets = Object.keys(experiment.presets)
    if (!presets.includes(request.preset))
      fail(
        'TL_BAD_CONFIG',
        `preset "${request.preset}": ${experiment.name} has no such preset: ${didYouMean(request.preset, presets)}`,
      )
    // a copy of its own: assignments write into it
    tree = structuredClone(experiment.presets[request.preset as 'quick' | 'paper'] as Tree)
  }
  for (const { path, value, where } of request.assignments ?? []) {
    assign(tree, path.split('.'), value)
    places.set(path, where)
  }
  for (const assignment of (request.set ?? []).flatMap(splitAssignments)) {
    const [, name, word] = assignment.match(/^\s*([^=\s]+)\s*=(.*)$/s) ?? []
    if (name === undefined || word === undefined)
      fail('TL_BAD_CONFIG', `--set ${assignment}: expected field=value, such as --set seed=1`)
    const path = name.split('.')
    const field = fieldAt(schema, path)
    if (!field) unknownField(schema, path)
    assign(tree, path, parseWord(word.trim(), field))
    places.delete(name)
  }
  for (const [name, value] of Object.entries(request.values ?? {})) {
    assign(tree, name.split('.'), value)
    places.delete(name)
  }
  const locate: Locate = (path) => {
    for (let length = path.length; length > 0; length--) {
      const place = places.get(path.slice(0, length).join('.'))
      if (place !== undefined) return place
    }
    return undefined
  }
  return { tree, locate }
}

/**
 * The complete config of one run. Throws TL_BAD_CONFIG naming the field, what it accepts and what it got, and the line
 * of the file that said so.
 */
export function composeConfig(experiment: AnyExperiment, request: ConfigRequest = {}): BaseConfig {
  const { tree, locate } = requestedFields(experiment, request)
  return completeConfig(experiment, tree, locate)
}

/** The fields of `config` that differ from the defaults, as dotted path and value, in order of definition. */
export function changedFields(experiment: AnyExperiment, config: unknown): [path: string, value: unknown][] {
  return fieldsFrom(experiment, config, experiment.config.parse({}))
}

/** The fields of `config` that differ from those of `base`. */
const fieldsFrom = (
  experiment: AnyExperiment,
  config: unknown,
  base: unknown,
): [path: string, value: unknown][] =>
  leafFields(fieldSchema(experiment.config))
    .map(([path]) => path.split('.'))
    .filter((keys) => JSON.stringify(valueAt(config, keys)) !== JSON.stringify(valueAt(base, keys)))
    .map((keys) => [keys.join('.'), valueAt(config, keys)])

/**
 * The shortest way to say a config: a preset, or none, and the fields that differ from it, as dotted path and value in order of
 * definition.
 */
export function shortestConfig(
  experiment: AnyExperiment,
  config: unknown,
): { preset?: string; changed: [path: string, value: unknown][] } {
  const ways: { preset?: string; changed: [path: string, value: unknown][] }[] = [
    { changed: changedFields(experiment, config) },
    ...Object.entries(experiment.presets).map(([preset, values]) => ({
      preset,
      changed: fieldsFrom(experiment, config, completeConfig(experiment, values)),
    })),
  ]
  return ways.reduce((best, way) => (way.changed.length < best.changed.length ? way : best))
}

/** Every leaf field of a config with its value, what it accepts in words, and its description. */
export function configRows(
  experiment: AnyExperiment,
  config: unknown,
): { path: string; value: unknown; accepts: string; description: string }[] {
  return leafFields(fieldSchema(experiment.config)).map(([path, field]) => ({
    path,
    value: valueAt(config, path.split('.')),
    accepts: describeField(field),
    description: field.description ?? '',
  }))
}

const quoted = (word: string): string =>
  /^[\w.,:=+/-]*$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

/** The command that makes this run again, whatever the presets will be by then. */
export function reproduceCommand(
  experiment: AnyExperiment,
  config: unknown,
  { root = 'runs', word = experiment.name }: { root?: string; word?: string } = {},
): string {
  const words = ['npx treeline run', quoted(word)]
  for (const [path, value] of changedFields(experiment, config)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    words.push('--set', quoted(`${path}=${text}`))
  }
  if (root !== 'runs') words.push('--out', quoted(root))
  return words.join(' ')
}

/**
 * A short command that goes on with this run by the presets of today: the preset that leaves the fewest fields to be set, the
 * seed by its own flag.
 */
export function resumeCommand(
  experiment: AnyExperiment,
  config: unknown,
  { root = 'runs', word = experiment.name }: { root?: string; word?: string } = {},
): string {
  const texts = (of: unknown): Map<string, string> =>
    new Map(configRows(experiment, of).map(({ path, value }) => [path, JSON.stringify(value)]))
  const own = configRows(experiment, config)
  const from = (preset: string | undefined) => {
    const before = texts(composeConfig(experiment, preset === undefined ? {} : { preset }))
    return { preset, fields: own.filter(({ path, value }) => before.get(path) !== JSON.stringify(value)) }
  }
  const all = [undefined, ...Object.keys(experiment.presets)].map(from)
  const { preset, fields } = all.reduce((a, b) => (b.fields.length < a.fields.length ? b : a))
  const words = ['npx treeline run', quoted(word)]
  if (preset !== undefined) words.push('--preset', preset)
  for (const { path, value } of fields) {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    if (path === 'seed') words.push('--seed', text)
    else words.push('--set', quoted(`${path}=${text}`))
  }
  if (root !== 'runs') words.push('--out', quoted(root))
  return words.join(' ')
}

/** SHA-256 over experiment, its version and the complete config. */
export const configHash = (experiment: AnyExperiment, config: unknown): string =>
  contentHash({ experiment: experiment.name, version: experiment.version, config })
