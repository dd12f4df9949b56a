/** @file Which edit answers a prompt: a table of features, nearest mask, threshold, and a gate in front. */
import { fail } from '../../base/index.ts'
import { random } from '../../tensor/index.ts'
import type { Asks } from '../store/index.ts'
import { type Mask, sharedOnes } from './masks.ts'
import { gateOf } from './subject.ts'

/** What a router may look at: inputs of one block's down projection over a prompt. */
export interface PromptTrace {
  /** Row-major [tokens, hidden] */
  readonly activations: Float32Array
  readonly hidden: number
  /** −log p(x_t | x_<t) in nats of each token, the first counting as 0; only for routers that ask for it. */
  readonly surprisals?: ArrayLike<number>
}

export interface Router {
  readonly about: string
  /** Subtract the mean feature of background prompts. */
  readonly isCentred: boolean
  readonly needsSurprisals: boolean
  /** For a weighted mean over tokens whose weights depend on their number alone: these weights. Such routers fit into a program. */
  readonly weights?: (tokens: number) => Float64Array
  /** Feature [hidden] of a prompt, not centred. */
  readonly feature: (trace: PromptTrace) => Float64Array
}

/** Σ w_t a_t / Σ w_t */
function weighted({ activations, hidden }: PromptTrace, weights: ArrayLike<number>): Float64Array {
  const out = new Float64Array(hidden)
  let total = 0
  for (let t = 0; t < weights.length; t++) {
    const w = weights[t]!
    total += w
    if (w !== 0) for (let j = 0; j < hidden; j++) out[j]! += w * activations[t * hidden + j]!
  }
  return out.map((x) => x / total)
}

/** The two members of a router that takes a mean with such weights. */
const byWeights = (weights: (tokens: number) => Float64Array): Pick<Router, 'weights' | 'feature'> => ({
  weights,
  feature: (trace) => weighted(trace, weights(trace.activations.length / trace.hidden)),
})
const mean = byWeights((tokens) => new Float64Array(tokens).fill(1))

/** Smoothed over a token and the next two: a name counts to its end. */
function bySurprisal(trace: PromptTrace): Float64Array {
  const s = trace.surprisals ?? fail('TL_BAD_ARGUMENT', 'router surprisal: expected surprisals of the tokens')
  const weights = Array.from({ length: s.length }, (_, t) => {
    const own = [s[t]!, s[t - 1] ?? 0, s[t - 2] ?? 0]
    return 1e-6 + own.reduce((a, b) => a + b, 0) / 3
  })
  return weighted(trace, weights)
}

/** Random numbers from the bits of the activations: the same for the same prompt, unrelated for any other. */
function drawn({ activations, hidden }: PromptTrace): Float64Array {
  let hash = 0x811c9dc5
  for (const word of new Uint32Array(activations.buffer, activations.byteOffset, activations.length))
    hash = Math.imul(hash ^ word, 0x01000193)
  return Float64Array.from(random.sampleUniform(random.key(hash >>> 0), hidden))
}

/** Every router. */
export const routers: Readonly<Record<string, Router>> = {
  'mean-centred': {
    about: "the paper's: mean over the prompt's tokens less the mean of background prompts",
    isCentred: true,
    needsSurprisals: false,
    ...mean,
  },
  mean: { about: 'mean over the tokens', isCentred: false, needsSurprisals: false, ...mean },
  last: {
    about: 'the last token',
    isCentred: false,
    needsSurprisals: false,
    ...byWeights((tokens) => Float64Array.from({ length: tokens }, (_, t) => Number(t === tokens - 1))),
  },
  surprisal: {
    about: 'tokens weighted by their surprisal, smoothed over the next two, centred',
    isCentred: true,
    needsSurprisals: true,
    feature: bySurprisal,
  },
  random: {
    about: 'for comparison: a random feature of every prompt, so that only the very same one is found',
    isCentred: false,
    needsSurprisals: false,
    feature: drawn,
  },
}

/** The router of a name. Throws `TL_BAD_ARGUMENT` with the names there are. */
export const routerOf = (name: string): Router =>
  (Object.hasOwn(routers, name) ? routers[name] : undefined) ??
  fail('TL_BAD_ARGUMENT', `router "${name}" is not known (known: ${Object.keys(routers).join(', ')})`)

/** An edit as routing sees it. */
export interface Routable {
  readonly number: number
  readonly mask: Mask
  /** What it is about; an edit without a subject is never held back. */
  readonly subject?: string
  /** What its prompt asks, in a store with a scope. */
  readonly asks?: Asks
}

export interface Match {
  readonly number: number
  /** R: shared ones / k. */
  readonly overlap: number
  /** Not held back by the gate. */
  readonly passes: boolean
  /** Whether the prompt asks what the edit's own prompt asks; absent where nobody looked: no scope, or held back by the gate. */
  readonly scope?: ScopeMatch
}

/** How near a prompt is to asking what an edit was taught. */
export interface ScopeMatch {
  readonly score: number
  /** The least score at which it counts as the same. */
  readonly need: number
  /** score ≥ need */
  readonly isSame: boolean
}

/** All edits by overlap with a mask, the nearest first; of equal ones the later. */
export function matches(
  mask: Mask,
  edits: readonly Routable[],
  k: number,
  gate?: { readonly text: string },
): Match[] {
  const passes = gate ? gateOf(gate.text) : () => true
  return edits
    .map((edit) => ({
      number: edit.number,
      overlap: sharedOnes(mask, edit.mask) / k,
      passes: passes(edit),
    }))
    .sort((a, b) => b.overlap - a.overlap || b.number - a.number)
}

/** The edit that answers, or undefined: the nearest that passes the gate, if R ≥ τ. */
export function route(list: readonly Match[], threshold: number): Match | undefined {
  const nearest = list.find(({ passes }) => passes)
  return nearest && nearest.overlap >= threshold ? nearest : undefined
}

/**
 * The least τ at which at most a share `rate` of prompts that no edit should answer is answered: overlaps are those of each
 * prompt with its nearest edit. A multiple of 1/k, above 1 when even identical masks are too many.
 */
export function calibrate(overlaps: readonly number[], rate: number, k: number): number {
  if (overlaps.length === 0) fail('TL_BAD_ARGUMENT', 'calibrate: expected at least one prompt')
  if (!(rate >= 0 && rate < 1))
    fail('TL_BAD_ARGUMENT', `calibrate: false positives: expected a rate from 0 to below 1, got ${rate}`)
  const sorted = [...overlaps].sort((a, b) => b - a)
  const first = sorted[Math.floor(rate * sorted.length + 1e-9)]!
  return (Math.round(first * k) + 1) / k
}
