/**
 * @file What goes through down projections on ordinary text: the second moment of their keys, which MEMIT and AlphaEdit are to
 * leave alone. The field takes it over 100,000 samples of Wikipedia; here it is taken over text that the model writes itself,
 * or over a text that is given.
 */
import { fail } from '../../../base/index.ts'
import type { Words } from '../../../edit/index.ts'
import type { LanguageModel } from '../../../lm/index.ts'
import { sampleToken } from '../../../lm/index.ts'
import { compile, matmul, random, type Tensor, tensor } from '../../../tensor/index.ts'
import type { Halves, Inner } from './halves.ts'

/** What the model's texts begin with, one after another. */
const beginnings = [
  'The',
  'In',
  'A',
  'It',
  'He',
  'She',
  'They',
  'We',
  'I',
  'You',
  'This',
  'When',
  'After',
  'If',
].concat(['What', 'Because'])
/** Tokens of a text, at most; the texts that are written side by side; tokens for each entry of a key. */
const textLength = 128
const sideBySide = 32
const tokensPerEntry = 10
/** Keys that are multiplied at once. */
const rows = 256

/** A sum of k kᵀ, [hidden, hidden], to which keys are added [tokens, hidden]. */
interface Moment {
  add(keys: Float32Array): Promise<void>
  /** The mean over all that was added. */
  mean(): Promise<Float64Array>
}

function momentOf(hidden: number, square: (keys: Tensor) => Promise<Tensor>): Moment {
  const sum = new Float64Array(hidden * hidden)
  const waiting = new Float32Array(rows * hidden)
  let [filled, count] = [0, 0]
  async function flush(): Promise<void> {
    waiting.fill(0, filled * hidden)
    const own = (await square(tensor(waiting, { shape: [rows, hidden] }))).data as Float32Array
    for (let i = 0; i < sum.length; i++) sum[i]! += own[i]!
    filled = 0
  }
  return {
    async add(keys) {
      count += keys.length / hidden
      for (let from = 0; from < keys.length; ) {
        const part = keys.subarray(from, from + (rows - filled) * hidden)
        waiting.set(part, filled * hidden)
        filled += part.length / hidden
        from += part.length
        if (filled === rows) await flush()
      }
    },
    async mean() {
      if (filled > 0) await flush()
      return sum.map((v) => v / count)
    },
  }
}

/** Texts the model writes: drawn at temperature 1 from a key that never changes, without tokens that would end them. */
async function write(
  halves: Halves,
  words: Words,
  take: (ids: number[], text: Written) => Promise<Float32Array>,
) {
  const { hidden, vocabulary } = halves.model.config
  const length = Math.min(textLength, halves.model.context)
  const texts = Math.ceil((tokensPerEntry * hidden) / length)
  for (let from = 0; from < texts; from += sideBySide) {
    const batch = Math.min(sideBySide, texts - from)
    const first = Array.from({ length: batch }, (_, b) =>
      words.encode(beginnings[(from + b) % beginnings.length]!, { bos: words.addsBos }),
    )
    const shortest = Math.min(...first.map((ids) => ids.length))
    const text = halves.text(length, batch)
    const keys = first.map((_, b) => random.foldIn(random.key(0), from + b))
    for (let ids = first.flatMap((own) => own.slice(0, shortest)); ; ) {
      const logits = await take(ids, { text, batch })
      if (text.length === length) break
      ids = keys.map((key, b) => {
        const own = logits.subarray(b * vocabulary, (b + 1) * vocabulary)
        const least = own.reduce((x, y) => Math.min(x, y))
        for (const id of words.eosIds) own[id] = least
        return sampleToken(own, { temperature: 1 }, [], random.foldIn(key, text.length))
      })
    }
  }
}
interface Written {
  readonly text: ReturnType<Halves['text']>
  readonly batch: number
}

async function measure(
  halves: Halves,
  blocks: readonly number[],
  words: Words,
  given: string | undefined,
): Promise<Float64Array[]> {
  const { hidden, width, model } = halves
  const square = compile((a: Tensor) => matmul(a, a, { transposeA: true }), {
    name: 'keys',
    threads: model.threads,
  })
  try {
    const moments = blocks.map(() => momentOf(hidden, square))
    const inner: Inner = ({ a }, layer) => moments[blocks.indexOf(layer)]!.add(a)
    if (given === undefined)
      await write(halves, words, async (ids, { text, batch }) => {
        const { a, x } = await halves.below(text, ids, inner)
        await moments.at(-1)!.add(a)
        const tokens = x.length / width / batch
        return halves.above(
          text,
          x,
          Array.from({ length: batch }, (_, b) => (b + 1) * tokens - 1),
        )
      })
    else {
      const ids = words.encode(given)
      if (ids.length < hidden)
        fail(
          'TL_BAD_ARGUMENT',
          `text: ${ids.length} tokens, the keys of ${model.config.architecture.name} have ${hidden} entries: expected more tokens than that, better ten times as many`,
        )
      const length = Math.min(textLength, model.context)
      for (let from = 0; from < ids.length; from += length) {
        const part = ids.slice(from, from + length)
        const { a } = await halves.below(halves.text(part.length), part, inner)
        await moments.at(-1)!.add(a)
      }
    }
    const means: Float64Array[] = []
    for (const moment of moments) means.push(await moment.mean())
    return means
  } finally {
    square.dispose()
  }
}

/** Of each open model: MEMIT and AlphaEdit share them. */
const known = new WeakMap<LanguageModel, Map<string, Promise<Float64Array[]>>>()

/**
 * Mean of k kᵀ over the tokens of ordinary text, float64 [hidden, hidden], for the down projection of each of `blocks` (the
 * cuts of `halves`, in order) in the unedited model: normalized by tokens and not centered, as the field's statistics are. The
 * text is `given`, cut into pieces of 128 tokens, or ten tokens for each entry of a key that the model writes itself. What is
 * returned is shared: do not write to it.
 */
export function momentsOfKeys(
  halves: Halves,
  blocks: readonly number[],
  words: Words,
  given?: string,
): Promise<Float64Array[]> {
  const own = known.get(halves.model) ?? new Map<string, Promise<Float64Array[]>>()
  known.set(halves.model, own)
  const key = JSON.stringify([blocks, words.fingerprint(), given])
  const found = own.get(key) ?? measure(halves, blocks, words, given)
  own.set(key, found)
  found.catch(() => own.delete(key))
  return found
}
