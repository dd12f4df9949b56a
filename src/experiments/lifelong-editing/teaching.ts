/** @file What a thread holds, and one measurement: a method taught some facts one after another, and asked about them. */
import { createHash } from 'node:crypto'
import { fail, percent } from '../../base/index.ts'
import { readBytes, textOf } from '../../base/read.ts'
import {
  type Answers,
  backgroundPrompts,
  damageOf,
  type Fact,
  type Kind,
  onePerSubject,
  parseFacts,
  questionsOf,
  type Reference,
  type Result,
  referenceOf,
  resultBefore,
  resultOf,
} from '../../edit/index.ts'
import { type LanguageModel, loadModel, loadTokenizer, type Tokenizer } from '../../lm/index.ts'
import type { DamageText } from './damage.ts'
import { type EditedModel, type MethodOptions, methodOf, type Lesson as TaughtFact } from './methods/index.ts'
import { overlapsOf } from './routing.ts'
import type { ExampleRow, Row } from './rows.ts'

/** A file's text and its SHA-256. Throws `TL_IO`, and `TL_BAD_FILE` when it is no longer the one that is expected. */
export function readText(path: string, expected?: string): { readonly text: string; readonly hash: string } {
  const bytes = readBytes(path)
  const hash = createHash('sha256').update(bytes).digest('hex')
  if (expected !== undefined && hash !== expected)
    fail('TL_BAD_FILE', `${path}: changed while the run was at work; run again with --fresh`)
  return { text: textOf(bytes, path), hash }
}

/** Facts of a file, in order. Throws `TL_BAD_FILE`. */
export function factsIn(text: string, path: string, onlyOnePerSubject: boolean): Fact[] {
  const all = parseFacts(text, path)
  return onlyOnePerSubject ? onePerSubject(all) : all
}

/** What a thread holds: the model, the facts, what the unedited model says about them, and the method at work. */
export interface Bench {
  readonly model: LanguageModel
  readonly tokenizer: Tokenizer
  readonly facts: readonly Fact[]
  /** Every how manieth fact is asked for hard locality; 0 for none. */
  readonly hardEvery: number
  /** Every how manieth fact is also asked for freely; 0 for none. */
  readonly wildEvery: number
  readonly references: Map<number, Reference>
  untouched?: EditedModel
  method?: { readonly name: string; readonly edited: EditedModel; isFresh: boolean }
}

export const openBench = (path: string, own: Pick<Bench, 'facts' | 'hardEvery' | 'wildEvery'>): Bench => ({
  ...{ model: loadModel(path), tokenizer: loadTokenizer(path) },
  ...{ ...own, references: new Map() },
})

/** Whether fact `index` is one of every `every`; of none where that is 0. */
const isOneOf = (index: number, every: number): boolean => every > 0 && index % every === 0

export function closeBench({ model, method, untouched }: Bench): void {
  method?.edited.dispose()
  untouched?.dispose()
  model.dispose()
}

/** The method, without edits. */
async function methodFor(bench: Bench, name: string, options: MethodOptions): Promise<EditedModel> {
  if (bench.method?.name !== name) {
    bench.method?.edited.dispose()
    delete bench.method
    const edited = await methodOf(name).open(bench.model, bench.tokenizer, options)
    bench.method = { name, edited, isFresh: true }
  }
  if (!bench.method.isFresh) await bench.method.edited.reset()
  bench.method.isFresh = false
  return bench.method.edited
}

/** The model without edits. */
async function untouchedOf(bench: Bench): Promise<EditedModel> {
  bench.untouched ??= await methodOf('none').open(bench.model, bench.tokenizer)
  return bench.untouched
}

/** What the unedited model says about a fact, asked once. */
async function referenceFor(bench: Bench, index: number): Promise<Reference> {
  const known = bench.references.get(index)
  if (known) return known
  const untouched = await untouchedOf(bench)
  const { sameSubject, neighbour, sameRelation, ...rest } = questionsOf(bench.facts[index]!, index)
  const hard = {
    ...(sameSubject && { sameSubject }),
    ...(neighbour && { neighbour }),
    ...(sameRelation && { sameRelation }),
  }
  const asked = { ...rest, ...(isOneOf(index, bench.hardEvery) && hard) }
  const found = await referenceOf(untouched, asked, { wild: isOneOf(index, bench.wildEvery) })
  bench.references.set(index, found)
  return found
}

/** What is said after a text, for people. */
async function continuation(edited: Answers, prompt: string | undefined): Promise<string> {
  if (prompt === undefined) return ''
  return (await edited.generate(prompt, { maxTokens: 12, answer: 'as-asked' })).text
    .replace(/\s+/g, ' ')
    .trim()
}

