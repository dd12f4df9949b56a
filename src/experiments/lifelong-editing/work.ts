/** @file The parts of a run: what the unedited model says about some facts; one method taught some facts and asked about them. */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { explainSystemError } from '../../base/files.ts'
import { fail } from '../../base/index.ts'
import type { Task } from '../../base/workers.ts'
import {
  backgroundPrompts,
  type Fact,
  onePerSubject,
  parseFacts,
  type Questions,
  questionsOf,
  type Reference,
  type Result,
  referenceOf,
  resultOf,
} from '../../edit/index.ts'
import { type LanguageModel, loadModel, loadTokenizer, type Tokenizer } from '../../lm/index.ts'
import { type EditedModel, type MethodOptions, methodOf } from './methods/index.ts'
import { noteIn } from './notes.ts'
import { type Overlaps, overlapsOf } from './routing.ts'

/** What all jobs share. */
export interface Inputs {
  readonly model: string
  /** Of the model's weights and its tokenizer. */
  readonly fingerprint: string
  readonly facts: string
  /** SHA-256 of the file of facts. */
  readonly contents: string
  readonly onePerSubject: boolean
  /** Every how manieth fact is asked for hard locality; 0 for none. */
  readonly hardEvery: number
  readonly seed: number
}

export type Job =
  | { readonly kind: 'before'; readonly inputs: Inputs; readonly facts: readonly number[] }
  | {
      readonly kind: 'edit'
      readonly inputs: Inputs
      readonly method: string
      /** Facts taught one after another, by their places in the list. */
      readonly facts: readonly number[]
      /** Edits of the row that this is part of: T. */
      readonly edits: number
      readonly options: Omit<MethodOptions, 'seed' | 'folder'>
      /** The file with what the unedited model says, and what is in it. */
      readonly before: string
      readonly beforeContents: string
      /** How many of the facts are also shown as texts. */
      readonly examples: number
    }

export interface Example {
  readonly fact: number
  readonly prompt: string
  readonly rephrase: string
  readonly locality: string
}

export interface Taught {
  readonly results: readonly Result[]
  readonly overlaps: readonly Overlaps[]
  readonly examples: readonly Example[]
  readonly steps: readonly number[]
  /** Mean over all edits. */
  readonly secondsPerEdit: number
  readonly layer: number | null
  /** Least overlap at which an edit answers, of methods that route by it. */
  readonly threshold: number | null
}

export type Found = { readonly before: readonly Reference[] } | Taught

function bytesOf(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
}
const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** SHA-256 of a file. Throws `TL_IO`. */
export const contentsOf = (path: string): string => hashOf(bytesOf(path))

/** Facts of a run, in order. Throws `TL_IO`, and `TL_BAD_FILE`, also when the file is no longer what it was. */
export function factsOf({ facts, contents, onePerSubject: one }: Inputs): Fact[] {
  const bytes = bytesOf(facts)
  if (hashOf(bytes) !== contents)
    fail('TL_BAD_FILE', `${facts}: changed while the run was at work; run again with --fresh`)
  const all = parseFacts(new TextDecoder().decode(bytes), facts)
  return one ? onePerSubject(all) : all
}

/** What is asked about a fact of the run. */
function asked({ hardEvery }: Inputs, facts: readonly Fact[], index: number): Questions {
  const all = questionsOf(facts[index]!, index)
  if (hardEvery > 0 && index % hardEvery === 0) return all
  const { sameSubject, sameRelation, ...rest } = all
  return rest
}

/** Where methods keep their stores: threads that are ended leave them behind, so the run clears them away. */
export const storesIn = (folder: string): string => join(folder, 'stores.tmp')

/** Kept on each thread from one job to the next. */
interface Kept {
  readonly key: string
  readonly model: LanguageModel
  readonly tokenizer: Tokenizer
  readonly facts: readonly Fact[]
  /** The method at work, the key of its options, and whether it has been taught. */
  method?: { readonly key: string; readonly edited: EditedModel; isFresh: boolean }
  before?: { readonly contents: string; readonly references: ReadonlyMap<number, Reference> }
}
let kept: Kept | undefined

