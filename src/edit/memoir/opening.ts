/** @file Opening a store for a model, and making one. */
import { existsSync, readdirSync, rmdirSync, statSync } from 'node:fs'
import { explainSystemError, makeFolder } from '../../base/files.ts'
import { fail } from '../../base/index.ts'
import { whenLeaving } from '../../base/leave.ts'
import { lockFolder } from '../../base/lock.ts'
import { requireParent } from '../../base/outputs.ts'
import { type LanguageModel, loadTokenizer } from '../../lm/index.ts'
import { random } from '../../tensor/index.ts'
import { rememberedScope } from '../scope/cache.ts'
import { type LearnedScope, learnScope, type ScopeLevel, scopeRates } from '../scope/learn.ts'
import { defaultLooks } from '../scope/scope.ts'
import {
  createStore,
  defaultTraining,
  isStore,
  openStore,
  requireEmpty,
  type ScopeSettings,
  type Store,
  type StoreConfig,
  storeFormat,
} from '../store/index.ts'
import { backgroundPrompts, heldOutPrompts } from './background.ts'
import { contextBeginnings, contextLengths, contextsOf } from './contexts.ts'
import { type Editor, makeEditor } from './editor.ts'
import { featuresOf, openEditorContext } from './editorContext.ts'
import { rememberedFeatures } from './featureCache.ts'
import { modelFingerprint } from './fingerprint.ts'
import { defaultLayer, defaultOnes, drawPermutation, type Mask, sharedOnes, topHash } from './masks.ts'
import type { Words } from './requests.ts'
import { calibrate, routerOf } from './router.ts'

/** Settings of a new store; the rest is derived from the model. */
export interface NewStore
  extends Partial<
    Pick<
      StoreConfig,
      'layer' | 'ones' | 'router' | 'routerLayer' | 'gate' | 'threshold' | 'seed' | 'training'
    >
  > {
  /** Prompts that no edit is about, whose mean feature is taken off. Default: about a hundred of our own. */
  readonly background?: readonly string[]
  /**
   * Where no threshold is given, prompts to set it by: the least τ at which at most a share `falsePositives` (default 0.01) of
   * them would be answered if the others were edits; with the gate, of pairs of a prompt and such an edit. Default: about a
   * hundred more of our own.
   */
  readonly heldOut?: readonly string[]
  readonly falsePositives?: number
  /** How widely an edit answers other questions about its subject. Default `balanced`; `wide`, all of them, without the gate. */
  readonly scope?: ScopeLevel
  /** So many of the texts that the model writes itself (`contextsOf`, at most 10) are put before prompts in training. */
  readonly contexts?: number
}

export interface OpenOptions {
  readonly tokenizer?: Words
  /** Settings when there is no store yet; without it a missing store is made with the defaults. */
  readonly create?: NewStore
  /** Only look: the store must be there, and is not locked. */
  readonly readOnly?: boolean
  /** Change a store, but make none. */
  readonly mustExist?: boolean
  /** While a store is made: background prompts taken in, of how many. */
  readonly onPrompt?: (done: number, total: number) => void
  /** A folder where features of the prompts a new store is calibrated by are kept for the next store of the model. */
  readonly cache?: string
}

/** Throws `TL_UNSUPPORTED` for a model that was opened in another precision. */
export function requireF32({ precision }: LanguageModel): void {
  if (precision !== 'f32')
    fail('TL_UNSUPPORTED', `edits are made in f32: open the model with precision "f32", not "${precision}"`)
}

export const failWithoutStore = (path: string): never =>
  fail('TL_BAD_FILE', `${path}: no store of edits; make one with add`)

const short = (hash: string): string => hash.slice(0, 12)

interface Fingerprints {
  readonly model: string
  readonly tokenizer: string
}
const fingerprintsOf = (model: LanguageModel, words: Words): Fingerprints => ({
  model: modelFingerprint(model.path),
  tokenizer: words.fingerprint(),
})

