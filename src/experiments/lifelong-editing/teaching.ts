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
  type Questions,
  questionsOf,
  type Reference,
  type Result,
  referenceOf,
  resultBefore,
  resultOf,
  unchanged,
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
  /** Most facts of a group that are asked for, evenly spread; beside those of hard locality and free answers. */
  readonly mostAsked: number
  /** Every how manieth fact is asked for hard locality; 0 for none. */
  readonly hardEvery: number
  /** Every how manieth fact is also asked for freely; 0 for none. */
  readonly wildEvery: number
  /** Other wordings and other relations, by the places of facts. */
  readonly relationQuestions: (index: number) => Partial<Questions>
  readonly references: Map<number, Reference>
  untouched?: EditedModel
  method?: AtWork
}

/** A method at work, and what it was taught so far. */
interface AtWork {
  /** Of the method that teaches. */
  readonly name: string
  readonly edited: EditedModel
  taught: readonly Learned[]
  isFresh: boolean
}

interface Learned {
  /** Its place in the list of facts. */
  readonly fact: number
  readonly steps: number
  readonly seconds: number
}

export const openBench = (
  path: string,
  own: Pick<Bench, 'facts' | 'mostAsked' | 'hardEvery' | 'wildEvery' | 'relationQuestions'>,
): Bench => ({
  ...{ model: loadModel(path), tokenizer: loadTokenizer(path) },
  ...{ ...own, references: new Map() },
})

/** Whether fact `index` is one of every `every`; of none where that is 0. */
const isOneOf = (index: number, every: number): boolean => every > 0 && index % every === 0

/** Which facts of a group are asked for, with their places in it. */
function askedOf({ mostAsked, hardEvery, wildEvery }: Bench, facts: readonly number[]) {
  const every = Math.max(1, Math.ceil(facts.length / mostAsked))
  return [...facts.entries()].filter(
    ([place, index]) => isOneOf(place, every) || isOneOf(index, hardEvery) || isOneOf(index, wildEvery),
  )
}

export function closeBench({ model, method, untouched }: Bench): void {
  method?.edited.dispose()
  untouched?.dispose()
  model.dispose()
}

/**
 * The method that teaches some facts, with as many of them taught as it was taught before one after another; else without edits.
 * Several methods may share edits, and the first facts of a longer list are taught already by a shorter one.
 */
async function methodFor(bench: Bench, { method, facts, options }: Lesson): Promise<AtWork> {
  const name = methodOf(method).editsOf ?? method
  if (bench.method?.name !== name) {
    bench.method?.edited.dispose()
    delete bench.method
    const edited = await methodOf(name).open(bench.model, bench.tokenizer, options)
    bench.method = { name, edited, taught: [], isFresh: true }
  }
  const own = bench.method
  const { taught, edited } = own
  const isBeginning = taught.every(({ fact }, place) => fact === facts[place])
  const isDone = isBeginning && taught.length === facts.length
  if (!own.isFresh && !(edited.teachAll ? isDone : isBeginning && taught.length > 0)) {
    await edited.reset()
    own.taught = []
    own.isFresh = true
  }
  return own
}

/** The model without edits. */
async function untouchedOf(bench: Bench): Promise<EditedModel> {
  bench.untouched ??= await methodOf('none').open(bench.model, bench.tokenizer)
  return bench.untouched
}

/** What is asked of some facts only: all that must not change but the file's own unrelated prompt. */
const hardLocality: ReadonlySet<string> = new Set(unchanged.filter((kind) => kind !== 'locality'))

/** What the unedited model says about a fact, asked once. */
async function referenceFor(bench: Bench, index: number): Promise<Reference> {
  const known = bench.references.get(index)
  if (known) return known
  const untouched = await untouchedOf(bench)
  const all = { ...questionsOf(bench.facts[index]!, index), ...bench.relationQuestions(index) }
  const isHard = isOneOf(index, bench.hardEvery)
  const asked = Object.fromEntries(
    Object.entries(all).filter(([kind]) => isHard || !hardLocality.has(kind)),
  ) as Questions & typeof all
  const { tokenizer } = bench
  const found = await referenceOf(untouched, asked, {
    wild: isOneOf(index, bench.wildEvery),
    inChat: tokenizer.hasChatTemplate
      ? (content) => tokenizer.encodeChat([{ role: 'user', content }])
      : undefined,
  })
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
  const asked = askedOf(bench, facts)
  for (const [done, [, index]] of asked.entries()) {
    leave(signal)
    rows.push(...answersOf(index, resultBefore(await referenceFor(bench, index))))
    progress((done + 1) / asked.length, `${done + 1} of ${asked.length} asked`)
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

/** Teach a method what it lacks of some facts: together where it learns them so, else one after another. */
async function teach(
  bench: Bench,
  own: AtWork,
  { facts, signal, progress, teaching }: Lesson,
): Promise<readonly Learned[]> {
  const { edited } = own
  const start = performance.now()
  const missing = facts.slice(own.taught.length)
  if (missing.length > 0) own.isFresh = false
  if (edited.teachAll && missing.length > 0) {
    const lessons = facts.map((index) => lessonOf(bench, index))
    const all = await edited.teachAll(lessons, (share) => {
      leave(signal)
      progress(teaching * share, `${facts.length} taught together, ${percent(share)}`)
    })
    const seconds = (performance.now() - start) / 1000 / facts.length
    own.taught = all.map(({ steps }, place) => ({ fact: facts[place]!, steps, seconds }))
    return own.taught
  }
  let before = start
  for (const fact of missing) {
    leave(signal)
    const { steps } = await edited.teach(lessonOf(bench, fact))
    const now = performance.now()
    own.taught = [...own.taught, { fact, steps, seconds: (now - before) / 1000 }]
    before = now
    const place = own.taught.length
    progress((teaching * place) / facts.length, `${place} of ${facts.length} taught`)
  }
  return own.taught
}

/** Teach a method some facts, then ask for all of them. */
export async function measureGroup(bench: Bench, lesson: Lesson): Promise<Row[]> {
  const { method, facts, examples, signal, progress, teaching } = lesson
  if (method === 'none') return untaught(bench, lesson)
  const own = await methodFor(bench, lesson)
  const taught = await teach(bench, own, lesson)
  const edited = methodOf(method).asked?.(own.edited) ?? own.edited
  const rows: Row[] = taught.map(({ fact, steps }) => ({ part: 'steps', fact, steps }))
  const secondsPerEdit = taught.reduce((sum, { seconds }) => sum + seconds, 0) / facts.length
  const asked = askedOf(bench, facts)
  for (const [done, [place, index]] of asked.entries()) {
    leave(signal)
    const reference = await referenceFor(bench, index)
    rows.push(...answersOf(index, await resultOf(edited, reference, { edit: place + 1 })))
    const overlaps = await overlapsOf(edited, reference, place + 1)
    if (overlaps) rows.push({ part: 'overlaps', fact: index, ...overlaps })
    if (done < examples) {
      const example = await exampleOf(edited, place + 1, bench.facts[index]!, reference)
      rows.push({ part: 'example', fact: index, ...example })
    }
    progress(teaching + ((1 - teaching) * (done + 1)) / asked.length, `${done + 1} of ${asked.length} asked`)
  }
  rows.push(...(await damageBy(bench, edited, lesson)))
  const [layer, threshold] = [edited.layer ?? null, edited.threshold ?? null]
  return [...rows, { part: 'taught', secondsPerEdit, layer, threshold }]
}
