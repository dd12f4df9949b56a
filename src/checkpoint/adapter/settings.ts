/**
 * @file What an `adapter_config.json` of PEFT says that the numbers depend on. An option under which the stored factors mean
 * something else than s·B·A is refused by its name: a change that is not the adapter's own must never be written.
 */
import { fail, isObject } from '../../base/index.ts'
import { quoted } from '../header.ts'

/** An adapter's configuration after reading. */
export interface AdapterSettings {
  /** LORA, or TRAINABLE_TOKENS: rows of the embedding alone. */
  readonly type: 'LORA' | 'TRAINABLE_TOKENS'
  /** `fan_in_fan_out`: weights are stored as `[in, out]`. */
  readonly isTransposed: boolean
  /** `use_dora`: a magnitude for each output. */
  readonly isDora: boolean
  /** `ensure_weight_tying`: what changes the embedding changes a tied head, too. */
  readonly isTied: boolean
  /** Rank that the configuration gives a module. */
  rankOf(module: string): number
  /** s of a module whose factors have this rank: alpha/r, or alpha/√r with `use_rslora`. */
  scaleOf(module: string, rank: number): number
  /** Rows of an embedding that were trained, by the module's name; undefined where none were. */
  tokensOf(module: string): readonly number[] | undefined
}

type Fields = Readonly<Record<string, unknown>>

/** Kinds of adapters that train prompts or route between adapters: there is no change of weights. */
const withoutWeights = new Set([
  'PROMPT_TUNING',
  'MULTITASK_PROMPT_TUNING',
  'P_TUNING',
  'PREFIX_TUNING',
  'ADAPTION_PROMPT',
  'CPT',
  'CARTRIDGE',
  'XLORA',
  'POLY',
  'SHADOW',
])

/** Options of LORA with which the factors are no plain product: the option, and what it does. */
const variants: readonly (readonly [string, string])[] = [
  ['use_qalora', 'QALoRA pools the inputs before A'],
  [
    'alora_invocation_tokens',
    'Activated LoRA acts only after its invocation tokens, so no merge can stand for it',
  ],
  ['kasa_config', 'KaSA cuts singular values of the base weights and puts a diagonal between A and B'],
  ['use_bdlora', 'BD-LoRA stores blocks of a diagonal'],
  ['arrow_config', 'Arrow chooses between adapters for every token'],
  ['layer_replication', 'the adapter belongs to a model with repeated layers'],
  ['target_parameters', 'the factors belong to stacked parameters of experts'],
  ['megatron_config', 'the factors belong to layers of Megatron'],
]

/** Initializations after which the change is s·B·A: the base weights are as they were. */
const plainStarts = new Set(['gaussian', 'eva', 'orthogonal', 'mica'])

/** Initializations that take a part out of the base weights when the adapter is attached. */
const changedBases: Readonly<Record<string, string>> = {
  pissa: 'PiSSA',
  olora: 'OLoRA',
  corda: 'CorDA',
  loftq: 'LoftQ',
  lora_ga: 'LoRA-GA',
}

/** Is the option set? Empty lists and objects say nothing. */
const isSet = (value: unknown): boolean => {
  if (value === undefined || value === null || value === false) return false
  if (Array.isArray(value)) return value.length > 0
  return isObject(value) ? Object.keys(value).length > 0 : true
}

function refuseType(path: string, type: unknown): void {
  if (type === 'LORA' || type === 'TRAINABLE_TOKENS') return
  const name = quoted(String(type))
  if (withoutWeights.has(String(type)))
    fail(
      'TL_UNSUPPORTED',
      `${path}: peft_type ${name} changes no weights, so it cannot be applied to a model`,
    )
  fail(
    'TL_UNSUPPORTED',
    `${path}: peft_type ${name}: only LORA and TRAINABLE_TOKENS are applied here; merge this adapter with PEFT first (merge_and_unload) and take the model that it saves`,
  )
}

function refuseVariants(path: string, config: Fields): void {
  for (const [key, what] of variants)
    if (isSet(config[key]))
      fail(
        'TL_UNSUPPORTED',
        `${path}: ${key}: ${what}; merge it with PEFT first (merge_and_unload) where PEFT can`,
      )
}

function refuseStart(path: string, start: unknown): void {
  if (start === undefined || start === null || typeof start === 'boolean') return
  const word = String(start)
  if (plainStarts.has(word.toLowerCase())) return
  const kind = Object.keys(changedBases).find((prefix) => word.toLowerCase().startsWith(prefix))
  if (kind === undefined)
    fail(
      'TL_UNSUPPORTED',
      `${path}: init_lora_weights: ${quoted(word)} is not known, so what the factors are added to is not either`,
    )
  const advice =
    kind === 'loftq'
      ? 'merge it with PEFT onto the model that it was trained on'
      : 'convert it with PEFT: save_pretrained(…, path_initial_model_for_weight_conversion=…), or merge it there onto the base that it was trained on'
  fail(
    'TL_UNSUPPORTED',
    `${path}: init_lora_weights: ${quoted(word)}: ${changedBases[kind!]} takes a part out of the base weights when training begins, and the factors are added to what is left; ${advice}`,
  )
}

