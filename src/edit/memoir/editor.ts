/** @file A model with a store of edits: teach, list, explain, undo, replay, ask. */
import { existsSync, mkdirSync } from 'node:fs'
import { fail } from '../../base/index.ts'
import { lockFolder } from '../../base/lock.ts'
import {
  argmaxOf,
  type LanguageModel,
  loadTokenizer,
  logProbabilityOf,
  type Tokenizer,
} from '../../lm/index.ts'
import { random } from '../../tensor/index.ts'
import { backgroundPrompts } from './background.ts'
import { type Engine, openEngine, type Passage } from './engine.ts'
import { modelFingerprint } from './fingerprint.ts'
import {
  defaultLayer,
  defaultOnes,
  drawPermutation,
  type Mask,
  maskText,
  numbersOf,
  parseMask,
  topHash,
} from './masks.ts'
import { calibrate, type Match, matches, plainText, type Routable, route, routerOf } from './router.ts'
import {
  createStore,
  defaultTraining,
  type EditRecord,
  isStore,
  openStore,
  type Rows,
  type Status,
  type Store,
  type StoreConfig,
  statuses,
  storeFormat,
} from './store/index.ts'
import { makeTrainer, type Trainer } from './train.ts'

export interface EditRequest {
  readonly prompt: string
  readonly target: string
  readonly subject?: string
}

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
  readonly tokenizer?: Pick<Tokenizer, 'encode' | 'decode' | 'eosIds' | 'addsBos' | 'fingerprint'>
  /** Settings when there is no store yet; without it a missing store is made with the defaults. */
  readonly create?: NewStore
  /** Only look: the store must be there, and is not locked. */
  readonly readOnly?: boolean
}

export interface Listed {
  readonly record: EditRecord
  readonly status: Status
}

export interface Why {
  /** The edit that answers; null: the model as it was. */
  readonly answer: number | null
  readonly threshold: number
  readonly nearest: readonly (Match & {
    readonly isAbove: boolean
    readonly prompt: string
    readonly target: string
  })[]
}

export interface Replayed {
  readonly edits: readonly number[]
  /** Whether the memory has the same bits as before. */
  readonly identical: boolean
}

export interface Answered {
  /** The edit that answered, or null. */
  readonly edit: number | null
  readonly ids: readonly number[]
  readonly text: string
  readonly finish: 'eos' | 'length'
}

export interface TargetScore {
  readonly edit: number | null
  /** log p of each token of the target, in nats. */
  readonly logProbabilities: readonly number[]
  /** The most probable token in the place of each, edited and unedited. */
  readonly best: readonly number[]
  readonly targetIds: readonly number[]
  readonly unedited: readonly number[]
}

export interface Editor {
  readonly config: StoreConfig
  list(): Listed[]
  add(request: EditRequest): Promise<EditRecord>
  /** The edit answers no longer. `memory`: 'restored' bit for bit, or 'kept' when later edits were trained on top of it. */
  undo(number: number): Promise<{ number: number; memory: 'restored' | 'kept' }>
  /** Compute the memory anew from the edits that are not undone. */
  replay(onEdit?: (done: number, total: number) => void): Promise<Replayed>
  why(prompt: string, count?: number): Promise<Why>
  /** Set τ so that at most a share `rate` of these prompts, which no edit is about, is answered by an edit. */
  calibrate(
    prompts: readonly string[],
    rate: number,
  ): Promise<{ threshold: number; overlaps: readonly number[] }>
  /** Greedy continuation, routed on the prompt. */
  generate(prompt: string, options: { maxTokens: number; stopAtEos?: boolean }): Promise<Answered>
  /** The same with the memory silent. */
  unedited(prompt: string, options: { maxTokens: number; stopAtEos?: boolean }): Promise<Answered>
  /** A target after a prompt, teacher-forced, routed on the prompt. */
  score(prompt: string, target: string): Promise<TargetScore>
  /** Logits after the last token of a prompt, [vocabulary], routed. */
  logits(prompt: string): Promise<{ edit: number | null; logits: Float32Array }>
  dispose(): void
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
  const tokenizer = options.tokenizer ?? loadTokenizer(model.path)
  const exists = isStore(path)
  if (!exists && options.readOnly) fail('TL_BAD_FILE', `${path}: no store of edits; make one with add`)
  const [own, words] = [modelFingerprint(model.path), tokenizer.fingerprint()]
  if (!options.readOnly && !existsSync(path)) mkdirSync(path, { recursive: true })
  const unlock = options.readOnly ? () => undefined : lockFolder(path)
  try {
    if (!exists)
      await makeStore(model, path, tokenizer, { model: own, tokenizer: words }, options.create ?? {})
    const store = openStore(path)
    for (const [what, stored, given] of [
      ['model', store.config.model, own],
      ['tokenizer', store.config.tokenizer, words],
    ] as const)
      if (stored !== given)
        fail(
          'TL_BAD_ARGUMENT',
          `${path}: made for another ${what} (${short(stored)}…; ${model.path} is ${short(given)}…): open it with the model it was made for, or start another store`,
        )
    const { hidden, width, layer } = store.config
    if (hidden !== model.config.hidden || width !== model.config.width || layer >= model.config.layers)
      fail(
        'TL_BAD_FILE',
        `${path}: block ${layer}, ${hidden} × ${width} do not fit the model; the store is damaged`,
      )
    const memory = store.memory.slice()
    return makeEditor(model, tokenizer, store, memory, unlock)
  } catch (error) {
    unlock()
    throw error
  }
}

