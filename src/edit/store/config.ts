/** @file `config.json` of a store. */
import { fail } from '../../base/index.ts'
import type { Look } from '../scope/scope.ts'

/** When an edit has been learned: the published rule within `maxSteps`, or every target token's cross-entropy below `loss`. */
export type StopRule = { readonly rule: 'published' } | { readonly rule: 'loss'; readonly loss: number }

export interface Training {
  readonly rate: number
  /** Share of the last step that the next one adds to its own, in [0, 1); 0 as published. */
  readonly momentum: number
  /** How much earlier edits are spared (`protection.ts`); 0, not at all, as published. */
  readonly protection: number
  /** Largest norm of the gradient. */
  readonly clip: number
  readonly maxSteps: number
  /** An edit that is not learned in `maxSteps` is taught again with so many times as many. Default 1: it is not. */
  readonly patience?: number
  readonly stop: StopRule
  /** n + 1: as published, one more than the target has tokens; n: the mean over them. */
  readonly denominator: 'n+1' | 'n'
  readonly decay: { readonly of: 'none' | 'active-columns' | 'dense'; readonly rate: number }
  /** Teach the end of the text after the target, too. Default false, as published. */
  readonly end?: boolean
  /** Texts put in front of the prompt, in training only. */
  readonly contexts: readonly string[]
}

export interface StoreConfig {
  readonly format: 'treeline-edits/1'
  /** SHA-256 of the model's weights and sizes, and of its tokenizer. */
  readonly model: string
  readonly tokenizer: string
  readonly hidden: number
  readonly width: number
  readonly layer: number
  readonly ones: number
  readonly router: string
  /** The block whose activations the router looks at, at most `layer`. */
  readonly routerLayer: number
  readonly gate: 'none' | 'subject'
  readonly threshold: number
  /** How the threshold was set: by how many prompts that no edit is about, and the share of them that may be answered. */
  readonly calibration?: { readonly prompts: number; readonly falsePositives: number }
  /** What tells another question about the subject from the edit's own; absent: every question about it is the edit's. */
  readonly scope?: ScopeSettings
  readonly seed: number
  readonly training: Training
}

export interface ScopeSettings {
  readonly level: 'narrow' | 'balanced' | 'wide'
  /** Where a prompt is looked at, in blocks up to the router's. */
  readonly looks?: readonly Look[]
  /** In place of `looks` in stores of earlier versions: outside the subject at this block. */
  readonly layer?: number
  /** Entries of the vectors that are compared, in each look. */
  readonly dimensions: number
  /** Known questions. */
  readonly questions: number
  /** Least scores at which a prompt asks the same, by level. */
  readonly thresholds: { readonly narrow: number; readonly balanced: number }
  /** How many prompts it was learned from, and what share of other questions each level lets through. */
  readonly prompts: number
  readonly falsePositives: { readonly narrow: number; readonly balanced: number }
  /** Of one that was learned after the store was made: the file `scope-HASH.safetensors` holds it, not `base.safetensors`. */
  readonly hash?: string
}

/** Where the scope of a store looks. */
export const looksOf = ({ looks, layer }: ScopeSettings): readonly Look[] =>
  looks ?? [{ layer: layer!, tokens: 'outside', weight: 1 }]

export const storeFormat = 'treeline-edits/1'

/** τ as published for ZsRE; 0.9 for hallucinations. */
export const publishedThreshold = 0.4

/** As published (arXiv 2506.07899, code). */
export const publishedTraining: Training = {
  rate: 1,
  momentum: 0,
  protection: 0,
  clip: 1,
  maxSteps: 30,
  stop: { rule: 'published' },
  denominator: 'n+1',
  decay: { of: 'dense', rate: 1e-5 },
  contexts: [],
}

/**
 * What we train with unless told otherwise: until it is learned, and nothing fades; larger steps with momentum get there in
 * less than half as many, and earlier edits are spared.
 */
