/** @file JSON Schema of a merge configuration, for editors: made from the table of methods, so that it cannot drift from it. */
import { type MergeMethod, mergeMethods, type ParameterSpec } from '../methods/index.ts'
import { chatTemplates } from './templates.ts'
import { outputDtypes } from './types.ts'

type Schema = Readonly<Record<string, unknown>>

const text = (description: string): Schema => ({ type: 'string', minLength: 1, description })

const model = {
  description: 'a model: a folder or weight file on this machine, or BASE+ADAPTER',
  anyOf: [{ type: 'string', minLength: 1 }, { type: 'object' }],
}

const ref = (name: string): Schema => ({ $ref: `#/definitions/${name}` })

/** Specs with equal values share a definition: there are few kinds. */
const kindOf = ({ type, min, max }: ParameterSpec): string =>
  [type, ...(min === undefined && max === undefined ? [] : [min ?? '', max ?? ''])].join(' ')

/** What a parameter may be: a scalar, a gradient over the layers, or filters on tensor names. */
function kind({ type, min, max }: ParameterSpec): Schema {
  const scalar: Schema =
    type === 'boolean'
      ? { type: ['boolean', 'string', 'integer'] }
      : // numbers may be written as text: 1e-5 is text in YAML 1.1
        {
          anyOf: [
            { type, ...(min !== undefined && { minimum: min }), ...(max !== undefined && { maximum: max }) },
            { type: 'string', pattern: '^\\s*[-+.0-9]' },
          ],
        }
  const entry: Schema = {
    type: 'object',
    properties: {
      filter: { type: ['string', 'number', 'boolean', 'null'] },
      value: { anyOf: [scalar, { type: 'array', items: scalar, minItems: 1 }] },
    },
    required: ['value'],
    additionalProperties: false,
  }
  return { anyOf: [scalar, { type: 'array', items: { anyOf: [scalar, entry] }, minItems: 1 }, entry] }
}

/** A parameter with its words; beside a bare `$ref` draft 7 would not see them. */
function parameter(spec: ParameterSpec): Schema {
  const { doc, default: standard, inert } = spec
  const words = [doc, inert && `no effect here: ${inert}`, standard !== undefined && `default ${standard}`]
  return { description: words.filter(Boolean).join('; '), allOf: [ref(kindOf(spec))] }
}

/** A `parameters` mapping with just these names. */
const parameters = (specs: readonly ParameterSpec[]): Schema => ({
  type: ['object', 'null'],
  properties: Object.fromEntries(
    specs.filter(({ computed }) => !computed).map((spec) => [spec.name, parameter(spec)]),
  ),
  additionalProperties: false,
})

const list = (items: Schema, description: string): Schema => ({
  type: 'array',
  items,
  minItems: 1,
  description,
})

/** What stands in a file of one method: `models`, `slices`, `modules` and `parameters`, wherever they may stand. */
function placesOf(method: MergeMethod | undefined): Record<string, Schema> {
  const own = method ? ref(`${method.name}.model`) : {}
  const wide = method ? ref(`${method.name}.all`) : {}
  const models = list(
    {
      type: 'object',
      properties: { model, parameters: own },
      required: ['model'],
      additionalProperties: false,
    },
    'the models to merge, all their layers',
  )
  const source: Schema = {
    type: 'object',
    properties: {
      model,
      layer_range: {
        type: 'array',
        items: { type: 'integer', minimum: 0 },
        minItems: 2,
        maxItems: 2,
        description: '[first, end], end not included',
      },
      parameters: own,
    },
    required: ['model', 'layer_range'],
    additionalProperties: false,
  }
  const slices = list(
    {
      type: 'object',
      properties: {
        sources: list(source, 'equally many layers of each model'),
        base_model: model,
        parameters: wide,
      },
      required: ['sources'],
      additionalProperties: false,
    },
    'consecutive layers of the new model, and where each comes from',
  )
  const modules: Schema = {
    type: 'object',
    description: 'stacks of layers by name, such as `default`',
    additionalProperties: {
      type: 'object',
      properties: method
        ? { models: ref(`${method.name}.models`), slices: ref(`${method.name}.slices`), parameters: wide }
        : { models: {}, slices: {}, parameters: {} },
      additionalProperties: false,
    },
  }
  return { models, slices, modules, parameters: wide }
}

