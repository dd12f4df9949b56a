/** @file What a model folder holds beside weights: config, tokenizer, chat template, and a card with the recipe. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { writeAtomically } from '../../base/files.ts'
import { isObject, type JsonObject, prettyJson, torchName } from '../../base/index.ts'
import { checkReadable, readBytes, readObject, readText } from '../../base/read.ts'
import { companionsOf } from '../../checkpoint/index.ts'
import type { MergeConfig } from '../config/index.ts'
import type { MergePlan } from '../plan/index.ts'
import { checkTokenizer, tokenizerFiles, type Vocabulary, writeTokenizer } from '../vocabulary/index.ts'
import { withTakenLayers } from './layerConfig.ts'

function templateOf(model: string): string | undefined {
  const folder = companionsOf(model)
  const file = join(folder, 'chat_template.jinja')
  if (existsSync(file)) return readText(file).trim()
  const own = readObject(join(folder, 'tokenizer_config.json'))?.['chat_template']
  if (typeof own === 'string') return own.trim()
  // several templates: a list of { name, template }
  const named = Array.isArray(own) ? own.find((one) => isObject(one) && one['name'] === 'default') : undefined
  const text: unknown = isObject(named) ? named['template'] : undefined
  return typeof text === 'string' ? text.trim() : undefined
}

/** The template that most models have; of equally frequent ones the first. */
function commonTemplate(models: readonly string[]): string | undefined {
  const counts = new Map<string, number>()
  for (const template of models.map(templateOf))
    if (template) counts.set(template, (counts.get(template) ?? 0) + 1)
  const most = Math.max(0, ...counts.values())
  return [...counts].find(([, count]) => count === most)?.[0]
}

/** The output's config.json: the base's (or the first model's), with the type, depth and head of what was written. */
function outputConfig(
  config: MergeConfig,
  plan: MergePlan,
  vocabulary: Vocabulary | undefined,
): { config: JsonObject; warnings: readonly string[] } | undefined {
  const source = readObject(join(companionsOf(config.baseModel ?? config.models[0]!), 'config.json'))
  if (!source) return undefined
  const { config: layered, warnings } =
    plan.layers === undefined ? { config: source, warnings: [] } : withTakenLayers(source, config)
  const result: JsonObject = { ...layered }
  const types = new Set(plan.tensors.filter(({ action }) => action === 'merge').map(({ dtype }) => dtype))
  const [type] = [...types].map(torchName)
  if (types.size === 1 && type) result['dtype' in result ? 'dtype' : 'torch_dtype'] = type
  if (vocabulary) {
    const inner = result['text_config']
    if (isObject(inner) && 'vocab_size' in inner)
      result['text_config'] = { ...inner, vocab_size: vocabulary.rows }
    if ('vocab_size' in result || !isObject(inner)) result['vocab_size'] = vocabulary.rows
  }
  if (result['tie_word_embeddings'] === true && plan.tensors.some(({ name }) => name === 'lm_head.weight'))
    result['tie_word_embeddings'] = false
  return { config: result, warnings }
}

/** Longer than any run of backquotes in the text. */
const fence = (text: string): string =>
  '`'.repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([run]) => run.length + 1)))

/** Why the output will have no config.json, if so; a GGUF file has one only as a folder. */
export function withoutConfig({ baseModel, models }: MergeConfig, isGguf: boolean): string[] {
  const first = baseModel ?? models[0]!
  if (existsSync(join(companionsOf(first), 'config.json'))) return []
  const advice = isGguf
    ? `: its tensors have the names of GGUF, which Transformers does not know: convert it first (treeline convert ${first} FOLDER/)`
    : ''
  return [`${first} has no config.json, so the output has none${advice}`]
}

/** The model card: everything that is needed to make the same bytes again. */
function modelCard(
  title: string,
  config: MergeConfig,
  details: readonly string[],
  hasConfig: boolean,
): string {
  const { method, models, baseModel, text } = config
  const around = fence(text)
  const list = models.map((model) => `- \`${model}\`${model === baseModel ? ' (base)' : ''}`)
  return [
    '---',
    // weights alone are no model that the library could load
    ...(hasConfig ? ['library_name: transformers'] : []),
    'tags:',
    '- merge',
    '- treeline',
    '---',
    `# ${title}`,
    '',
    `A merge of ${models.length} model${models.length === 1 ? '' : 's'} by ${method.title} (\`${method.name}\`; ${method.source}), made with Treeline.`,
    '',
    '## Models',
    '',
    ...list,
    '',
    '## Recipe',
    '',
    `${around}yaml`,
    text.trimEnd(),
    around,
    '',
    ...details.map((line) => `- ${line}`),
    '',
  ].join('\n')
}

/** Throws where `writeCompanions` would stop at a file of a model. */
export function checkCompanions(
  config: MergeConfig,
  plan: MergePlan,
  vocabulary: Vocabulary | undefined,
): void {
  outputConfig(config, plan, vocabulary)
  const folder = companionsOf(config.baseModel ?? config.models[0]!)
  const names = vocabulary ? ['generation_config.json'] : ['generation_config.json', ...tokenizerFiles]
  for (const path of names.map((name) => join(folder, name))) if (existsSync(path)) checkReadable(path)
  if (vocabulary) checkTokenizer(vocabulary)
  if (config.chatTemplate === undefined) return
  readObject(join(vocabulary?.tokenizer.model ?? folder, 'tokenizer_config.json'))
  if (config.chatTemplate === 'auto') commonTemplate(config.models)
}

/** What companions are made of besides configuration and plan. */
interface CompanionFacts {
  readonly vocabulary: Vocabulary | undefined
  /** Of the model card. */
  readonly title: string
  /** Lines of the model card. */
  readonly details: readonly string[]
}

/** Write all of it into a folder. Returns what could not be had, for people. */
export function writeCompanions(
  out: string,
  config: MergeConfig,
  plan: MergePlan,
  { vocabulary, title, details }: CompanionFacts,
): string[] {
  const warnings: string[] = []
  const first = config.baseModel ?? config.models[0]!
  const own = outputConfig(config, plan, vocabulary)
  if (own) {
    writeAtomically(join(out, 'config.json'), prettyJson(own.config))
    warnings.push(...own.warnings)
  }
  const copy = (model: string, name: string): void => {
    const path = join(companionsOf(model), name)
    if (existsSync(path)) writeAtomically(join(out, name), readBytes(path))
  }
  copy(first, 'generation_config.json')
  if (vocabulary) writeTokenizer(out, vocabulary)
  else for (const name of tokenizerFiles) copy(first, name)
  const { chatTemplate } = config
  if (chatTemplate !== undefined) {
    const template = chatTemplate === 'auto' ? commonTemplate(config.models) : chatTemplate
    const settings = readObject(join(out, 'tokenizer_config.json'))
    if (template === undefined) warnings.push('chat_template: auto: none of the models has a template')
    else {
      writeAtomically(join(out, 'chat_template.jinja'), template)
      if (settings && 'chat_template' in settings)
        writeAtomically(
          join(out, 'tokenizer_config.json'),
          prettyJson({ ...settings, chat_template: template }),
        )
    }
  }
  writeAtomically(join(out, 'mergekit_config.yml'), config.text)
  writeAtomically(join(out, 'README.md'), modelCard(title, config, details, own !== undefined))
  return warnings
}