async function exampleOf(
  edited: EditedModel,
  edit: number,
  { prompt, target, rephrase, locality }: Fact,
  reference: Reference,
): Promise<Omit<ExampleRow, 'part' | 'fact'>> {
  const says = (kind: Kind) => continuation(edited.of?.(edit, kind) ?? edited, reference[kind]?.prompt)
  return {
    ...{ prompt, target, rephrase: rephrase ?? null, locality: locality?.prompt ?? null },
    saysToPrompt: await says('edit'),
    saysToRephrase: await says('rephrase'),
    saysToLocality: await says('locality'),
  }
}

const answersOf = (fact: number, result: Result): Row[] =>
  Object.entries(result).map(([kind, measured]) => ({
    part: 'answer',
    fact,
    kind: kind as keyof Result,
    ...measured,
  }))

/** What is to be done with one group of facts. */
interface Lesson {
  readonly method: string
  /** Facts taught one after another, by their places in the list. */
  readonly facts: readonly number[]
  readonly options: MethodOptions
  /** How many of the facts are also shown as texts. */
  readonly examples: number
  /** Texts that are read by the edited model and the unedited one. */
  readonly damage: readonly DamageText[]
  readonly signal: AbortSignal
  readonly progress: (share: number, detail: string) => void
  /** Share of the time that teaching takes. */
  readonly teaching: number
}

/** What the unedited model says about some facts. */
async function untaught(bench: Bench, { facts, signal, progress }: Lesson): Promise<Row[]> {
  const rows: Row[] = []
  for (const [place, index] of facts.entries()) {
    leave(signal)
    rows.push(...answersOf(index, resultBefore(await referenceFor(bench, index))))
    progress((place + 1) / facts.length, `${place + 1} of ${facts.length} asked`)
  }
  return rows
}

const leave = (signal: AbortSignal): void => {
  if (signal.aborted) fail('TL_INTERRUPTED', 'interrupted')
}

/** Texts read by the edited model and the unedited one. */
async function damageBy(bench: Bench, edited: EditedModel, lesson: Lesson): Promise<Row[]> {
  const rows: Row[] = []
  for (const { about, place, ...text } of lesson.damage) {
    leave(lesson.signal)
    // none of them asks for what was taught
    const asked = edited.of?.((place ?? 0) + 1, place === undefined ? 'locality' : 'sameSubject') ?? edited
    const found = await damageOf(asked, await untouchedOf(bench), text)
    rows.push({ part: 'damage', about, fact: place === undefined ? null : lesson.facts[place]!, ...found })
  }
  return rows
}

/** A fact as methods are taught it. */
function lessonOf({ facts }: Bench, index: number): TaughtFact {
  const { prompt, target, subject, unrelated } = facts[index]!
  return {
    prompt,
    target,
    unrelated: unrelated ?? backgroundPrompts[index % backgroundPrompts.length]!,
    ...(subject !== undefined && { subject }),
  }
}

/** Teach a method some facts: together where it learns them so, else one after another. */
async function teach(
  bench: Bench,
  edited: EditedModel,
  { facts, signal, progress, teaching }: Lesson,
): Promise<Row[]> {
  const lessons = facts.map((index) => lessonOf(bench, index))
  const steps = (place: number, own: number): Row => ({ part: 'steps', fact: facts[place]!, steps: own })
  if (edited.teachAll) {
    const all = await edited.teachAll(lessons, (share) => {
      leave(signal)
      progress(teaching * share, `${facts.length} taught together, ${percent(share)}`)
    })
    return all.map((own, place) => steps(place, own.steps))
  }
  const rows: Row[] = []
  for (const [place, lesson] of lessons.entries()) {
    leave(signal)
    rows.push(steps(place, (await edited.teach(lesson)).steps))
    progress((teaching * (place + 1)) / facts.length, `${place + 1} of ${facts.length} taught`)
  }
  return rows
}

/** Teach a method some facts, then ask for all of them. */
export async function measureGroup(bench: Bench, lesson: Lesson): Promise<Row[]> {
  const { method, facts, options, examples, signal, progress, teaching } = lesson
  if (method === 'none') return untaught(bench, lesson)
  const edited = await methodFor(bench, method, options)
  const start = performance.now()
  const rows = await teach(bench, edited, lesson)
  const secondsPerEdit = (performance.now() - start) / 1000 / facts.length
  for (const [place, index] of facts.entries()) {
    leave(signal)
    const reference = await referenceFor(bench, index)
    rows.push(...answersOf(index, await resultOf(edited, reference, { edit: place + 1 })))
    const overlaps = await overlapsOf(edited, reference, place + 1)
    if (overlaps) rows.push({ part: 'overlaps', fact: index, ...overlaps })
    if (place < examples) {
      const example = await exampleOf(edited, place + 1, bench.facts[index]!, reference)
      rows.push({ part: 'example', fact: index, ...example })
    }
    progress(
      teaching + ((1 - teaching) * (place + 1)) / facts.length,
      `${place + 1} of ${facts.length} asked`,
    )
  }
  rows.push(...(await damageBy(bench, edited, lesson)))
  const [layer, threshold] = [edited.layer ?? null, edited.threshold ?? null]
  return [...rows, { part: 'taught', secondsPerEdit, layer, threshold }]
}
