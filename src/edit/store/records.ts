/** @file Lines of `edits.jsonl`: what was done, in order. */
import type { JournalKind } from '../../base/journal.ts'

/** One edit. */
export interface EditRecord {
  readonly event: 'edit'
  /** From 1, never used again. */
  readonly number: number
  readonly prompt: string
  readonly target: string
  readonly subject?: string
  /** As `maskText` writes it. */
  readonly mask: string
  readonly promptTokens: number
  readonly targetTokens: number
  readonly steps: number
  /** Steps that it was allowed, where they are not the store's. */
  readonly maxSteps?: number
  /** Largest cross-entropy of a target token at the last step, in nats, and the mean at the first and last. */
  readonly losses: { readonly first: number; readonly last: number; readonly worst: number }
  /** Whether the stop rule ended the training, or the number of steps did. */
  readonly stopped: 'loss' | 'steps'
  /** An edit of the same question, which this one takes the place of. */
  readonly supersedes?: number
  /** UTC, ISO 8601. */
  readonly at: string
}

/** An edit that answers no longer; `memory` says whether what it wrote is gone from the memory too. */
interface UndoRecord {
  readonly event: 'undo'
  readonly number: number
  readonly memory: 'restored' | 'kept'
  readonly at: string
}

/** The memory was computed anew from the edits that stand. */
interface ReplayRecord {
  readonly event: 'replay'
  readonly edits: readonly number[]
  readonly at: string
}

export type StoreRecord = EditRecord | UndoRecord | ReplayRecord

const isText = (value: unknown): value is string => typeof value === 'string'
const isNumber = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 1

function isRecord(value: unknown): value is StoreRecord {
  if (typeof value !== 'object' || value === null) return false
  const { event, number, prompt, target, mask, memory, edits } = value as Record<string, unknown>
  if (event === 'edit') return isNumber(number) && isText(prompt) && isText(target) && isText(mask)
  if (event === 'undo') return isNumber(number) && (memory === 'restored' || memory === 'kept')
  return event === 'replay' && Array.isArray(edits) && edits.every(isNumber)
}

/** Lines of a store's journal. */
export const recordLines: JournalKind<StoreRecord> = {
  is: isRecord,
  expected: 'a record of an edit',
  fix: 'the store is damaged',
}

/** Where an edit stands now; of an undone one, whether what it wrote is in the memory: a replay clears it. */
export type Status =
  | { readonly state: 'active' }
  | { readonly state: 'superseded'; readonly by: number }
  | { readonly state: 'undone'; readonly memory: 'restored' | 'kept' | 'cleared' }

/** All edits with their state, in order: an undone one no longer supersedes. */
export function statuses(records: readonly StoreRecord[]): { record: EditRecord; status: Status }[] {
  const edits = records.filter((r): r is EditRecord => r.event === 'edit')
  const undone = new Map(
    records.flatMap((r, i) => {
      if (r.event !== 'undo') return []
      const isCleared = r.memory === 'kept' && records.slice(i).some(({ event }) => event === 'replay')
      return [[r.number, isCleared ? ('cleared' as const) : r.memory] as const]
    }),
  )
  return edits.map((record) => {
    const memory = undone.get(record.number)
    if (memory) return { record, status: { state: 'undone', memory } }
    const by = edits.find((later) => isSuperseded(record.number, later, edits) && !undone.has(later.number))
    return { record, status: by ? { state: 'superseded', by: by.number } : { state: 'active' } }
  })
}

/** Does `later` supersede edit `number`, directly or through others? */
function isSuperseded(number: number, later: EditRecord, edits: readonly EditRecord[]): boolean {
  for (let at: EditRecord | undefined = later; at?.supersedes !== undefined; ) {
    if (at.supersedes === number) return true
    const next: number = at.supersedes
    at = edits.find((edit) => edit.number === next)
  }
  return false
}
