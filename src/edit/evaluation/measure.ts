/**
 * @file The field's metrics on one fact (EasyEdit, evaluate_utils): teacher-forced shares of tokens, the same by greedy
 * generation, perplexity of the target, and what must not change, compared with the unedited model.
 */
import type { Answers } from './answers.ts'
import { type Kind, kinds, learned, type Question, type Questions, unchanged, unwanted } from './questions.ts'
import { chatOf, type Wild, wildOf } from './wild.ts'

/** What the unedited model says to one question. */
export interface Before {
  readonly prompt: string
  readonly answer: string
  readonly targetIds: readonly number[]
  /** The most probable token in each place of the answer. */
  readonly best: readonly number[]
  readonly logProbabilities: readonly number[]
  /** Its greedy continuation, as long as the answer; for what must not change. */
  readonly generated?: readonly number[]
  /** What it says of the answer when it goes on freely; for what is learned, where that is asked. */
  readonly wild?: Wild
  /** The prompt as a message in the chat template, where that is asked, and whether the answer says the target. */
  readonly chat?: { readonly ids: readonly number[]; readonly says: number }
}
export type Reference = { readonly [K in Kind]?: Before }

/** Of what is learned there is also what is said freely, where that is asked. */
export interface Measured extends Partial<Wild> {
  /** 1 when the answer to the prompt as a message in the model's chat template has the words of the target. */
  readonly chat?: number
  /** Share of the answer's tokens that are the most probable ones; of what must not change, those of the unedited model. */
  readonly forced: number
  /** 1 when as many tokens as the answer has, generated greedily, are the answer, or those of the unedited model. */
  readonly exact: number
  /**
   * The same, where the edit that answers goes on after the prompt that it was taught with: 1 when the text of as many tokens as
   * the answer has is the answer, or that of the unedited model. Absent for methods that have no such choice, and of what is
   * unwanted.
   */
  readonly asTaught?: number
  /** Mean negative log-probability of the answer's tokens in nats; null where it is not finite. */
  readonly loss: number | null
  /** Log-probabilities of the answer have the same bits as the unedited model's. */
  readonly isIdentical: boolean
  /** The edit that answered, 0 for all together, null for none. */
  readonly edit: number | null
  /** Its greedy continuation, as long as the answer, where texts were asked for. */
  readonly text?: string
}
export type Result = { readonly [K in Kind]?: Measured }

/** Tokens of the continuation that stands in where a question has no answer. */
const continued = 5

/** Share of equal places; 1 of none. */
export const agreement = (a: readonly number[], b: readonly number[]): number =>
  a.length === 0 ? 1 : a.filter((id, i) => id === b[i]).length / a.length

function lossOf(logProbabilities: readonly number[]): number | null {
  const loss = -logProbabilities.reduce((a, b) => a + b, 0) / logProbabilities.length
  return Number.isFinite(loss) ? loss : null
}

async function before(
  model: Answers,
  { prompt, answer }: Question,
  mustStay: boolean,
  isWild: boolean,
  inChat: FreeQuestions['inChat'],
): Promise<Before> {
  let own = answer
  if (own === undefined) {
    const { text } = await model.generate(prompt, { maxTokens: continued, stopAtEos: false })
    own = text.trim() === '' ? ' the' : text
  }
  const { targetIds, best, logProbabilities } = await model.score(prompt, own)
  const options = { maxTokens: targetIds.length, stopAtEos: false }
  const generated = mustStay ? (await model.generate(prompt, options)).ids : undefined
  const wild = isWild ? await wildOf(model, prompt, own, targetIds.length) : undefined
  const ids = isWild ? inChat?.(prompt) : undefined
  const says = ids && (await chatOf(model, { prompt, ids, target: own, targetTokens: targetIds.length }))
  return {
    ...{ prompt, answer: own, targetIds, best, logProbabilities },
    ...(generated && { generated }),
    ...(wild && { wild }),
    ...(ids && says !== undefined && { chat: { ids, says } }),
  }
}

