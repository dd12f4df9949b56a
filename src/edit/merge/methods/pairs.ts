/** @file Two ways to take single elements of one model into another: NearSwap and Arcee Fusion. */
import { define, numberOf } from './define.ts'
import { valueOfRank } from './select.ts'
import type { MergeMethod } from './types.ts'
import { clamp, f32 } from './vectors.ts'

const nearswap = define({
  name: 'nearswap',
  title: 'NearSwap',
  source: 'alchemonaut 2024, QuartetAnemoi-70B',
  needsBase: true,
  maxModels: 1,
  missing: 'pass-base',
  reach: 'element',
  global: [
    {
      name: 't',
      type: 'number',
      doc: 'elements closer than this are swapped, others in proportion t / distance',
    },
  ],
  run({ base, models: [other], parameters }) {
    const t = f32(numberOf(parameters, 't'))
    const [a, b] = [base!, other!.values]
    const out = new Float32Array(a.length)
    for (let i = 0; i < out.length; i++) {
      const distance = Math.max(Math.abs(f32(a[i]! - b[i]!)), f32(1e-6))
      const share = clamp(f32(f32(1 / distance) * t), 0, 1)
      out[i] = f32(share * b[i]!) + f32(f32(1 - share) * a[i]!)
    }
    return out
  },
})

/** Softmax of one row, as f32. */
function softmax(x: Float32Array, from: number, to: number): Float32Array {
  let top = -Infinity
  for (let i = from; i < to; i++) top = Math.max(top, x[i]!)
  const out = new Float32Array(to - from)
  let total = 0
  for (let i = from; i < to; i++) total += out[i - from] = f32(Math.exp(f32(x[i]! - top)))
  for (let i = 0; i < out.length; i++) out[i] = out[i]! / f32(total)
  return out
}

/** KL(p ‖ q) of two rows, with 1e-8 added to every probability. */
function divergence(p: Float32Array, q: Float32Array): number {
  let total = 0
  for (let i = 0; i < p.length; i++) {
    const [a, b] = [f32(p[i]! + f32(1e-8)), f32(q[i]! + f32(1e-8))]
    total += f32(a * f32(Math.log(f32(a / b))))
  }
  return f32(total)
}

/** |θ₁ − θ₀| times the divergence of the row's softmax. */
function importance(tuned: Float32Array, base: Float32Array, row: number): Float32Array {
  const out = new Float32Array(base.length)
  for (let from = 0; from < out.length; from += row) {
    const kl = divergence(softmax(tuned, from, from + row), softmax(base, from, from + row))
    for (let i = from; i < from + row; i++) out[i] = f32(Math.abs(f32(tuned[i]! - base[i]!)) * kl)
  }
  return out
}

/** median + 1.5 (Q3 − Q1), from all elements. mergekit draws a million at random from larger tensors. */
function threshold(scores: Float32Array): number {
  const at = (q: number): number => valueOfRank(scores, Math.trunc(f32(q * (scores.length - 1))))
  return f32(at(0.5) + f32(1.5 * f32(at(0.75) - at(0.25))))
}

const arceeFusion = define({
  name: 'arcee_fusion',
  title: 'Arcee Fusion',
  source: 'Arcee AI 2025, mergekit',
  needsBase: true,
  maxModels: 1,
  missing: 'pass-single',
  run({ base, models: [other], shape }) {
    const [a, b] = [base!, other!.values]
    if (!a.length) return a.slice()
    const scores = importance(b, a, shape.at(-1) ?? 1)
    const least = threshold(scores)
    const out = a.slice()
    for (let i = 0; i < out.length; i++) if (scores[i]! >= least) out[i] = a[i]! + f32(b[i]! - a[i]!)
    return out
  },
})

export const pairMethods: readonly MergeMethod[] = [nearswap, arceeFusion]