/** The store at `path`, which must be of this model. Throws `TL_BAD_ARGUMENT` naming both fingerprints, `TL_BAD_FILE`. */
export function openOwnStore(
  model: LanguageModel,
  path: string,
  words: Words = loadTokenizer(model.path),
  own: Fingerprints = fingerprintsOf(model, words),
): Store {
  const store = openStore(path)
  for (const what of ['model', 'tokenizer'] as const)
    if (store.config[what] !== own[what])
      fail(
        'TL_BAD_ARGUMENT',
        `${path}: made for another ${what} (${short(store.config[what])}…; ${model.path} is ${short(own[what])}…): open it with the model it was made for, or start another store`,
      )
  const { hidden, width, layer } = store.config
  if (hidden !== model.config.hidden || width !== model.config.width || layer >= model.config.layers)
    fail(
      'TL_BAD_FILE',
      `${path}: block ${layer}, ${hidden} × ${width} do not fit the model; the store is damaged`,
    )
  return store
}

/**
 * Open a store for a model, making it when it is not there. Throws `TL_BAD_ARGUMENT` naming both fingerprints when the store
 * belongs to another model, `TL_BUSY` when another process writes to it.
 */
export async function openEditor(
  model: LanguageModel,
  path: string,
  options: OpenOptions = {},
): Promise<Editor> {
  requireF32(model)
  const words = options.tokenizer ?? loadTokenizer(model.path)
  if (existsSync(path) && !statSync(path).isDirectory())
    fail('TL_BAD_ARGUMENT', `${path}: a file; a store of edits is a folder: choose another path`)
  const exists = isStore(path)
  if (!exists && (options.readOnly || options.mustExist)) failWithoutStore(path)
  const own = fingerprintsOf(model, words)
  const isNew = !options.readOnly && !existsSync(path)
  if (isNew) requireParent(path)
  if (isNew)
    try {
      makeFolder(path)
    } catch (error) {
      explainSystemError(error, `cannot make the store ${path}`)
    }
  // what was refused or interrupted leaves nothing behind
  const clear = (): void => {
    if (isNew && !isStore(path) && readdirSync(path).length === 0) rmdirSync(path)
  }
  const forget = whenLeaving(clear)
  const unlock = options.readOnly ? undefined : lockFolder(path)
  try {
    if (!exists) {
      requireEmpty(path)
      await makeStore(model, path, words, own, options)
    }
    const store = openOwnStore(model, path, words, own)
    return makeEditor(openEditorContext(model, words, store), unlock)
  } catch (error) {
    unlock?.()
    clear()
    throw error
  } finally {
    forget()
  }
}

/** Throws `TL_BAD_ARGUMENT` for settings that do not fit the model or each other. */
function requireSettings(
  model: LanguageModel,
  words: Words,
  { layer, ones, routerLayer, gate, training }: StoreConfig,
  {
    prompts,
    contexts,
    level,
  }: {
    readonly prompts: readonly string[]
    readonly contexts: number
    readonly level?: ScopeLevel | undefined
  },
): void {
  const { hidden, layers } = model.config
  if (!(Number.isInteger(layer) && layer >= 0 && layer < layers))
    fail('TL_BAD_ARGUMENT', `layer: expected 0 to ${layers - 1}, got ${layer}`)
  if (!(Number.isInteger(ones) && ones >= 1 && ones <= hidden))
    fail('TL_BAD_ARGUMENT', `ones: expected 1 to ${hidden}, got ${ones}`)
  if (!(Number.isInteger(routerLayer) && routerLayer >= 0 && routerLayer <= layer))
    fail(
      'TL_BAD_ARGUMENT',
      `routerLayer: expected 0 to the edited layer ${layer}, got ${routerLayer}: later blocks depend on edits`,
    )
  if (prompts.length === 0) fail('TL_BAD_ARGUMENT', 'background: expected at least one prompt')
  const most = contextBeginnings.length * contextLengths.length
  if (!(Number.isInteger(contexts) && contexts >= 0 && contexts <= most))
    fail('TL_BAD_ARGUMENT', `contexts: expected 0 to ${most}, got ${contexts}`)
  if (training.end && words.eosIds.length === 0)
    fail('TL_UNSUPPORTED', 'end: the tokenizer names no token that ends a text: leave out --end')
  if (gate === 'none' && level !== undefined && level !== 'wide')
    fail(
      'TL_BAD_ARGUMENT',
      `scope: ${level} compares questions about one subject, so it needs the gate: leave out --gate none, or take the scope wide`,
    )
}

