/** @file Relations and a text as tasks of a language model: the first token of the object after a prompt, and what comes next in the text. */
import { fail } from '../../base/index.ts'
import { encodeAfter, type Tokenizer } from '../../lm/index.ts'
import { random } from '../../tensor/index.ts'
import type { Sequence, SequenceTask } from './language.ts'
import type { Relation } from './relationFile.ts'

type Encoder = Pick<Tokenizer, 'encode' | 'addsBos'>

/** Shares of a relation's samples to learn from and to choose with; the rest is to test on. */
const [learned, chosen] = [0.6, 0.15]

/** At most `most` samples of a relation in a random order, as sequences. */
export function relationTask(
  { name, template, samples }: Relation,
  tokenizer: Encoder,
  { most, key }: { readonly most: number; readonly key: random.Key },
): SequenceTask {
  const order = random.samplePermutation(key, samples.length)
  const sequences = Array.from(order.subarray(0, most), (i): Sequence => {
    const { subject, object } = samples[i]!
    const prompt = template.replace('{}', () => subject)
    const ids = tokenizer.encode(prompt, { bos: tokenizer.addsBos })
    const [label] = encodeAfter(tokenizer, prompt, ` ${object}`)
    return { ids, rows: [ids.length - 1], labels: [label!] }
  })
  const [first, second] = [learned, learned + chosen].map((share) => Math.round(share * sequences.length))
  return {
    name,
    sequences: {
      train: sequences.slice(0, first),
      validation: sequences.slice(first, second),
      test: sequences.slice(second),
    },
  }
}

interface TextTaskOptions {
  /** Pieces to choose with, and as many to test on. */
  readonly pieces: number
  /** Tokens of a piece that are read, and the last ones that are asked for. */
  readonly tokens: number
  readonly asked: number
  readonly key: random.Key
}

/** Pieces of a text at random places that do not overlap. Throws TL_BAD_CONFIG where the text is too short. */
export function textTask(
  name: string,
  text: string,
  tokenizer: Encoder,
  { pieces, tokens, asked, key }: TextTaskOptions,
): SequenceTask {
  // enough characters for all pieces, from the middle: what stands at the ends of a file is often none of its text
  const wanted = 24 * pieces * (tokens + 1)
  const begin = Math.max(0, Math.floor((text.length - wanted) / 2))
  const ids = tokenizer.encode(text.slice(begin, begin + wanted))
  const places = Math.floor(ids.length / (tokens + 1))
  if (places < 2 * pieces)
    fail(
      'TL_BAD_CONFIG',
      `config.text: expected at least ${2 * pieces * (tokens + 1)} tokens, got ${ids.length}; take a longer text, or lower controlPieces`,
    )
  const own = Array.from(random.samplePermutation(key, places).subarray(0, 2 * pieces), (place): Sequence => {
    const piece = ids.slice(place * (tokens + 1), (place + 1) * (tokens + 1))
    const rows = Array.from({ length: asked }, (_, i) => tokens - asked + i)
    return { ids: piece.slice(0, tokens), rows, labels: rows.map((t) => piece[t + 1]!) }
  })
  return { name, sequences: { train: [], validation: own.slice(0, pieces), test: own.slice(pieces) } }
}
