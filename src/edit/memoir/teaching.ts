/** @file Teaching a store: add an edit, take one back, train all anew. */
import { fail } from '../../base/index.ts'
import { type EditRecord, type Keys, type Rows, type Status, statuses } from '../store/index.ts'
import type { EditorContext } from './editorContext.ts'
import { type Mask, maskText } from './masks.ts'
import { checkRequest, type EditRequest } from './requests.ts'
import { guessSubject, plainText } from './subject.ts'
import { makeTrainer, type OnStep, type Trainer } from './train.ts'

export interface Replayed {
  readonly edits: readonly number[]
  /** Whether the memory has the same bits as before. */
  readonly identical: boolean
}

export interface Teaching {
  /** Throws what `add` would throw for the texts: empty ones, longer than the context, or a prompt that does not name its subject. */
  check(request: EditRequest): void
  add(request: EditRequest, onStep?: OnStep): Promise<EditRecord>
  /** The edit answers no longer. `memory`: 'restored' bit for bit, or 'kept' when later edits were trained on top of it. */
  undo(number: number): Promise<{ number: number; memory: 'restored' | 'kept' }>
  /** Compute the memory anew from the edits that are not undone. */
  replay(onEdit?: (done: number, total: number) => void): Promise<Replayed>
}

const isKept = (status: Status): boolean => status.state === 'undone' && status.memory === 'kept'

const now = (): string => new Date().toISOString()

/** Teaching of an opened store. Programs are compiled when first needed; `dispose` frees them. */
export function teachingOf(opened: EditorContext): Teaching & { dispose(): void } {
  const { model, words, store, memory } = opened
  const { layer, width, training } = store.config
  let trainer: Trainer | undefined

  /** Keys of edits by their numbers: read, or found anew, when first needed. */
  const known = new Map<number, Keys>()

  const end = training.end ? words.eosIds.slice(0, 1) : []

  async function examplesOf({ prompt: bare, target: text }: EditRequest) {
    const prompts = [bare, ...training.contexts.map((context) => `${context} ${bare}`)]
    const examples = []
    for (const prompt of prompts) {
      const before = opened.promptIds(prompt)
      const target = [...opened.targetIds(prompt, text), ...end]
      const ids = [...before, ...target.slice(0, -1)]
      examples.push({
        hiddenStates: await (await opened.engine()).hiddenStates(ids),
        tokens: ids.length,
        target,
      })
    }
    return examples
  }
  function opener(): Trainer {
    trainer ??= makeTrainer(model, layer)
    return trainer
  }
  const teach = async (
    request: EditRequest & { readonly maxSteps?: number },
    mask: Mask,
    current: Float32Array,
    others: readonly Keys[],
    onStep?: OnStep,
  ) => {
    const { maxSteps = training.maxSteps } = request
    return opener().teach(current, mask, await examplesOf(request), { ...training, maxSteps }, others, onStep)
  }

  async function keysOf(record: EditRecord): Promise<Keys> {
    const keys =
      known.get(record.number) ??
      store.keysAt(store.records.indexOf(record)) ??
      (await opener().keysOf(opened.maskOfRecord(record), await examplesOf(record)))
    known.set(record.number, keys)
    return keys
  }
  /** Keys of the edits that are to be spared when another is taught: those that answer, but for the one it replaces. */
  async function spared(replaced: EditRecord | undefined): Promise<Keys[]> {
    if (training.protection === 0) return []
    const list: Keys[] = []
    for (const { record, status } of statuses(store.records))
      if (status.state === 'active' && record !== replaced) list.push(await keysOf(record))
    return list
  }
  const apply = (to: Float32Array, { places, values }: Rows): void => {
    for (const [i, place] of places.entries())
      to.set(values.subarray(i * width, (i + 1) * width), place * width)
  }

  return {
    check: (request) => void checkRequest(opened, request, store.config.gate),
    async add(request, onStep) {
      const { prompt, target, subject } = request
      const targets = checkRequest(opened, request, store.config.gate)
      const { ids, mask } = await opened.look(prompt)
      const same = statuses(store.records).findLast(
        ({ record, status }) => status.state === 'active' && plainText(record.prompt) === plainText(prompt),
      )?.record
      const others = await spared(same)
      let maxSteps: number | undefined
      let taught = await teach(request, mask, memory, others, onStep)
      const { patience = 1, stop } = training
      // a token below ln 2 is the most probable one
      if (patience > 1 && stop.rule === 'loss' && taught.losses.worst >= Math.LN2) {
        maxSteps = Math.round(patience * training.maxSteps)
        taught = await teach({ ...request, maxSteps }, mask, memory, others, onStep)
      }
      if (!Number.isFinite(taught.losses.last) || taught.values.some((v) => !Number.isFinite(v)))
        fail(
          'TL_NOT_FINITE',
          `the edit did not converge (loss ${taught.losses.last}): nothing was stored; try a smaller rate`,
        )
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
        ...(maxSteps !== undefined && { maxSteps }),
        losses: taught.losses,
        stopped: taught.stopped,
        ...(same && { supersedes: same.number }),
        at: now(),
      }
      const { keys } = taught
      const asks = await opened.asking?.asksOf(prompt, subject ?? guessSubject(prompt))
      await store.append(record, {
        rows: taught,
        ...(training.protection > 0 && { keys }),
        ...(asks && { asks }),
      })
      if (training.protection > 0) known.set(record.number, keys)
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
      const before = new Map<number, Keys>()
      for (const [done, { record }] of edits.entries()) {
        onEdit?.(done, edits.length)
        const { mask } = await opened.look(record.prompt)
        if (maskText(mask) !== record.mask)
          fail(
            'TL_BAD_FILE',
            `edit ${record.number}: its mask is another one on this machine; nothing was changed`,
          )
        if (record.supersedes !== undefined) before.delete(record.supersedes)
        const taught = await teach(record, mask, fresh, [...before.values()])
        before.set(record.number, taught.keys)
        apply(fresh, taught)
      }
      onEdit?.(edits.length, edits.length)
      const bits = (x: Float32Array): Uint8Array => new Uint8Array(x.buffer, x.byteOffset, x.byteLength)
      const identical = Buffer.compare(bits(fresh), bits(memory)) === 0
      const numbers = edits.map(({ record }) => record.number)
      // what was undone is gone from the memory now, also where it had left no trace
      if (!identical || statuses(store.records).some(({ status }) => isKept(status))) {
        await store.append({ event: 'replay', edits: numbers, at: now() }, { memory: fresh })
        memory.set(store.memory)
      }
      return { edits: numbers, identical }
    },
    dispose: () => trainer?.dispose(),
  }
}
