/** @file What a model folder holds beside weights: config, tokenizer, chat template, and a card with the recipe. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { explainSystemError, writeAtomically } from '../../../base/files.ts'
import { fail, bytes as showBytes } from '../../../base/index.ts'
import type { MergeConfig } from '../config/index.ts'
import type { MergePlan } from '../plan/index.ts'

const tokenizerFiles = [
  'tokenizer_config.json',
  'special_tokens_map.json',
  'tokenizer.json',
  'tokenizer.model',
  'added_tokens.json',
  'vocab.json',
  'vocab.txt',
  'merges.txt',
  'chat_template.jinja',
  'chat_template.json',
  'generation_config.json',
]

type Json = Record<string, unknown>
const mostBytes = 256e6

function readBytes(path: string): Buffer {
  try {
    const { size } = statSync(path)
    if (size > mostBytes)
      fail('TL_BAD_FILE', `${path}: ${showBytes(size)}, expected at most ${showBytes(mostBytes)}`)
    return readFileSync(path)
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
}

function readJson(path: string): Json | undefined {
  if (!existsSync(path)) return undefined
  try {
    const value: unknown = JSON.parse(readBytes(path).toString('utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  } catch (error) {
    fail('TL_BAD_FILE', `${path}: not valid JSON: ${(error as Error).message.slice(0, 200)}`, error)
  }
  return fail('TL_BAD_FILE', `${path}: expected a JSON object`)
}

/** The words of a tokenizer and their numbers, in a form that can be compared; undefined when there is no tokenizer. */
function vocabularyOf(model: string): string | undefined {
  const fast = readJson(join(model, 'tokenizer.json'))
  if (fast) {
    const inner = fast['model'] as Json | undefined
    const words = Object.entries((inner?.['vocab'] ?? {}) as Json).map(
      ([word, id]) => `${String(id)} ${word}`,
    )
    const added = ((fast['added_tokens'] ?? []) as Json[]).map(
      ({ id, content }) => `${String(id)} ${String(content)}`,
    )
    return [...new Set([...words, ...added])].sort().join('\n')
  }
  const slow = join(model, 'tokenizer.model')
  return existsSync(slow) ? readBytes(slow).toString('base64') : undefined
}

/** The model that the tokenizer is taken from. */
const tokenizerDonor = ({ tokenizerSource, baseModel, models }: MergeConfig): string => {
  const named = tokenizerSource !== undefined && tokenizerSource !== 'base' && tokenizerSource !== 'union'
  return named ? tokenizerSource : (baseModel ?? models[0]!)
}

/** What stands against the tokenizer and template that are asked for; empty when they can be had. */
export function companionProblems(config: MergeConfig): string[] {
  const problems: string[] = []
  const { tokenizerSource, chatTemplate, models } = config
  if (tokenizerSource !== undefined) {
    const all = [...new Set([tokenizerDonor(config), ...models])].map(
      (model) => [model, vocabularyOf(model)] as const,
    )
    const [[donor, words]] = all as [readonly [string, string | undefined]]
    if (words === undefined)
      problems.push(`tokenizer_source: ${donor} has no tokenizer.json or tokenizer.model`)
    for (const [model, own] of all)
      if (words !== undefined && own !== undefined && own !== words)
        problems.push(
          `tokenizer_source: the vocabularies of ${donor} and ${model} differ; embeddings cannot be moved between tokenizers yet, only merged where the tokens are the same`,
        )
  }
  if (chatTemplate !== undefined && chatTemplate !== 'auto' && !chatTemplate.includes('{'))
    problems.push(
      `chat_template: "${chatTemplate}" is no template: expected \`auto\` (the most frequent one of the models) or Jinja text`,
    )
  return problems
}

function templateOf(model: string): string | undefined {
  const file = join(model, 'chat_template.jinja')
  if (existsSync(file)) return readBytes(file).toString('utf8').trim()
  const own = readJson(join(model, 'tokenizer_config.json'))?.['chat_template']
  return typeof own === 'string' ? own.trim() : undefined
}

/** The template that most models have; of equally frequent ones the first. */
function commonTemplate(models: readonly string[]): string | undefined {
  const counts = new Map<string, number>()
  for (const template of models.map(templateOf))
    if (template) counts.set(template, (counts.get(template) ?? 0) + 1)
  const most = Math.max(0, ...counts.values())
  return [...counts].find(([, count]) => count === most)?.[0]
}

const torchNames: Readonly<Record<string, string>> = {
  F32: 'float32',
  BF16: 'bfloat16',
  F16: 'float16',
  F64: 'float64',
}
const layerKeys = ['num_hidden_layers', 'n_layer', 'num_layers', 'n_layers']
const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

/** The output's config.json: the base's (or the first model's), with the type, depth and head of what was written. */
function outputConfig(config: MergeConfig, plan: MergePlan): Json | undefined {
  const source = readJson(join(config.baseModel ?? config.models[0]!, 'config.json'))
  if (!source) return undefined
  const result: Json = { ...source }
  const types = new Set(plan.tensors.filter(({ action }) => action === 'merge').map(({ dtype }) => dtype))
  const [type] = types
  if (types.size === 1 && torchNames[type!])
    result['dtype' in result ? 'dtype' : 'torch_dtype'] = torchNames[type!]
  const key = layerKeys.find((name) => name in result)
  if (plan.layers !== undefined && key) result[key] = plan.layers
  if (result['tie_word_embeddings'] === true && plan.tensors.some(({ name }) => name === 'lm_head.weight'))
    result['tie_word_embeddings'] = false
  return result
}

/** Longer than any run of backquotes in the text. */
const fence = (text: string): string =>
  '`'.repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([run]) => run.length + 1)))

/** The model card: everything that is needed to make the same bytes again. */
export function modelCard(out: string, config: MergeConfig, details: readonly string[]): string {
  const { method, models, baseModel, text } = config
  const around = fence(text)
  const list = models.map((model) => `- \`${model}\`${model === baseModel ? ' (base)' : ''}`)
  return [
    '---',
    'library_name: transformers',
    'tags:',
    '- merge',
    '- treeline',
    '---',
    `# ${basename(out)}`,
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

/** Write all of it. Returns what could not be had, for people. */
export function writeCompanions(
  out: string,
  config: MergeConfig,
  plan: MergePlan,
  details: readonly string[],
): string[] {
  const warnings: string[] = []
  const donor = tokenizerDonor(config)
  const own = outputConfig(config, plan)
  if (own) writeAtomically(join(out, 'config.json'), json(own))
  else warnings.push(`${config.baseModel ?? config.models[0]!} has no config.json, so the output has none`)
  for (const name of tokenizerFiles) {
    const path = join(donor, name)
    if (existsSync(path)) writeAtomically(join(out, name), readBytes(path))
  }
  const { chatTemplate } = config
  if (chatTemplate !== undefined) {
    const template = chatTemplate === 'auto' ? commonTemplate(config.models) : chatTemplate
    const settings = readJson(join(donor, 'tokenizer_config.json'))
    if (template === undefined) warnings.push('chat_template: auto: none of the models has a template')
    else {
      writeAtomically(join(out, 'chat_template.jinja'), template)
      if (settings && 'chat_template' in settings)
        writeAtomically(join(out, 'tokenizer_config.json'), json({ ...settings, chat_template: template }))
    }
  }
  writeAtomically(join(out, 'mergekit_config.yml'), config.text)
  writeAtomically(join(out, 'README.md'), modelCard(out, config, details))
  return warnings
}