/** What a repetition may stand for in a pattern: each makes the search longer by a factor of the name's length. */
const mostWildcards = 4

/**
 * A pattern of `rank_pattern` or `alpha_pattern` as PEFT matches it: a regular expression for the end of a module's path. One
 * that could run for ever (a repetition of a group, many wildcards) is refused.
 */
function patternOf(path: string, key: string, text: string): RegExp {
  const refuse = (why: string): never => fail('TL_UNSUPPORTED', `${path}: ${key}: ${quoted(text)}: ${why}`)
  const plain = text.replace(/\\./g, '_').replace(/\[[^\]]*\]/g, '_')
  if (/\)[*+{?]/.test(plain) || /\(\?/.test(plain) || /\\\d/.test(text))
    refuse('regular expressions with repeated groups, lookaround or references are not read')
  if ((plain.match(/[*+{]/g) ?? []).length > mostWildcards || text.length > 1000)
    refuse(`regular expressions with at most ${mostWildcards} repetitions are read`)
  try {
    return new RegExp(`^(?:.*\\.)?(?:${text})$`)
  } catch {
    return refuse('not a regular expression')
  }
}

type Pattern = readonly [pattern: RegExp, value: number]

function patternsOf(path: string, config: Fields, key: string): Pattern[] {
  const value = config[key] ?? {}
  if (!isObject(value)) return fail('TL_BAD_FILE', `${path}: ${key}: expected an object`)
  return Object.entries(value).map(([name, entry]) => {
    if (typeof entry !== 'number' || !(entry > 0))
      return fail('TL_BAD_FILE', `${path}: ${key}: ${quoted(name)}: expected a number above 0`)
    return [patternOf(path, key, name), entry] as const
  })
}

const isIndices = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((index) => Number.isInteger(index) && (index as number) >= 0)

/** `trainable_token_indices` (a list, or lists by the embedding's name), or `token_indices` of TRAINABLE_TOKENS. */
function readTokens(path: string, config: Fields): (module: string) => readonly number[] | undefined {
  const key = config['peft_type'] === 'TRAINABLE_TOKENS' ? 'token_indices' : 'trainable_token_indices'
  const value = config[key]
  if (!isSet(value)) return () => undefined
  if (isIndices(value)) return () => value
  if (!isObject(value) || !Object.values(value).every(isIndices))
    return fail('TL_BAD_FILE', `${path}: ${key}: expected a list of token ids, or an object of such lists`)
  const lists = Object.entries(value as Record<string, number[]>)
  return (module) => lists.find(([name]) => module === name || module.endsWith(`.${name}`))?.[1]
}

/** Read and check an adapter's configuration. Throws `TL_BAD_FILE`, and `TL_UNSUPPORTED` naming the option. */
export function readSettings(path: string, config: Fields): AdapterSettings {
  refuseType(path, config['peft_type'])
  const type = config['peft_type'] as AdapterSettings['type']
  const number = (key: string): number => {
    const value = config[key]
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
    return fail(
      'TL_BAD_FILE',
      `${path}: ${key}: expected a number above 0, got ${JSON.stringify(value)?.slice(0, 80)}`,
    )
  }
  const tokensOf = readTokens(path, config)
  const isTied = config['ensure_weight_tying'] === true
  if (type === 'TRAINABLE_TOKENS')
    return { type, isTransposed: false, isDora: false, isTied, rankOf: () => 0, scaleOf: () => 1, tokensOf }
  refuseVariants(path, config)
  refuseStart(path, config['init_lora_weights'])
  const [alpha, r] = [number('lora_alpha'), number('r')]
  const [alphas, ranks] = [
    patternsOf(path, config, 'alpha_pattern'),
    patternsOf(path, config, 'rank_pattern'),
  ]
  const isRankStabilized = config['use_rslora'] === true
  const first = (patterns: readonly Pattern[], module: string): number | undefined =>
    patterns.find(([pattern]) => pattern.test(module))?.[1]
  return {
    type,
    isTransposed: config['fan_in_fan_out'] === true,
    isDora: config['use_dora'] === true,
    isTied,
    rankOf: (module) => first(ranks, module) ?? r,
    scaleOf: (module, rank) => (first(alphas, module) ?? alpha) / (isRankStabilized ? Math.sqrt(rank) : rank),
    tokensOf,
  }
}
