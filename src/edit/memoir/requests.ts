/** @file Prompts and targets as token ids, and what makes them unfit to be taught or asked. */
import { fail } from '../../base/index.ts'
import { encodeAfter, spaced, type Tokenizer } from '../../lm/index.ts'
import type { StoreConfig } from '../store/index.ts'
import { gateOf } from './subject.ts'

/** What editing needs of a tokenizer. */
export type Words = Pick<Tokenizer, 'encode' | 'decode' | 'eosIds' | 'addsBos' | 'fingerprint'> &
  Partial<Pick<Tokenizer, 'decoder'>>

/** A text, or the token ids of one. */
export type Prompt = string | readonly number[]

export interface EditRequest {
  readonly prompt: string
  readonly target: string
  readonly subject?: string
}

export interface Texts {
  /** Token ids of a prompt. Throws `TL_BAD_ARGUMENT` for an empty one or one that does not fit the context. */
  promptIds(prompt: Prompt): number[]
  /** Token ids of a target as it follows a prompt, after the prompt's own ids. Throws `TL_BAD_ARGUMENT` for one that does not fit. */
  targetIds(prompt: string, target: string): number[]
}

/** Tokens of a target at most. A correction is a name or a sentence; what is longer is a text pasted by mistake. */
const mostTargetTokens = 256

/** Tokens of a prompt and its target at most: every step of an edit reads all of them, each with all before it. */
const mostEditTokens = 1024

export function textsOf(words: Words, context: number): Texts {
  function promptIds(prompt: Prompt): number[] {
    const ids = typeof prompt === 'string' ? words.encode(prompt, { bos: words.addsBos }) : [...prompt]
    if (ids.length === 0 || (typeof prompt === 'string' && prompt.trim() === ''))
      fail('TL_BAD_ARGUMENT', 'the prompt is empty')
    if (ids.length > context)
      fail('TL_BAD_ARGUMENT', `the prompt has ${ids.length} tokens, the context holds ${context}`)
    return ids
  }
  function targetIds(prompt: string, target: string): number[] {
    const before = promptIds(prompt).length
    if (target.trim() === '')
      fail('TL_BAD_ARGUMENT', 'the target is empty: expected what the model is to answer')
    const ids = encodeAfter(words, prompt, spaced(prompt, target))
    if (before + ids.length > context)
      fail(
        'TL_BAD_ARGUMENT',
        `the target has ${ids.length} tokens and the prompt ${before}: together more than the context of ${context}`,
      )
    return ids
  }
  return { promptIds, targetIds }
}

/**
 * Token ids of the target, if the request can be taught and its edit can answer its own prompt. Throws `TL_BAD_ARGUMENT`, also
 * where the gate would hold the edit back because the prompt does not name its subject.
 */
export function checkRequest(
  texts: Texts,
  { prompt, target, subject }: EditRequest,
  gate: StoreConfig['gate'] = 'none',
): number[] {
  if (prompt.trim() === '') fail('TL_BAD_ARGUMENT', 'the prompt is empty: expected what is asked or begun')
  if (gate === 'subject' && !gateOf(prompt)(subject === undefined ? {} : { subject }))
    fail(
      'TL_BAD_ARGUMENT',
      `the prompt does not name the subject ${JSON.stringify(subject)}, and with the gate an edit answers only prompts that do: spell the subject as the prompt does, leave it out, or make the store with --gate none`,
    )
  const ids = texts.targetIds(prompt, target)
  if (ids.length > mostTargetTokens)
    fail(
      'TL_BAD_ARGUMENT',
      `the target has ${ids.length} tokens, an edit teaches at most ${mostTargetTokens}: shorten it, or teach it as several facts`,
    )
  const before = texts.promptIds(prompt).length
  if (before + ids.length > mostEditTokens)
    fail(
      'TL_BAD_ARGUMENT',
      `the prompt has ${before} tokens and the target ${ids.length}, an edit takes at most ${mostEditTokens} together: shorten the prompt`,
    )
  return ids
}
