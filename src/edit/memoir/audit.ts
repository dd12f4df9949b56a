/** @file What an edit does once it is taught: asked in its own words, in others, and beside what it is about. */
import { asked } from '../scope/questions.ts'
import type { EditRecord } from '../store/index.ts'
import type { Asked } from './answering.ts'
import { heldOutPrompts } from './background.ts'

/** What was found of one edit. */
export interface Audit {
  readonly number: number
  /** Its own prompt is answered by it, greedily with the whole target. */
  readonly isLearned: boolean
  /** Of prompts that put its own into other words, how many it answers, of how many. */
  readonly otherWords: { readonly answered: number; readonly of: number }
  /** Another question about its subject is answered as before; null for an edit about nothing in particular. */
  readonly keepsSubject: boolean | null
  /** A prompt that has nothing to do with it is answered as before. */
  readonly keepsRest: boolean
}

/** Ways to put any prompt. */
const wrappings: readonly string[] = [
  'Question: {}',
  'Please answer this. {}',
  'I have to know it at last: {}',
]

/** Other questions about anything: none that a scope is learned from, or that an evaluation asks. */
const otherQuestions: readonly string[] = [
  'How many people have heard of {}?',
  'The opposite of {} is',
  'What would you like to ask {}?',
  'A rhyme for {} is',
]

/** What an audit needs to ask. */
interface Auditable extends Asked {
  who(prompt: string): Promise<number | null>
}

/** Ask one edit. `subject`: what it is about, as given or guessed. */
export async function auditOf(
  editor: Auditable,
  { number, prompt, target, targetTokens }: EditRecord,
  subject: string | undefined,
): Promise<Audit> {
  const own = await editor.generate(prompt, { maxTokens: targetTokens, stopAtEos: false, answer: 'as-asked' })
  let answered = 0
  for (const wrapping of wrappings) if ((await editor.who(asked(wrapping, prompt))) === number) answered++
  const other =
    subject === undefined ? undefined : asked(otherQuestions[number % otherQuestions.length]!, subject)
  return {
    number,
    isLearned: own.edit === number && own.text.trim() === target.trim(),
    otherWords: { answered, of: wrappings.length },
    keepsSubject: other === undefined ? null : (await editor.who(other)) !== number,
    keepsRest: (await editor.who(heldOutPrompts[number % heldOutPrompts.length]!)) !== number,
  }
}
