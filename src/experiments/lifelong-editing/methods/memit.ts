/**
 * @file MEMIT (Meng et al. 2023): of all changes that give a new value, the one that moves the keys of ordinary text least.
 * ΔW = R Kᵀ (λ C + K Kᵀ)⁻¹, C the second moment of keys, K the key of the fact that is taught.
 */
import { cholesky, fail, solveCholesky } from '../../../base/index.ts'
import type { EditingMethod } from './method.ts'
import { spreading, type Writer } from './spread.ts'
import type { Anchoring } from './value.ts'

/**
 * EasyEdit's constants for Llama 2; it has none for Llama 3, where the authors of AlphaEdit run MEMIT with their own search for
 * z: rate 0.1, decay 0.5, clamp 0.75.
 */
export const memitConstants = {
  rate: 0.5,
  steps: 25,
  stop: 5e-2,
  divergence: 0.0625,
  decay: 1e-3,
  clamp: 4,
  /** λ: how many tokens of ordinary text weigh against one fact. */
  weight: 15000,
} as const

/**
 * x = (λ C + k kᵀ)⁻¹ k = y / (λ + k · y) with C y = k. Throws `TL_NOT_FINITE` when C is singular: the text had too few tokens.
 */
function memitWriter(weight: number, moment: Float64Array, n: number, layer: number): Writer {
  const factor = moment.slice()
  const row = cholesky(factor, n)
  if (row >= 0)
    fail(
      'TL_NOT_FINITE',
      `MEMIT: the second moment of the keys of block ${layer} is singular at row ${row} of ${n}: give a longer text`,
    )
  return {
    direction(key) {
      const y = key.slice()
      solveCholesky(factor, n, y)
      const along = key.reduce((sum, v, i) => sum + v * y[i]!, 0)
      return y.map((v) => v / (weight + along))
    },
  }
}

/** MEMIT, its new values changed by `anchoring` before they are written. */
export const memitWith = (about: Omit<EditingMethod, 'open'>, anchoring?: Anchoring): EditingMethod =>
  spreading(about, {
    constants: memitConstants,
    writer: (moment, n, layer, { weight = memitConstants.weight }) => memitWriter(weight, moment, n, layer),
    ...(anchoring && { anchoring }),
  })

export const memit = memitWith({
  name: 'memit',
  title: 'MEMIT',
  about:
    'five down projections (blocks 4 to 8 of 32), R Kᵀ (λC + KKᵀ)⁻¹ with λ = 15000, C of text the model writes; z by Adam 0.5, 25 steps or loss < 0.05, KL 0.0625, decay 1e-3, ‖δ‖ ≤ 4 ‖z₀‖',
  source: 'Meng et al. 2023; EasyEdit hparams/MEMIT/llama-7b.yaml',
})