const tokenSource: Schema = {
  anyOf: [
    model,
    {
      type: 'object',
      properties: {
        kind: { enum: ['zero', 'model_token'] },
        model,
        token: { type: 'string' },
        token_id: { type: 'integer', minimum: 0 },
      },
      required: ['kind'],
      additionalProperties: false,
    },
  ],
}

const dtype = (description: string): Schema => ({
  type: 'string',
  description,
  examples: Object.keys(outputDtypes),
})

/** JSON Schema (draft 7, which editors read) of a merge configuration. */
export function mergeConfigSchema(): Schema {
  const methods = Object.values(mergeMethods)
  const places = placesOf(undefined)
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'treeline merge configuration',
    description: "mergekit's configuration file, as `treeline merge` reads it",
    type: 'object',
    properties: {
      merge_method: {
        description: 'how values become one',
        anyOf: methods.map(({ name, title }) => ({ const: name, description: title })),
      },
      base_model: { ...model, description: 'the model that the others were trained from' },
      models: places['models'],
      slices: places['slices'],
      modules: places['modules'],
      parameters: { type: ['object', 'null'], description: 'parameters of the whole merge' },
      dtype: dtype('type of the output, and of the arithmetic with --arithmetic dtype'),
      out_dtype: dtype('type of the output, where it is not that of the arithmetic'),
      tokenizer_source: { ...model, description: 'union, base, or the model whose tokenizer the output has' },
      tokenizer: {
        type: 'object',
        properties: {
          source: model,
          tokens: {
            type: 'object',
            additionalProperties: {
              type: ['object', 'null'],
              properties: { source: tokenSource, force: { type: 'boolean' } },
              additionalProperties: false,
            },
          },
          pad_to_multiple_of: { type: 'integer', minimum: 1, maximum: 1 << 20 },
        },
        additionalProperties: false,
      },
      chat_template: text(`auto, Jinja text, or one of ${Object.keys(chatTemplates).join(', ')}`),
      skip: {
        description: 'parts of names (`*`: any characters) of tensors that stay as the base has them',
        anyOf: [text('one pattern'), { type: 'array', items: text('a pattern') }],
      },
      lines: {
        type: 'object',
        description: 'LiNeS: the change from the base, scaled by depth: α + β · depth',
        properties: {
          alpha: { anyOf: [{ const: 'auto' }, { type: 'number' }] },
          beta: { type: 'number' },
          base: model,
        },
        required: ['alpha', 'beta'],
        additionalProperties: false,
      },
    },
    definitions: Object.fromEntries(
      methods.flatMap((method) => {
        const { global, perModel } = method.parameters
        const all = [...global, ...perModel]
        return [
          ...all.map((spec) => [kindOf(spec), kind(spec)]),
          [`${method.name}.model`, parameters(perModel)],
          [`${method.name}.all`, parameters(all)],
          ...Object.entries(placesOf(method)).map(([place, schema]) => [`${method.name}.${place}`, schema]),
        ]
      }),
    ),
    required: ['merge_method'],
    // places for anchors
    patternProperties: { '^(x-|_|\\.)': {} },
    additionalProperties: false,
    oneOf: ['models', 'slices', 'modules'].map((key) => ({ required: [key] })),
    allOf: methods.map((method) => ({
      if: { properties: { merge_method: { const: method.name } }, required: ['merge_method'] },
      // biome-ignore lint/suspicious/noThenProperty: the word of JSON Schema
      then: {
        properties: Object.fromEntries(
          ['models', 'slices', 'modules', 'parameters'].map((place) => [
            place,
            ref(`${method.name}.${place}`),
          ]),
        ),
        ...(method.needsBase === true && {
          anyOf: [{ required: ['base_model'] }, { required: ['slices'] }, { required: ['modules'] }],
        }),
      },
    })),
  }
}
