/** @file What an edit does once it is taught: asked in its own words, in others, and beside what it is about. */
import { asked } from '../scope/questions.ts'
import type { Audit, EditRecord } from '../store/index.ts'
import type { Asked } from './answering.ts'
import { heldOutPrompts } from './background.ts'

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