/** What is also asked of every model about what is learned. */
interface FreeQuestions {
  /** What it says freely. */
  readonly wild?: boolean
  /** With it, what it answers in a chat: the conversation of one message in the model's template. */
  readonly inChat?: ((message: string) => readonly number[]) | undefined
}

const isOf = (some: readonly Kind[], kind: Kind): boolean => some.includes(kind)

/** Ask the unedited model, once for all methods. */
export async function referenceOf(
  model: Answers,
  questions: Questions,
  { wild = false, inChat }: FreeQuestions = {},
): Promise<Reference> {
  const found: { [K in Kind]?: Before } = {}
  for (const kind of kinds) {
    const question = questions[kind]
    if (!question) continue
    const isFree = wild && isOf(learned, kind)
    found[kind] = await before(model, question, isOf(unchanged, kind), isFree, inChat)
  }
  return found
}

/** What the unedited model's own answers are worth: the row without an edit. */
export function resultBefore(reference: Reference): Result {
  const found: { [K in Kind]?: Measured } = {}
  for (const kind of kinds) {
    const own = reference[kind]
    if (!own) continue
    const mustStay = own.generated !== undefined
    const forced = mustStay ? 1 : agreement(own.targetIds, own.best)
    found[kind] = {
      forced,
      exact: Number(forced === 1),
      loss: lossOf(own.logProbabilities),
      isIdentical: true,
      edit: null,
      ...own.wild,
      ...(own.chat && { chat: own.chat.says }),
    }
  }
  return found
}

interface Asking {
  /** Generate every answer and keep it. */
  readonly texts?: boolean
  /** The edit that taught the fact, from 1: for methods that are told. */
  readonly edit?: number
}

/** Ask an edited model the same. */
export async function resultOf(
  edited: Answers,
  reference: Reference,
  { texts = false, edit: taught }: Asking = {},
): Promise<Result> {
  const found: { [K in Kind]?: Measured } = {}
  for (const kind of kinds) {
    const own = reference[kind]
    if (!own) continue
    const model = (taught !== undefined && edited.of?.(taught, kind)) || edited
    const { edit, best, logProbabilities } = await model.score(own.prompt, own.answer)
    const maxTokens = own.targetIds.length
    const isIdentical = logProbabilities.every((value, i) => value === own.logProbabilities[i])
    const forced = agreement(own.generated ? own.best : own.targetIds, best)
    // a text is generated token by token from what is most probable: it is the answer when every forced place is right
    let exact = Number(own.generated ? edit === null : forced === 1)
    let text: string | undefined
    if (texts || (own.generated && edit !== null)) {
      const made = await model.generate(own.prompt, { maxTokens, stopAtEos: false, answer: 'as-asked' })
      exact = Number(agreement(own.generated ?? own.targetIds, made.ids) === 1)
      text = made.text
    }
    let asTaught: number | undefined
    if (model.canAnswerAsTaught && !isOf(unwanted, kind)) {
      const said = edit !== null && (await model.generate(own.prompt, { maxTokens, stopAtEos: false }))
      if (!said) asTaught = exact
      else if (own.generated) asTaught = Number(agreement(own.generated, said.ids) === 1)
      else asTaught = Number(said.text.trim() === own.answer.trim())
    }
    const isUntouched = edit === null && isIdentical
    const wild = own.wild && (isUntouched ? own.wild : await wildOf(model, own.prompt, own.answer, maxTokens))
    const chat =
      own.chat &&
      (await chatOf(model, {
        prompt: own.prompt,
        ids: own.chat.ids,
        target: own.answer,
        targetTokens: maxTokens,
      }))
    const loss = lossOf(logProbabilities)
    const more = {
      ...(asTaught !== undefined && { asTaught }),
      ...(texts && { text: text! }),
      ...wild,
      ...(chat !== undefined && { chat }),
    }
    found[kind] = { forced, exact, loss, isIdentical, edit, ...more }
  }
  return found
}