/** Forget what this thread has kept; for runs on the calling thread. */
export function forget(): void {
  kept?.method?.edited.dispose()
  kept?.model.dispose()
  kept = undefined
}

function open(inputs: Inputs): Kept {
  const key = JSON.stringify(inputs)
  if (kept?.key === key) return kept
  forget()
  const model = loadModel(inputs.model)
  kept = { key, model, tokenizer: loadTokenizer(inputs.model), facts: factsOf(inputs) }
  return kept
}

/** The method, without edits. */
async function methodFor(own: Kept, name: string, options: MethodOptions): Promise<EditedModel> {
  const key = JSON.stringify([name, options])
  if (own.method?.key !== key) {
    own.method?.edited.dispose()
    delete own.method
    own.method = { key, edited: await methodOf(name).open(own.model, own.tokenizer, options), isFresh: true }
  }
  if (!own.method.isFresh) await own.method.edited.reset()
  own.method.isFresh = false
  return own.method.edited
}

const leave = (signal: AbortSignal | undefined): void => {
  if (signal?.aborted) fail('TL_INTERRUPTED', 'interrupted')
}

/** What is said after a text, for people. */
async function continuation(edited: EditedModel, prompt: string | undefined): Promise<string> {
  if (prompt === undefined) return ''
  return (await edited.generate(prompt, { maxTokens: 12 })).text.replace(/\s+/g, ' ').trim()
}

/** The facts, told to a method one after another, then asked for; see `Task`. */
export async function work(job: Job, signal?: AbortSignal): Promise<Found> {
  const own = open(job.inputs)
  const { seed } = job.inputs
  if (job.kind === 'before') {
    const edited = await methodFor(own, 'none', { seed })
    const before: Reference[] = []
    for (const index of job.facts) {
      leave(signal)
      before.push(await referenceOf(edited, asked(job.inputs, own.facts, index)))
    }
    return { before }
  }
  if (own.before?.contents !== job.beforeContents) {
    const list = JSON.parse(readFileSync(job.before, 'utf8')) as { fact: number; reference: Reference }[]
    own.before = {
      contents: job.beforeContents,
      references: new Map(list.map(({ fact, reference }) => [fact, reference])),
    }
  }
  const { references } = own.before
  const folder = storesIn(dirname(job.before))
  mkdirSync(folder, { recursive: true })
  const edited = await methodFor(own, job.method, { seed, ...job.options, folder })
  const say = noteIn(dirname(job.before), `${methodOf(job.method).title}, T = ${job.edits}`)
  const steps: number[] = []
  const start = performance.now()
  for (const [place, index] of job.facts.entries()) {
    leave(signal)
    say(`${place} of ${job.facts.length} taught`)
    const { prompt, target, subject, unrelated } = own.facts[index]!
    const { steps: taken } = await edited.teach({
      prompt,
      target,
      unrelated: unrelated ?? backgroundPrompts[index % backgroundPrompts.length]!,
      ...(subject !== undefined && { subject }),
    })
    steps.push(taken)
  }
  const secondsPerEdit = (performance.now() - start) / 1000 / job.facts.length
  const results: Result[] = []
  const overlaps: Overlaps[] = []
  const examples: Example[] = []
  for (const [place, index] of job.facts.entries()) {
    leave(signal)
    const reference =
      references.get(index) ?? fail('TL_BAD_FILE', `${job.before}: nothing about fact ${index}`)
    results.push(await resultOf(edited, reference))
    const found = await overlapsOf(edited, reference, place + 1)
    if (found) overlaps.push(found)
    if (place < job.examples)
      examples.push({
        fact: index,
        prompt: await continuation(edited, reference.edit?.prompt),
        rephrase: await continuation(edited, reference.rephrase?.prompt),
        locality: await continuation(edited, reference.locality?.prompt),
      })
  }
  return {
    results,
    overlaps,
    examples,
    steps,
    secondsPerEdit,
    layer: edited.layer ?? null,
    threshold: edited.threshold ?? null,
  }
}

export const editTask: Task = { module: import.meta.url, name: 'work' }