export const defaultTraining: Training = {
  ...publishedTraining,
  rate: 2,
  momentum: 0.8,
  protection: 1,
  maxSteps: 100,
  patience: 3,
  stop: { rule: 'loss', loss: 0.1 },
  decay: { of: 'none', rate: 0 },
}

/** Throws `TL_BAD_FILE` for a scope that cannot be one of the store. */
function checkScope({ scope, routerLayer }: StoreConfig, path: string): void {
  const { level, looks, layer, dimensions, questions, thresholds, hash = '0'.repeat(16) } = scope ?? {}
  const isBlock = (own: unknown): boolean =>
    Number.isInteger(own) && (own as number) >= 0 && (own as number) <= routerLayer
  const isLook = (look: Partial<Look> | null): boolean =>
    isBlock(look?.layer) &&
    (look!.tokens === 'outside' || look!.tokens === 'last') &&
    Number.isFinite(look!.weight)
  const isCount = (value: unknown): boolean =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 2 ** 24
  if (
    !['narrow', 'balanced', 'wide'].includes(level as string) ||
    !(looks === undefined
      ? isBlock(layer)
      : Array.isArray(looks) && looks.length >= 1 && looks.length <= 16 && looks.every(isLook)) ||
    !isCount(dimensions) ||
    !isCount(questions) ||
    !Number.isFinite(thresholds?.narrow) ||
    !Number.isFinite(thresholds?.balanced) ||
    !(typeof hash === 'string' && /^[0-9a-f]{16}$/.test(hash))
  )
    fail('TL_BAD_FILE', `${path}: "scope" is damaged: ${JSON.stringify(scope)?.slice(0, 200)}`)
}

/** The configuration in a text. Throws `TL_BAD_FILE`. */
export function checkConfig(text: string, path: string): StoreConfig {
  let value: Partial<StoreConfig> | null
  try {
    value = JSON.parse(text) as Partial<StoreConfig> | null
  } catch (error) {
    return fail('TL_BAD_FILE', `${path}: not JSON: ${(error as Error).message.slice(0, 200)}`, error)
  }
  if (value?.format !== storeFormat)
    fail('TL_BAD_FILE', `${path}: expected "format": "${storeFormat}", got ${JSON.stringify(value?.format)}`)
  const config = value as StoreConfig
  for (const key of ['hidden', 'width', 'ones'] as const)
    if (!(Number.isInteger(config[key]) && config[key] >= 1 && config[key] <= 2 ** 24))
      fail(
        'TL_BAD_FILE',
        `${path}: "${key}" should be a positive integer, got ${JSON.stringify(config[key])}`,
      )
  for (const key of ['layer', 'routerLayer', 'seed'] as const)
    if (!(Number.isInteger(config[key]) && config[key] >= 0))
      fail('TL_BAD_FILE', `${path}: "${key}" should be a whole number, got ${JSON.stringify(config[key])}`)
  if (config.ones > config.hidden || config.routerLayer > config.layer || !Number.isFinite(config.threshold))
    fail('TL_BAD_FILE', `${path}: ones, routerLayer or threshold out of range`)
  if (config.scope !== undefined) checkScope(config, path)
  if (
    typeof config.training !== 'object' ||
    config.training === null ||
    !Array.isArray(config.training.contexts)
  )
    fail('TL_BAD_FILE', `${path}: "training" is missing`)
  // stores of earlier versions have neither
  const { momentum = 0, protection = 0 } = config.training
  if (!(protection >= 0 && protection <= 1e9))
    fail('TL_BAD_FILE', `${path}: "protection" should be from 0 on, got ${JSON.stringify(protection)}`)
  if (!(momentum >= 0 && momentum < 1))
    fail('TL_BAD_FILE', `${path}: "momentum" should be in [0, 1), got ${JSON.stringify(momentum)}`)
  return { ...config, training: { ...config.training, momentum, protection } }
}
