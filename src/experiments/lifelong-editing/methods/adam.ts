/** @file Adam on a flat array of numbers, in place (Kingma & Ba 2015, as PyTorch computes it), and descent by it. */

interface Adam {
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

interface Descent {
  readonly rate: number
  /** Most steps. */
  readonly most: number
  /** The gradient where `w` is now; undefined when it is good enough. */
  readonly slope: (step: number) => Promise<ArrayLike<number> | undefined>
  /** After each step: put `w` back to where it may be. */
  readonly project?: () => void
}

/** Move `w` by Adam until its slope is undefined or `most` steps are made. Returns the steps. */
export async function descend(w: Float32Array, { rate, most, slope, project }: Descent): Promise<number> {
  const optimizer = adam(w.length)
  for (let step = 0; step < most; step++) {
    const gradient = await slope(step)
    if (!gradient) return step
    optimizer.step(w, gradient, rate)
    project?.()
  }
  return most
}
