/**
 * @file Whether a model says a target when nobody holds its hand: the text it goes on with until it stops by itself (Yang et al.
 * 2025, "The Mirage of Model Editing", who let a language model judge), judged by words.
 */
import { plainText } from '../memoir/subject.ts'
import type { Answers } from './answers.ts'

/** Whether an answer to the same words, as a message in the model's chat template, has the words of the target: 1 for yes. */
export async function chatOf(
  model: Answers,
  { prompt, ids, target, targetTokens }: InChat,
): Promise<number | undefined> {
  const said = await model.inChat?.(prompt, ids, { maxTokens: targetTokens + room })
  return said && Number(saysTarget(said.text, target).contains)
}

/** A prompt as a message. */
interface InChat {
  readonly prompt: string
  /** The conversation of that one message. */
  readonly ids: readonly number[]
  readonly target: string
  readonly targetTokens: number
}

/** What a text that was generated freely says, each 1 for yes. */
export interface Wild {
  /** The words of the target stand in it one after another; case, punctuation and spacing do not count. */
  readonly wild: number
  /** It begins with them. */
  readonly wildBegins: number
  /** It came to its end by itself, before there was no room. */
  readonly wildEnds: number
}

/** Tokens that a text may have beyond those of its target. */
const room = 20

/** Whether a text contains, and begins with, the words of a target; of one without words, its characters. */
export function saysTarget(text: string, target: string): { readonly contains: boolean; begins: boolean } {
  const words = plainText(target)
  const [own, wanted] = words.trim() === '' ? [text.trim(), target.trim()] : [plainText(text), words]
  return { contains: own.includes(wanted), begins: own.startsWith(wanted) }
}

/** Let a model go on after a prompt until it stops, at most 20 tokens more than the target has. */
export async function wildOf(
  model: Answers,
  prompt: string,
  target: string,
  targetTokens: number,
): Promise<Wild> {
  const maxTokens = targetTokens + room
  const { ids, text } = await model.generate(prompt, { maxTokens, stopAtEos: true, answer: 'as-asked' })
  const { contains, begins } = saysTarget(text, target)
  return { wild: Number(contains), wildBegins: Number(begins), wildEnds: Number(ids.length < maxTokens) }
}
