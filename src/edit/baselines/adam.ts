/** @file Adam on a flat array of numbers, in place (Kingma & Ba 2015, as PyTorch computes it). */

export interface Adam {
  /** One step of `w` against `gradient`. */
  step(w: Float32Array, gradient: ArrayLike<number>, rate: number): void
}

/** Moments start at zero: one for each edit. */
export function adam(size: number, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8): Adam {
  const m = new Float32Array(size)
  const v = new Float32Array(size)
  let t = 0
  return {
    step(w, gradient, rate) {
      t++
      const alpha = rate / (1 - beta1 ** t)
      const root = Math.sqrt(1 - beta2 ** t)
      for (let i = 0; i < size; i++) {
        const g = gradient[i]!
        m[i] = beta1 * m[i]! + (1 - beta1) * g
        v[i] = beta2 * v[i]! + (1 - beta2) * g * g
        w[i]! -= (alpha * m[i]!) / (Math.sqrt(v[i]!) / root + epsilon)
      }
    },
  }
}