type Words = NonNullable<OpenOptions['tokenizer']>

async function makeStore(
  model: LanguageModel,
  path: string,
  tokenizer: Words,
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
  const router = routerOf(config.router)
  const engine = await openEngine(model, layer, config.routerLayer, new Float32Array(hidden * width))
  const background = new Float64Array(hidden)
  try {
    for (const prompt of prompts) {
      const ids = tokenizer.encode(prompt, { bos: tokenizer.addsBos })
      const feature = await featureOf(engine, ids, model, router.needsSurprisals, config)
      for (let j = 0; j < hidden; j++) background[j]! += feature.feature[j]! / prompts.length
    }
  } finally {
    engine.dispose()
  }
  const permutation = drawPermutation(random.key(config.seed), hidden)
  await createStore(path, config, { permutation, background })
}

/** The feature of a prompt and its passage; logits of the passage are of the last row. */
async function featureOf(
  engine: Engine,
  ids: readonly number[],
  model: LanguageModel,
  needsSurprisals: boolean,
  config: StoreConfig,
  room = 0,
): Promise<{ feature: Float64Array; passage: Passage }> {
  const { vocabulary, hidden } = model.config
  const all = ids.map((_, t) => t)
  const passage = await engine.read(ids, needsSurprisals ? all : [ids.length - 1], room)
  const { activations, logits } = passage
  const row = (t: number): Float32Array => logits.subarray(t * vocabulary, (t + 1) * vocabulary)
  const surprisals = needsSurprisals
    ? ids.map((id, t) => (t === 0 ? 0 : -logProbabilityOf(row(t - 1), id)))
    : undefined
  const feature = routerOf(config.router).feature({ activations, hidden, ...(surprisals && { surprisals }) })
  return { feature, passage: { ...passage, logits: needsSurprisals ? row(ids.length - 1) : logits } }
}

