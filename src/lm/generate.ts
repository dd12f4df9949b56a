/** @file Continuing a text: token after token, until an end, a limit, or a word from outside. */
import { fail } from '../base/index.ts'
import { type Key, random } from '../tensor/index.ts'
import { checkSampling, type Sampling, sampleToken } from './sampling.ts'
import type { Session } from './session.ts'

export interface GenerateOptions {
  /** The prompt: token ids, at least one. */
  readonly ids: readonly number[]
  readonly maxTokens: number
  /** Default: the most probable token. */
  readonly sampling?: Sampling
  /** Source of all draws; needed with a temperature. */
  readonly key?: Key
  /** Tokens that end the text; the ending token is not part of the result. */
  readonly stopIds?: readonly number[]
  /** Called with each token as it is made. */
  readonly onToken?: (id: number) => void
  /** Stops between tokens when aborted. */
  readonly signal?: AbortSignal
}

export interface Generated {
  readonly ids: readonly number[]
  /** `length`: as many tokens as were asked for; `context`: no more fit into the model's. */
  readonly finish: 'eos' | 'length' | 'context' | 'aborted'
}

/** Throws `TL_NOT_FINITE` when the model's numbers have broken down. */
function requireNumbers(logits: Float32Array, length: number): void {
  for (let i = 0; i < logits.length; i++)
    if (Number.isNaN(logits[i]))
      fail(
        'TL_NOT_FINITE',
        `the logits after ${length} tokens are NaN (of token ${i} first): some weights of the model, or what it computes with them, are not finite`,
      )
}

/** Continue a session with a prompt. The session then holds the prompt and what was made of it (but for the last token). */
export async function generateWith(
  session: Pick<Session, 'ids' | 'prefill' | 'decode'>,
  context: number,
  options: GenerateOptions,
): Promise<Generated> {
  const { ids, maxTokens, sampling = {}, stopIds = [], onToken, signal } = options
  checkSampling(sampling)
  if (!(Number.isInteger(maxTokens) && maxTokens >= 1))
    fail('TL_BAD_ARGUMENT', `generate: maxTokens: expected an integer >= 1, got ${maxTokens}`)
  if (sampling.temperature && !options.key)
    fail('TL_BAD_ARGUMENT', 'generate: sampling with a temperature needs a key: random.key(seed)')
  let key = options.key ?? random.key(0)
  let logits = await session.prefill(ids)
  const made: number[] = []
  for (;;) {
    if (signal?.aborted) return { ids: made, finish: 'aborted' }
    const [next, own] = random.split(key, 2)
    key = next
    requireNumbers(logits, session.ids.length)
    const id = sampleToken(
      logits,
      sampling,
      sampling.repetitionPenalty === undefined ? [] : [...session.ids],
      own,
    )
    if (stopIds.includes(id)) return { ids: made, finish: 'eos' }
    made.push(id)
    onToken?.(id)
    if (made.length === maxTokens) return { ids: made, finish: 'length' }
    if (session.ids.length >= context) return { ids: made, finish: 'context' }
    logits = await session.decode(id)
  }
}
