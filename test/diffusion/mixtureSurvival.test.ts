/** What survives in a mixture: both numbers against their means in closed form. */
import { expect, test } from 'vitest'
import { coordinateOverlap, makeMixture, mixtureSurvival, sampleMixture } from '../../src/diffusion/index.ts'
import { meanOf } from '../../src/lab/index.ts'
import { random } from '../../src/tensor/index.ts'

/** E f(z) over normal z. */
function normalMean(f: (z: number) => number): number {
  let [sum, weight] = [0, 0]
  for (let z = -8; z <= 8; z += 0.01) {
    sum += f(z) * Math.exp(-(z * z) / 2)
    weight += Math.exp(-(z * z) / 2)
  }
  return sum / weight
}

test.each([0.02, 0.1, 0.5])('two modes at ᾱ = %d', (alphaBar) => {
  const [d, separation, variance, count] = [32, 16, 0.5, 1500]
  const mixture = makeMixture({ d, modes: 2, separation, variance }, random.key(1))
  const { modes, points } = sampleMixture(mixture, random.key(2), count)
  const found = Array.from({ length: count }, (_, n) =>
    mixtureSurvival(mixture, points.subarray(n * d, (n + 1) * d), modes[n]!, {
      alphaBar,
      key: random.foldIn(random.key(3), n),
    }),
  )
  // μ·x_t/Δ is normal with mean and variance a² = ᾱ‖μ‖²/Δ, and 2 P − 1 = tanh(μ·x_t √ᾱ/Δ)
  const total = variance * alphaBar + 1 - alphaBar
  const a = Math.sqrt((alphaBar * separation) / total)
  for (const [name, theory] of [
    ['mode', normalMean((z) => Math.tanh(a * a + a * z))],
    ['coordinate', coordinateOverlap(variance, alphaBar)],
  ] as const) {
    const { value, error } = meanOf(found.map((one) => one[name]))
    expect(Math.abs(value - theory) / error!, `${name}: ${value} against ${theory}`).toBeLessThan(3.5)
    expect(error).toBeLessThan(0.02)
  }
})