async function makeStore(
  model: LanguageModel,
  path: string,
  words: Words,
  fingerprints: Fingerprints,
  { create: given = {}, onPrompt = () => undefined, cache }: OpenOptions,
): Promise<void> {
  const { hidden, width, layers } = model.config
  const { background: prompts = backgroundPrompts, heldOut = heldOutPrompts, ...rest } = given
  const { falsePositives = 0.01, threshold, contexts = 0, scope: level, ...settings } = rest
  const layer = settings.layer ?? defaultLayer(layers)
  const unset: StoreConfig = {
    format: storeFormat,
    ...fingerprints,
    hidden,
    width,
    layer,
    ones: defaultOnes(hidden),
    router: 'mean-centred',
    routerLayer: layer,
    gate: 'subject',
    threshold: threshold ?? 0,
    seed: 0,
    training: defaultTraining,
    ...settings,
  }
  const { ones, router, routerLayer, gate } = unset
  requireSettings(model, words, unset, { prompts, contexts, level })
  const { isCentred } = routerOf(router)
  const others = threshold === undefined ? heldOut : []
  if (threshold === undefined && others.length < 2)
    fail('TL_BAD_ARGUMENT', `heldOut: expected at least two prompts, got ${others.length}`)
  const ids = [...prompts, ...others].map((prompt) =>
    words.encode(prompt, { bos: words.addsBos }).slice(0, model.context),
  )
  const features = await rememberedFeatures(cache, unset, ids, () => featuresOf(model, unset, ids, onPrompt))
  const background = new Float64Array(hidden)
  for (const own of features.slice(0, prompts.length))
    for (let j = 0; j < hidden; j++) background[j]! += own[j]! / prompts.length
  const permutation = drawPermutation(random.key(unset.seed), hidden)
  const masks = features
    .slice(prompts.length)
    .map((own) => topHash(isCentred ? own.map((x, j) => x - background[j]!) : own, ones, permutation))
  const base = contexts
    ? {
        ...unset,
        training: {
          ...unset.training,
          contexts: (await contextsOf(model, words, random.key(unset.seed))).slice(0, contexts),
        },
      }
    : unset
  const config =
    threshold === undefined
      ? {
          ...base,
          threshold: calibrate(strangers(masks, ones, unset.gate), falsePositives, ones),
          calibration: { prompts: masks.length, falsePositives },
        }
      : base
  if (gate === 'none' || level === 'wide') return createStore(path, config, { permutation, background })
  const looks = defaultLooks(model.config, routerLayer)
  const scope = await rememberedScope(cache, { ...fingerprints, looks, width }, () =>
    learnScope(model, words, looks, onPrompt),
  )
  await createStore(
    path,
    { ...config, scope: scopeSettings(scope, level) },
    { permutation, background, scope },
  )
}

/** What a store says of its scope. */
export function scopeSettings(
  scope: LearnedScope,
  level: ScopeLevel = 'balanced',
): Omit<ScopeSettings, 'hash'> {
  const { dimensions, thresholds, prompts } = scope
  const looks = scope.looks.map(({ layer, tokens, weight }) => ({ layer, tokens, weight }))
  return {
    ...{ level, looks, dimensions, thresholds, prompts },
    questions: scope.looks[0]!.questions.length / dimensions,
    falsePositives: scopeRates,
  }
}

/**
 * Overlaps of prompts with edits that they are not about, other prompts standing in for edits. Where every edit may answer, of
 * each prompt that with the nearest; where the gate leaves at most a few, those of all pairs.
 */
function strangers(masks: readonly Mask[], ones: number, gate: StoreConfig['gate']): number[] {
  const all = masks.map((mask, i) =>
    masks.filter((_, j) => i !== j).map((other) => sharedOnes(mask, other) / ones),
  )
  return gate === 'subject' ? all.flat() : all.map((own) => Math.max(...own))
}