function makeEditor(
  model: LanguageModel,
  tokenizer: Words,
  store: Store,
  memory: Float32Array,
  unlock: () => void,
): Editor {
  const { hidden, vocabulary, width } = model.config
  const { layer, ones: k, router: routerName } = store.config
  const router = routerOf(routerName)
  const silent = new Float32Array(hidden)
  let trainer: Trainer | undefined
  let opened: Promise<Engine> | undefined
  /** Compiled when it is first asked something: a list needs no model. */
  const engineOf = (): Promise<Engine> => {
    opened ??= openEngine(model, layer, store.config.routerLayer, memory)
    return opened
  }

  const promptIds = (prompt: string): number[] => {
    const ids = tokenizer.encode(prompt, { bos: tokenizer.addsBos })
    if (ids.length === 0) fail('TL_BAD_ARGUMENT', 'the prompt is empty')
    if (ids.length > model.context)
      fail('TL_BAD_ARGUMENT', `the prompt has ${ids.length} tokens, the context holds ${model.context}`)
    return ids
  }
  function targetIds(target: string, before: number): number[] {
    if (target.trim() === '')
      fail('TL_BAD_ARGUMENT', 'the target is empty: expected what the model is to answer')
    const ids = tokenizer.encode(/^\s/.test(target) ? target : ` ${target}`)
    if (before + ids.length > model.context)
      fail(
        'TL_BAD_ARGUMENT',
        `the target has ${ids.length} tokens and the prompt ${before}: together more than the context of ${model.context}`,
      )
    return ids
  }
  function maskOf(feature: Float64Array): Mask {
    const centred = router.isCentred ? feature.map((x, j) => x - store.background[j]!) : feature
    return topHash(centred, k, store.permutation)
  }
  const maskOfRecord = (record: EditRecord): Mask =>
    parseMask(record.mask, hidden, k) ??
    fail('TL_BAD_FILE', `${store.path}: the mask of edit ${record.number} is none; the store is damaged`)
  let routable: { count: number; edits: Routable[] } | undefined
  function active(): Routable[] {
    if (routable?.count !== store.records.length)
      routable = {
        count: store.records.length,
        edits: statuses(store.records)
          .filter(({ status }) => status.state === 'active')
          .map(({ record }) => ({
            number: record.number,
            mask: maskOfRecord(record),
            ...(record.subject !== undefined && { subject: record.subject }),
          })),
      }
    return routable.edits
  }
  const recordOf = (number: number): EditRecord =>
    statuses(store.records).find(({ record }) => record.number === number)!.record

  async function look(prompt: string, room = 0) {
    const ids = promptIds(prompt)
    const { feature, passage } = await featureOf(
      await engineOf(),
      ids,
      model,
      router.needsSurprisals,
      store.config,
      room,
    )
    const mask = maskOf(feature)
    const list = matches(mask, active(), k, store.config.gate === 'subject' ? { text: prompt } : undefined)
    return { ids, mask, list, match: route(list, store.config.threshold), passage }
  }
  /** The passage under the mask that routing found: logits of the last row, and the mask for what follows. */
  async function answer(prompt: string, room: number) {
    const seen = await look(prompt, room)
    if (!seen.match) return { ...seen, logits: seen.passage.logits, under: silent, edit: null }
    const under = numbersOf(active().find(({ number }) => number === seen.match!.number)!.mask, hidden)
    const logits = await (await engineOf()).edited(seen.passage, under, [seen.ids.length - 1])
    return { ...seen, logits, under, edit: seen.match.number }
  }

  async function teach(request: EditRequest, mask: Mask, current: Float32Array) {
    const prompts = [request.prompt, ...store.config.training.contexts.map((c) => `${c} ${request.prompt}`)]
    const lessons = []
    for (const prompt of prompts) {
      const before = promptIds(prompt)
      const target = targetIds(request.target, before.length)
      const ids = [...before, ...target.slice(0, -1)]
      lessons.push({ stream: await (await engineOf()).stream(ids), tokens: ids.length, target })
    }
    trainer ??= makeTrainer(model, layer)
    return trainer.teach(current, mask, lessons, store.config.training)
  }
  async function continued(
    passage: Passage,
    under: Float32Array,
    edit: number | null,
    first: Float32Array,
    { maxTokens, stopAtEos = true }: { maxTokens: number; stopAtEos?: boolean },
  ): Promise<Answered> {
    const ids: number[] = []
    let logits = first
    for (;;) {
      const id = argmaxOf(logits)
      const ended = stopAtEos && tokenizer.eosIds.includes(id)
      if (!ended) ids.push(id)
      if (ended || ids.length === maxTokens || passage.ids.length === model.context)
        return { edit, ids, text: tokenizer.decode(ids), finish: ended ? 'eos' : 'length' }
      logits = await (await engineOf()).extend(passage, [id], under, [0])
    }
  }
  const apply = (to: Float32Array, { places, values }: Rows): void => {
    for (const [i, place] of places.entries())
      to.set(values.subarray(i * width, (i + 1) * width), place * width)
  }
  const now = (): string => new Date().toISOString()

  return {
    get config() {
      return store.config
    },
    list: () => statuses(store.records),
    async add(request) {
      const { prompt, target, subject } = request
      if (prompt.trim() === '')
        fail('TL_BAD_ARGUMENT', 'the prompt is empty: expected what is asked or begun')
      const targets = targetIds(target, promptIds(prompt).length)
      const { ids, mask } = await look(prompt)
      const taught = await teach(request, mask, memory)
      if (!Number.isFinite(taught.losses.last) || taught.values.some((v) => !Number.isFinite(v)))
        fail(
          'TL_NOT_FINITE',
          `the edit did not converge (loss ${taught.losses.last}): nothing was stored; try a smaller rate`,
        )
      const same = statuses(store.records).findLast(
        ({ record, status }) =>
          status.state === 'active' &&
          plainText(record.prompt) === plainText(prompt) &&
          plainText(record.subject ?? '') === plainText(subject ?? ''),
      )?.record
      const record: EditRecord = {
        event: 'edit',
        number: 1 + store.records.filter(({ event }) => event === 'edit').length,
        prompt,
        target,
        ...(subject !== undefined && { subject }),
        mask: maskText(mask),
        promptTokens: ids.length,
        targetTokens: targets.length,
        steps: taught.steps,
        losses: taught.losses,
        stopped: taught.stopped,
        ...(same && { supersedes: same.number }),
        at: now(),
      }
      await store.append(record, { rows: taught })
      memory.set(store.memory)
      return record
    },
    async undo(number) {
      const all = statuses(store.records)
      const found = all.find(({ record }) => record.number === number)
      if (!found) return fail('TL_BAD_ARGUMENT', `there is no edit ${number} (edits: ${all.length})`)
      if (found.status.state === 'undone') fail('TL_BAD_ARGUMENT', `edit ${number} is undone already`)
      const at = store.records.indexOf(found.record)
      const isLast = !store.records
        .slice(at + 1)
        .some(
          (later) =>
            later.event === 'replay' ||
            (later.event === 'edit' &&
              !store.records.some(
                (r) => r.event === 'undo' && r.number === later.number && r.memory === 'restored',
              )),
        )
      const before = isLast ? store.memoryAfter(at) : undefined
      const result = { number, memory: before ? ('restored' as const) : ('kept' as const) }
      await store.append({ event: 'undo', ...result, at: now() }, before && { memory: before })
      memory.set(store.memory)
      return result
    },
    async replay(onEdit) {
      const edits = statuses(store.records).filter(({ status }) => status.state !== 'undone')
      const fresh = new Float32Array(memory.length)
      for (const [done, { record }] of edits.entries()) {
        onEdit?.(done, edits.length)
        const { mask } = await look(record.prompt)
        if (maskText(mask) !== record.mask)
          fail(
            'TL_BAD_FILE',
            `edit ${record.number}: its mask is another one on this machine; nothing was changed`,
          )
        apply(fresh, await teach(record, mask, fresh))
      }
      onEdit?.(edits.length, edits.length)
      const bits = (x: Float32Array): Uint8Array => new Uint8Array(x.buffer, x.byteOffset, x.byteLength)
      const identical = Buffer.compare(bits(fresh), bits(memory)) === 0
      const numbers = edits.map(({ record }) => record.number)
      if (!identical) {
        await store.append({ event: 'replay', edits: numbers, at: now() }, { memory: fresh })
        memory.set(store.memory)
      }
      return { edits: numbers, identical }
    },
    async why(prompt, count = 5) {
      const { list, match } = await look(prompt)
      const { threshold } = store.config
      const nearest = list.slice(0, count).map((own) => {
        const record = recordOf(own.number)
        return { ...own, isAbove: own.overlap >= threshold, prompt: record.prompt, target: record.target }
      })
      return { answer: match?.number ?? null, threshold, nearest }
    },
    async calibrate(prompts, rate) {
      if (active().length === 0)
        fail('TL_BAD_ARGUMENT', 'calibrate: the store has no active edit: add edits first')
      const overlaps: number[] = []
      for (const prompt of prompts) {
        const { list } = await look(prompt)
        overlaps.push(list.find(({ passes }) => passes)?.overlap ?? 0)
      }
      const threshold = calibrate(overlaps, rate, k)
      store.configure({ threshold })
      return { threshold, overlaps }
    },
    generate: async (prompt, own) => {
      const { passage, under, edit, logits } = await answer(prompt, own.maxTokens)
      return continued(passage, under, edit, logits, own)
    },
    unedited: async (prompt, own) => {
      const { passage } = await look(prompt, own.maxTokens)
      return continued(passage, silent, null, passage.logits, own)
    },
    async score(prompt, target) {
      const targets = targetIds(target, promptIds(prompt).length)
      const rest = targets.slice(0, -1)
      const rows = rest.map((_, i) => i)
      const { passage, under, edit, logits } = await answer(prompt, rest.length)
      const best: number[] = []
      const logProbabilities: number[] = []
      const take = (own: Float32Array, i: number): void => {
        best.push(argmaxOf(own))
        logProbabilities.push(logProbabilityOf(own, targets[i]!))
      }
      take(logits, 0)
      const start = [...passage.ids]
      if (rest.length > 0) {
        const after = await (await engineOf()).extend(passage, rest, under, rows)
        for (const i of rows) take(after.subarray(i * vocabulary, (i + 1) * vocabulary), i + 1)
      }
      let unedited: readonly number[] = best
      if (edit !== null) {
        const plain = await (await engineOf()).read(start, [start.length - 1], rest.length)
        const own = [argmaxOf(plain.logits)]
        if (rest.length > 0) {
          const after = await (await engineOf()).extend(plain, rest, silent, rows)
          for (const i of rows) own.push(argmaxOf(after.subarray(i * vocabulary, (i + 1) * vocabulary)))
        }
        unedited = own
      }
      return { edit, logProbabilities, best, targetIds: targets, unedited }
    },
    logits: async (prompt) => {
      const { edit, logits } = await answer(prompt, 0)
      return { edit, logits }
    },
    dispose: () => {
      trainer?.dispose()
      void opened?.then((own) => own.dispose()).catch(() => undefined)
      unlock()
    },
  }
}
