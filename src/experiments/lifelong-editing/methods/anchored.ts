/**
 * @file Norm anchors (Liu et al. 2026, “Norm Anchors Make Model Edits Last”): what ROME and MEMIT are to write is rescaled to
 * the norm that new values have on the unedited model, so that values and weights cannot drive each other up.
 */
import { memitConstants, memitWith } from './memit.ts'
import { romeWith } from './rome.ts'
import { type Anchor, type Anchoring, askedOf, findValue, normOf, outputOf } from './value.ts'

/** Share of the norms, the largest, that the mean leaves out. */
const dropped = 0.05

/** v* = v₀ + δ longer than this many anchors is not written. */
const mostAnchors = { rome: 5, memit: 2 } as const

/**
 * Facts whose new values make the anchor. The published code takes a thousand of CounterFact; these are of its kind: a subject,
 * what is said of it, and something else of the same kind.
 */
const sample: readonly (readonly [subject: string, rest: string, target: string])[] = [
  ['Jules Verne', ' wrote in the language', 'English'],
  ['Jimi Hendrix', ' is known for playing the', 'cello'],
  ['France', "'s capital city is", 'Lima'],
  ['The Eiffel Tower', ' is located in', 'Rome'],
  ['Marie Curie', ' worked in the field of', 'architecture'],
  ['Windows 95', ' is a product of', 'Google'],
  ['Leonardo da Vinci', ' was born in', 'Norway'],
  ['The Great Wall', ' is in the country of', 'Spain'],
  ['Mozart', ' played the', 'trumpet'],
  ['Leo Tolstoy', ' grew up speaking', 'Swedish'],
  ['The Amazon River', ' flows through', 'Turkey'],
  ['Isaac Newton', ' was employed by', 'Harvard'],
  ['Toyota', ' has its headquarters in', 'Berlin'],
  ['Mount Everest', ' belongs to the continent of', 'Africa'],
  ['Iceland', "'s official language is", 'Portuguese'],
  ['Charles Darwin', ' died in', 'Chicago'],
  ['Sony', ' was founded in', 'Finland'],
  ['Apple', "'s chief product is the", 'tractor'],
  ['Michael Jordan', ' plays professional', 'football'],
  ['Hamlet', ' was written by', 'Dante'],
]

/** The mean of what is left when the largest share `without` is dropped, rounded down to whole values. */
export function trimmedMean(values: readonly number[], without: number): number {
  const kept = [...values].sort((a, b) => a - b).slice(0, values.length - Math.floor(without * values.length))
  return kept.reduce((sum, v) => sum + v, 0) / kept.length
}

/** δ that takes v₀ to v* = v₀ + δ rescaled to the norm `anchor`; zeros where v* is longer than `most` anchors. */
export const anchoredTo =
  (anchor: number, most: number): Anchor =>
  (value, delta) => {
    const wanted = value.map((v, j) => v + delta[j]!)
    const norm = normOf(wanted)
    if (norm > most * anchor) return new Float32Array(delta.length)
    return norm > 0 ? wanted.map((v, j) => (v * anchor) / norm - value[j]!) : delta
  }

/** The anchor: the trimmed mean of ‖v*‖ over facts, each solved on the unedited model with MEMIT's constants, without contexts. */
export const normAnchor: (...of: Parameters<Anchoring>) => Promise<number> = async (halves, words, ids) => {
  const { hidden, width } = halves
  const norms: number[] = []
  for (const [subject, rest, target] of sample) {
    const asked = await askedOf(halves, words, ids, { prompt: `${subject}${rest}`, target, subject }, [])
    const { batch, rows } = asked
    const row = rows[0]!
    const scale = normOf(batch.x.subarray(row * width, (row + 1) * width))
    const { delta } = await findValue(halves, asked, batch.x, scale, memitConstants)
    const value = await outputOf(halves, batch.a.slice(row * hidden, (row + 1) * hidden))
    norms.push(normOf(value.map((v, j) => v + delta[j]!)))
  }
  return trimmedMean(norms, dropped)
}

const anchoring =
  (most: number): Anchoring =>
  async (...given) =>
    anchoredTo(await normAnchor(...given), most)

const source = 'Liu et al. 2026, arXiv 2602.02543; github.com/SasyaTitech/NAS'

export const romeAnchored = romeWith(
  {
    name: 'rome-anchored',
    title: 'ROME, norm-anchored',
    about:
      'as ROME, v* rescaled to the mean norm of new values on the unedited model (without the largest twentieth), not written when longer than 5 of them',
    source,
  },
  anchoring(mostAnchors.rome),
)

export const memitAnchored = memitWith(
  {
    name: 'memit-anchored',
    title: 'MEMIT, norm-anchored',
    about:
      'as MEMIT, the part of z that the last projection gives rescaled to its mean norm on the unedited model (without the largest twentieth), not written when longer than 2 of them',
    source,
  },
  anchoring(mostAnchors.memit),
)
