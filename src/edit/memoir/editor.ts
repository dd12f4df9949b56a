/** @file A model with a store of edits: teach, list, explain, undo, replay, ask. */
import { fail } from '../../base/index.ts'
import type { ScopeLevel } from '../scope/learn.ts'
import {
  type Audit,
  type EditRecord,
  type KeptAudit,
  openAudits,
  type Status,
  type StoreConfig,
  statuses,
} from '../store/index.ts'
import { type Answering, answeringOf } from './answering.ts'
import { auditOf } from './audit.ts'
import type { EditorContext } from './editorContext.ts'
import { calibrate } from './router.ts'
import { type Teaching, teachingOf } from './teaching.ts'

export interface Listed {
  readonly record: EditRecord
  readonly status: Status
  /** What was found when it was last asked; absent where it never was. */
  readonly audit?: KeptAudit
}

export interface Editor extends Answering, Teaching {
  readonly config: StoreConfig
  list(): Listed[]
  /**
   * Set τ so that at most a share `rate` of these prompts, which no edit is about, is answered by an edit; with the subject gate,
   * so that at most that share of pairs of a prompt and an edit reach it, whether the prompt names the subject or not. `overlaps`
   * are those of each prompt with the nearest edit that the gate leaves, 0 where it leaves none.
   */
  calibrate(
    prompts: readonly string[],
    rate: number,
  ): Promise<{ threshold: number; overlaps: readonly number[] }>
  /**
   * Ask an edit that stands in its own words, in others, and beside what it is about; kept with the store, unless that was opened
   * only to look. Throws `TL_BAD_ARGUMENT`.
   */
  audit(number: number): Promise<Audit>
  /** Let edits answer more or fewer of the other questions about their subjects. Throws `TL_BAD_ARGUMENT` for a store made without. */
  rescope(level: ScopeLevel): void
  dispose(): void
}

/** The editor of an opened store; `unlock` is called when it is disposed of, and absent where the store is only looked at. */
export function makeEditor(opened: EditorContext, unlock?: (() => void) | undefined): Editor {
  const { store } = opened
  const audits = openAudits(store.path, { readOnly: unlock === undefined })
  const { dispose: forget, ...teaching } = teachingOf(opened)
  const answering = answeringOf(opened)
  return {
    ...teaching,
    ...answering,
    get config() {
      return store.config
    },
    list: () =>
      statuses(store.records).map((one): Listed => {
        const audit = audits.of(one.record.number)
        return audit ? { ...one, audit } : one
      }),
    async calibrate(prompts, rate) {
      if (opened.active().length === 0)
        fail('TL_BAD_ARGUMENT', 'calibrate: the store has no active edit: add edits first')
      const { gate, ones } = store.config
      const overlaps: number[] = []
      const pairs: number[] = []
      for (const prompt of prompts) {
        const { list } = await opened.look(prompt)
        overlaps.push(list.find(({ passes }) => passes)?.overlap ?? 0)
        pairs.push(...list.map(({ overlap }) => overlap))
      }
      // prompts that name no subject say nothing about τ by what the gate leaves of them
      const threshold = calibrate(gate === 'subject' ? pairs : overlaps, rate, ones)
      store.configure({ threshold, calibration: { prompts: prompts.length, falsePositives: rate } })
      return { threshold, overlaps }
    },
    async audit(number) {
      const found = statuses(store.records).find(({ record }) => record.number === number)
      const edit = opened.active().find((one) => one.number === number)
      if (!found || !edit) return fail('TL_BAD_ARGUMENT', `there is no active edit ${number} to audit`)
      const audit = await auditOf({ ...answering, who: opened.who }, found.record, edit.subject)
      audits.keep({ ...audit, at: new Date().toISOString() })
      return audit
    },
    rescope(level) {
      const { scope } = store.config
      if (scope) store.configure({ scope: { ...scope, level } })
      else if (level !== 'wide')
        fail(
          'TL_BAD_ARGUMENT',
          `${store.path} was made without a scope, so its edits answer every question about their subjects: ${store.config.gate === 'none' ? '' : `learn one on relations of yours (calibrate --relations FILE --scope ${level}), or `}teach its facts to a new store with --scope ${level}`,
        )
    },
    dispose: () => {
      forget()
      opened.dispose()
      unlock?.()
    },
  }
}
