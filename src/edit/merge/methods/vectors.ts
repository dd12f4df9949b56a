/**
 * @file Arithmetic on flat f32 vectors. Elements are rounded to f32 after every operation, as float32 programs do; sums
 * (norms, dot products) accumulate in double precision and are rounded once.
 */

/** Rounds to f32. */
export const f32 = Math.fround

/** a − b. */
export function difference(a: Float32Array, b: Float32Array): Float32Array {
  const out = new Float32Array(a.length)
  for (let i = 0; i < out.length; i++) out[i] = a[i]! - b[i]!
  return out
}

/** a + b. */
export function sum(a: Float32Array, b: Float32Array): Float32Array {
  const out = new Float32Array(a.length)
  for (let i = 0; i < out.length; i++) out[i] = a[i]! + b[i]!
  return out
}

/** x · factor. */
export function scaled(x: Float32Array, factor: number): Float32Array {
  const by = f32(factor)
  const out = new Float32Array(x.length)
  for (let i = 0; i < out.length; i++) out[i] = x[i]! * by
  return out
}

/** x ← x · factor. */
export function scaleInPlace(x: Float32Array, factor: number): void {
  const by = f32(factor)
  if (by !== 1) for (let i = 0; i < x.length; i++) x[i] = x[i]! * by
}

/** out ← out + x · factor, the product rounded before it is added. */
export function addScaled(out: Float32Array, x: Float32Array, factor: number): void {
  const by = f32(factor)
  for (let i = 0; i < out.length; i++) out[i] = out[i]! + f32(x[i]! * by)
}

/** a · x + b · y, each product rounded. */
export function blend(a: number, x: Float32Array, b: number, y: Float32Array): Float32Array {
  const out = scaled(x, a)
  addScaled(out, y, b)
  return out
}

/** Σ aᵢ bᵢ, each product rounded to f32. */
export function dot(a: Float32Array, b: Float32Array): number {
  let total = 0
  for (let i = 0; i < a.length; i++) total += a[i]! * b[i]!
  return f32(total)
}

/** ‖x‖₂. */
export function norm(x: Float32Array): number {
  let total = 0
  for (let i = 0; i < x.length; i++) total += x[i]! * x[i]!
  return f32(Math.sqrt(total))
}

/** ‖x‖₁. */
export function l1(x: Float32Array): number {
  let total = 0
  for (let i = 0; i < x.length; i++) total += Math.abs(x[i]!)
  return f32(total)
}

/** x / divisor. */
export function divided(x: Float32Array, divisor: number): Float32Array {
  const by = f32(divisor)
  const out = new Float32Array(x.length)
  for (let i = 0; i < out.length; i++) out[i] = x[i]! / by
  return out
}

export const clamp = (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x))
