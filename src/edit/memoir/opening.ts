/** @file Opening a store for a model, and making one. */
import { existsSync, mkdirSync } from 'node:fs'
import { fail } from '../../base/index.ts'
import { lockFolder } from '../../base/lock.ts'
import { type LanguageModel, loadTokenizer } from '../../lm/index.ts'
import { random } from '../../tensor/index.ts'
import { backgroundPrompts } from './background.ts'
import { type Editor, makeEditor } from './editor.ts'
import { openEngine } from './engine.ts'
import { modelFingerprint } from './fingerprint.ts'
import { defaultLayer, defaultOnes, drawPermutation } from './masks.ts'
import { featureOf, openTogether, type Words } from './opened.ts'
import { routerOf } from './router.ts'
import {
  createStore,
  defaultTraining,
  isStore,
  openStore,
  type StoreConfig,
  storeFormat,
} from './store/index.ts'

/** Settings of a new store; the rest is derived from the model. */
export interface NewStore
  extends Partial<
    Pick<
      StoreConfig,
      'layer' | 'ones' | 'router' | 'routerLayer' | 'gate' | 'threshold' | 'seed' | 'training'
    >
  > {
  /** Prompts that no edit is about. Default: a hundred of our own. */
  readonly background?: readonly string[]
}

export interface OpenOptions {
  readonly tokenizer?: Words
  /** Settings when there is no store yet; without it a missing store is made with the defaults. */
  readonly create?: NewStore
  /** Only look: the store must be there, and is not locked. */
  readonly readOnly?: boolean
}

const short = (hash: string): string => hash.slice(0, 12)

/**
 * Open a store for a model, making it when it is not there. Throws `TL_BAD_ARGUMENT` naming both fingerprints when the store
 * belongs to another model, `TL_BUSY` when another process writes to it.
 */
export async function openEditor(
  model: LanguageModel,
  path: string,
  options: OpenOptions = {},
): Promise<Editor> {
  if (model.precision !== 'f32')
    fail(
      'TL_UNSUPPORTED',
      `edits are made in f32: open the model with precision "f32", not "${model.precision}"`,
    )
  const words = options.tokenizer ?? loadTokenizer(model.path)
  const exists = isStore(path)
  if (!exists && options.readOnly) fail('TL_BAD_FILE', `${path}: no store of edits; make one with add`)
  const own = { model: modelFingerprint(model.path), tokenizer: words.fingerprint() }
  if (!options.readOnly && !existsSync(path)) mkdirSync(path, { recursive: true })
  const unlock = options.readOnly ? () => undefined : lockFolder(path)
  try {
    if (!exists) await makeStore(model, path, words, own, options.create ?? {})
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
    return makeEditor(openTogether(model, words, store), unlock)
  } catch (error) {
    unlock()
    throw error
  }
}

async function makeStore(
  model: LanguageModel,
  path: string,
  words: Words,
  fingerprints: { model: string; tokenizer: string },
  given: NewStore,
): Promise<void> {
  const { hidden, width, layers } = model.config
  const { background: prompts = backgroundPrompts, ...settings } = given
  const layer = settings.layer ?? defaultLayer(layers)
  const config: StoreConfig = {
    format: storeFormat,
    ...fingerprints,
    hidden,
    width,
    layer,
    ones: defaultOnes(hidden),
    router: 'mean-centred',
    routerLayer: layer,
    gate: 'none',
    threshold: 0.45,
    seed: 0,
    training: defaultTraining,
    ...settings,
  }
  if (!(Number.isInteger(layer) && layer >= 0 && layer < layers))
    fail('TL_BAD_ARGUMENT', `layer: expected 0 to ${layers - 1}, got ${layer}`)
  if (!(Number.isInteger(config.ones) && config.ones >= 1 && config.ones <= hidden))
    fail('TL_BAD_ARGUMENT', `ones: expected 1 to ${hidden}, got ${config.ones}`)
  if (!(Number.isInteger(config.routerLayer) && config.routerLayer >= 0 && config.routerLayer <= layer))
    fail(
      'TL_BAD_ARGUMENT',
      `routerLayer: expected 0 to the edited layer ${layer}, got ${config.routerLayer}: later blocks depend on edits`,
    )
  if (prompts.length === 0) fail('TL_BAD_ARGUMENT', 'background: expected at least one prompt')
  routerOf(config.router)
  const engine = await openEngine(model, layer, config.routerLayer, new Float32Array(hidden * width))
  const background = new Float64Array(hidden)
  try {
    for (const prompt of prompts) {
      const ids = words.encode(prompt, { bos: words.addsBos })
      const { feature } = await featureOf(engine, ids, model, config.router)
      for (let j = 0; j < hidden; j++) background[j]! += feature[j]! / prompts.length
    }
  } finally {
    engine.dispose()
  }
  const permutation = drawPermutation(random.key(config.seed), hidden)
  await createStore(path, config, { permutation, background })
}
