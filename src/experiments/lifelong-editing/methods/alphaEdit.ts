/**
 * @file AlphaEdit (Fang et al. 2025): changes are projected onto what the keys of ordinary text leave free, and the keys of
 * earlier edits are protected: (P (K Kᵀ + C′) + L₂) X = P K Rᵀ, ΔW = X, C′ = Σ k kᵀ over the edits before.
 */
import { eigenOf, fail, timesVector } from '../../../base/index.ts'
import { spreading, type Writer } from './spread.ts'

/** The published files for Llama 3 and GPT-J, the authors' and EasyEdit's, have L₂ = 10. */
const alphaEditConstants = {
  rate: 0.1,
  steps: 25,
  stop: 5e-2,
  divergence: 0.0625,
  decay: 0.5,
  clamp: 0.75,
  /** Eigenvalues of the second moment of keys below this are free. */
  threshold: 2e-2,
  /** L₂ */
  ridge: 10,
} as const

interface AlphaEditRule {
  readonly threshold: number
  readonly ridge: number
}

/**
 * X = x ⊗ r lies in the range of P, so with p = P k it is (L₂ + Σ p′ p′ᵀ + p pᵀ) x = p, p′ those of earlier edits: the inverse
 * M of the sum without p pᵀ is kept, x = M p / (1 + p · M p). Throws `TL_UNSUPPORTED` when nothing is free.
 */
function alphaEditWriter(
  { threshold, ridge }: AlphaEditRule,
  moment: Float64Array,
  n: number,
  layer: number,
): Writer {
  const eigen = eigenOf(moment, n)
  if (!eigen)
    return fail('TL_NOT_FINITE', `AlphaEdit: the second moment of the keys of block ${layer} is not finite`)
  const free = eigen.values.filter((value) => value < threshold).length
  if (free === 0)
    fail(
      'TL_UNSUPPORTED',
      `AlphaEdit: no eigenvalue of the second moment of the keys of block ${layer} is below ${threshold}, the least is ${eigen.values[0]!.toPrecision(2)}: nothing may be written there`,
    )
  // the shorter list of eigenvectors: those that are free come first
  const isFree = 2 * free <= n
  const vectors = isFree ? eigen.vectors.slice(0, free * n) : eigen.vectors.slice(free * n)
  const project = (key: Float64Array): Float64Array => {
    const out = isFree ? new Float64Array(n) : key.slice()
    for (let from = 0; from < vectors.length; from += n) {
      let along = 0
      for (let i = 0; i < n; i++) along += vectors[from + i]! * key[i]!
      if (!isFree) along = -along
      for (let i = 0; i < n; i++) out[i]! += along * vectors[from + i]!
    }
    return out
  }
  const inverse = new Float64Array(n * n)
  const reset = (): void => {
    inverse.fill(0)
    for (let i = 0; i < n; i++) inverse[i * n + i] = 1 / ridge
  }
  reset()
  /** M p and 1 + p · M p. */
  const solve = (key: Float64Array) => {
    const p = project(key)
    const y = timesVector(inverse, p)
    return { y, divisor: p.reduce((sum, v, i) => sum + v * y[i]!, 1) }
  }
  return {
    direction(key) {
      const { y, divisor } = solve(key)
      return y.map((v) => v / divisor)
    },
    done(key) {
      const { y, divisor } = solve(key)
      for (let i = 0; i < n; i++) {
        const scale = y[i]! / divisor
        for (let j = 0; j < n; j++) inverse[i * n + j]! -= scale * y[j]!
      }
    },
    reset,
  }
}

/** AlphaEdit with another threshold and L₂. */
export const alphaEditWith = (rule: AlphaEditRule) =>
  spreading(
    {
      name: 'alphaedit',
      title: 'AlphaEdit',
      about: `as MEMIT, within the eigenvectors of C below ${rule.threshold}, L₂ = ${rule.ridge}, keys of earlier edits protected; z by Adam 0.1, 25 steps or loss < 0.05, KL 0.0625, decay 0.5, ‖δ‖ ≤ 0.75 ‖z₀‖`,
      source: 'Fang et al. 2025; EasyEdit hparams/AlphaEdit/llama3-8b.yaml',
    },
    {
      constants: alphaEditConstants,
      writer: (moment, n, layer) => alphaEditWriter(rule, moment, n, layer),
    },
  )

export const alphaEdit = alphaEditWith(alphaEditConstants)
