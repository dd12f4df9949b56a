/** @file JSON Schema of a sweep file, for editors: made from the experiments' own configs. */
import type { AnyExperiment } from '../experiment.ts'
import { type FieldSchema, fieldSchema, leafFields } from '../schema.ts'

type Schema = Readonly<Record<string, unknown>>

/** Groups of fields by name, as `noise: { size: 1 }`; the whole is checked when the file is read. */
const groups = ({ properties = {} }: FieldSchema): Record<string, Schema> =>
  Object.fromEntries(
    Object.entries(properties)
      .filter(([, field]) => field.properties)
      .map(([name]) => [name, { type: 'object' }]),
  )

/** The rows `set`, `grid`, `zip` and `preset` of one experiment. */
function blockOf({ config, presets }: AnyExperiment): Schema {
  const schema = fieldSchema(config)
  const leaves = leafFields(schema)
  const values = Object.fromEntries(leaves)
  const lists = Object.fromEntries(
    leaves.map(([path, field]) => [
      path,
      {
        type: 'array',
        minItems: 1,
        items: field,
        ...(field.description && { description: field.description }),
      },
    ]),
  )
  const fields = (properties: Readonly<Record<string, unknown>>): Schema => ({
    type: 'object',
    properties: { ...groups(schema), ...properties },
    additionalProperties: false,
  })
  return {
    properties: {
      preset: { enum: Object.keys(presets) },
      set: fields(values),
      grid: fields(lists),
      zip: fields(lists),
    },
  }
}

/** JSON Schema (draft 7, which editors read) of a sweep file. */
export function sweepFileSchema(experiments: readonly AnyExperiment[]): Schema {
  const filter = { type: 'string', description: 'an expression over fields, such as m * v <= v ** s' }
  const block: Schema = {
    type: 'object',
    properties: {
      experiment: {
        description: 'an experiment by name, or the path of a module of your own',
        anyOf: [
          ...experiments.map(({ name, title }) => ({ const: name, description: title })),
          { type: 'string', pattern: '[./\\\\]' },
        ],
      },
      preset: { type: 'string', description: 'the values to begin with' },
      set: { type: 'object', description: 'fields that are the same in every run' },
      grid: { type: 'object', description: 'fields with lists of values: every combination is run' },
      zip: { type: 'object', description: 'fields with lists of equal length, which advance together' },
      repeat: {
        description: 'a number of seeds, or a list of them',
        anyOf: [
          { type: 'integer', minimum: 1, maximum: 100_000 },
          { type: 'array', minItems: 1, items: { type: 'integer', minimum: 0 } },
        ],
      },
      filter: { anyOf: [filter, { type: 'array', items: filter }] },
    },
    required: ['experiment'],
    additionalProperties: false,
    allOf: experiments.map((experiment) => ({
      if: { properties: { experiment: { const: experiment.name } }, required: ['experiment'] },
      // biome-ignore lint/suspicious/noThenProperty: the word of JSON Schema
      then: blockOf(experiment),
    })),
  }
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'treeline sweep file',
    anyOf: [block, { type: 'array', minItems: 1, items: block }],
  }
}
