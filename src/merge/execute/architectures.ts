/** @file Do the models of a merge fit each other? What their config.json say of the same matrices, before any work. */
import { join } from 'node:path'
import { isObject, type JsonObject } from '../../base/index.ts'
import { readObject } from '../../base/read.ts'
import { companionsOf } from '../../checkpoint/index.ts'
import type { MergeConfig } from '../config/index.ts'
import { modelsOf } from '../plan/index.ts'
import type { Problem } from '../problems.ts'

/** The part of config.json that describes the language model; undefined where there is none. */
export function textConfig(model: string): JsonObject | undefined {
  const config = readObject(join(companionsOf(model), 'config.json'))
  const inner = config?.['text_config']
  return isObject(inner) ? { ...config, ...inner } : config
}

/** A value of the configuration, or what programs take where it is absent. */
type Reading = (config: JsonObject) => unknown

const plain =
  (key: string, ...others: readonly string[]): Reading =>
  (config) =>
    [key, ...others].map((name) => config[name]).find((value) => value !== undefined && value !== null)

/** Newer files keep the base of the angles and their scaling in one object. */
const rotary = (config: JsonObject): JsonObject =>
  isObject(config['rope_parameters']) ? config['rope_parameters'] : {}

const scaling: Reading = (config) => {
  const own = isObject(config['rope_scaling']) ? config['rope_scaling'] : rotary(config)
  const { rope_theta: _, type, rope_type: kind = type, ...rest } = own
  return kind === undefined || kind === 'default' ? undefined : { kind, ...rest }
}

const headWidth: Reading = (config) => {
  const [width, heads] = [
    plain('hidden_size', 'n_embd')(config),
    plain('num_attention_heads', 'n_head')(config),
  ]
  return (
    config['head_dim'] ?? (typeof width === 'number' && typeof heads === 'number' ? width / heads : undefined)
  )
}

/** Settings under which the same matrices compute something else. */
const readings: Readonly<Record<string, Reading>> = {
  num_attention_heads: plain('num_attention_heads', 'n_head'),
  num_key_value_heads: (config) =>
    config['num_key_value_heads'] ?? plain('num_attention_heads', 'n_head')(config),
  head_dim: headWidth,
  rope_theta: (config) => config['rope_theta'] ?? rotary(config)['rope_theta'],
  rope_scaling: scaling,
  partial_rotary_factor: (config) =>
    config['partial_rotary_factor'] ?? rotary(config)['partial_rotary_factor'],
  rms_norm_eps: plain('rms_norm_eps'),
  layer_norm_epsilon: plain('layer_norm_epsilon', 'layer_norm_eps'),
  hidden_act: plain('hidden_act', 'hidden_activation', 'activation_function'),
  sliding_window: (config) => (config['use_sliding_window'] === false ? undefined : config['sliding_window']),
  query_pre_attn_scalar: plain('query_pre_attn_scalar'),
  attn_logit_softcapping: plain('attn_logit_softcapping'),
  final_logit_softcapping: plain('final_logit_softcapping'),
  embedding_multiplier: plain('embedding_multiplier'),
  residual_multiplier: plain('residual_multiplier'),
  attention_multiplier: plain('attention_multiplier'),
  logits_scaling: plain('logits_scaling', 'logit_scale'),
}

const show = (value: unknown): string =>
  value === undefined || value === null ? 'none' : JSON.stringify(value)
/** Keys in one order, so that equal objects are equal texts. */
const canonical = (value: unknown): string =>
  isObject(value) ? JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : show(value)

/**
 * What stands against merging these models, from their config.json: another `model_type` is a problem (mergekit wants
 * --allow-crimes for it), other meanings of equal matrices are warnings. The first model's configuration becomes the output's.
 */
export function architectureFindings(config: MergeConfig): { problems: Problem[]; warnings: string[] } {
  const [problems, warnings]: [Problem[], string[]] = [[], []]
  const first = config.baseModel ?? config.models[0]!
  const own = textConfig(first)
  for (const model of own ? modelsOf(config) : []) {
    const other = model === first ? undefined : textConfig(model)
    if (!other) continue
    const [type, otherType] = [own!['model_type'], other['model_type']]
    if (type !== undefined && otherType !== undefined && type !== otherType)
      problems.push({
        where: model,
        message: `the architectures differ: ${first} is ${show(type)}, ${model} is ${show(otherType)}; the output would be a ${show(type)} with weights of both`,
        code: 'TL_SHAPE_MISMATCH',
      })
    const odd = Object.entries(readings)
      .map(([key, read]) => ({ key, a: read(own!), b: read(other) }))
      .filter(({ a, b }) => canonical(a) !== canonical(b))
      .map(({ key, a, b }) => `${key} ${show(a)} and ${show(b)}`)
    if (odd.length > 0)
      warnings.push(
        `${first} and ${model} compute different things from equal matrices: ${odd.join(', ')}; the output has those of ${first}`,
      )
  }
  return { problems, warnings }
}
