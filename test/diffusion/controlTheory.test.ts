/** χ of controls at a finite size: closed forms against round trips. */
import { expect, test } from 'vitest'
import {
  controlCovariances,
  controls,
  jackknife,
  makeSchedule,
  susceptibility,
} from '../../src/diffusion/index.ts'
import { random } from '../../src/tensor/index.ts'

test.each([
  ['field', 64],
  ['plane', 64],
  ['two', 64],
  ['two', 128],
] as const)('%s, d = %d', (name, d) => {
  const { alphaBar } = makeSchedule('ddpm', 1000)
  const alphaBars = [100, 400, 600, 1000].map(alphaBar)
  const groups = Array.from({ length: 20 }, (_, group) =>
    controlCovariances(name, alphaBars, {
      ...{ d, data: 8, trajectories: 24 },
      ...{ forProcess: random.key(1), forData: random.foldIn(random.key(2), group) },
    }),
  )
  for (const [i, level] of alphaBars.entries()) {
    const rows = groups.map((group) => group[i]!.pairs)
    const { value, error } = jackknife(rows, susceptibility)
    const theory = controls[name].susceptibility!(d, level)
    expect(
      Math.abs(value - theory) / error!,
      `ᾱ = ${level}: ${value} ± ${error} against ${theory}`,
    ).toBeLessThan(3.5)
    expect(error! / value).toBeLessThan(0.1)
  }
})
