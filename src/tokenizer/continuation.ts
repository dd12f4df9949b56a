/**
 * @file Text after text, as it will be met. A tokenizer that puts a space or a mark of its own before every text (Llama 2's
 * `Prepend ▁`, `add_prefix_space`) would put it into the middle, and the first token of what follows hangs on what stands before.
 */
import type { Tokenizer } from './tokenizer.ts'

/**
 * Ids of a text after a prompt whose own ids (with BOS where the model expects it) stay as they are. They are what prompt and
 * text encoded together have after the ids of the prompt. Where a token of the two together spans the boundary, and so the
 * prompt's own ids are not how the two begin, the text is encoded as a piece in the middle of a text: what follows the
 * prompt's ids then still spells prompt and text, which is all that a model can say after them.
 */
export function encodeAfter(
  { encode, addsBos: bos }: Pick<Tokenizer, 'encode' | 'addsBos'>,
  prompt: string,
  text: string,
): number[] {
  const before = encode(prompt, { bos })
  const together = encode(prompt + text, { bos })
  return before.every((id, i) => id === together[i])
    ? together.slice(before.length)
    : encode(text, { continues: true })
}

/** Scripts that are written without spaces between words. */
const unspaced = '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}'
const endsUnspaced = new RegExp(`[${unspaced}]\\p{P}*$`, 'u')
const beginsUnspaced = new RegExp(`^[${unspaced}]`, 'u')

/**
 * An answer as it follows a prompt: with a space in front, unless one of the two brings its own, or both are in a script that is
 * written without spaces.
 */
export function spaced(prompt: string, answer: string): string {
  const joins = /\s$/.test(prompt) || /^\s/.test(answer)
  return joins || (endsUnspaced.test(prompt) && beginsUnspaced.test(answer)) ? answer : ` ${answer}`
}

/**
 * How many of a text's ids reach the place `end` of it: the last of them is the token that holds the character before that
 * place, also where it holds what follows as well.
 */
export function tokensUpTo(
  { encode, decode, addsBos: bos }: Pick<Tokenizer, 'encode' | 'decode' | 'addsBos'>,
  text: string,
  end: number,
): number {
  const ids = encode(text, { bos })
  const part = text.slice(0, end)
  const own = encode(part, { bos })
  let count = 0
  while (count < own.length && own[count] === ids[count]) count++
  // tokens that the text and its beginning share need no second look
  while (count < ids.length && !decode(ids.slice(0, count)).startsWith(part)) count++
  // a normalizer has changed the text: by the number of tokens
  return decode(ids.slice(0, count)).startsWith(part) ? count : Math.min(ids.length, own.length)
}
