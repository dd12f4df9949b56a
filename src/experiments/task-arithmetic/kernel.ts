/** @file Where the eigenfunctions live by which the tangent kernel represents a task: on its own data, or everywhere. */
import { eigenOf, fail } from '../../base/index.ts'
import { random } from '../../tensor/index.ts'
import { openMeasures } from '../tasks/measure.ts'
import { type Examples, tangentKernel } from '../tasks/tangentKernel.ts'
import type { EnergyRow } from './rows.ts'
import { type Site, vectorOf } from './site.ts'

/** Eigenvalues below this share of the largest are rounding, or nothing that is learned. */
const least = 1e-3

/**
 * Local energies Σ_ρ w_ρ φ_ρ²(x) on each group of points. `gram` [n, n] of a task's learned points, `target` [n] what is represented
 * there, `across` [m, n] the kernel of other points against them. φ_ρ are the kernel's eigenfunctions with mean square 1 on the
 * learned points, continued to others by Nyström's formula; w_ρ ∝ ⟨target, φ_ρ⟩², Σ w = 1, so that the mean over the learned points
 * is 1. (Ortiz-Jimenez et al. 2023, section 6.2; the weights are ours)
 */
export function localEnergies(gram: Float64Array, target: ArrayLike<number>, across: Float64Array): number[] {
  const n = target.length
  const found = eigenOf(gram, n)
  if (!found)
    return fail('TL_NOT_FINITE', 'kernel: its eigenvalues do not settle: it has entries that are not finite')
  const { values, vectors } = found
  const top = values[n - 1]!
  const used = Array.from(values.keys()).filter((r) => values[r]! > least * top && values[r]! > 0)
  const weights = used.map((r) => {
    let c = 0
    for (let i = 0; i < n; i++) c += vectors[r * n + i]! * target[i]!
    return c * c
  })
  const total = weights.reduce((a, b) => a + b, 0)
  return Array.from({ length: across.length / n }, (_, x) => {
    let energy = 0
    for (const [k, r] of used.entries()) {
      let phi = 0
      for (let i = 0; i < n; i++) phi += across[x * n + i]! * vectors[r * n + i]!
      energy += (weights[k]! / total) * n * (phi / values[r]!) ** 2
    }
    return energy
  })
}

const part = (
  kernel: Float64Array,
  n: number,
  rows: number,
  count: number,
  columns: number,
  width: number,
) => {
  const out = new Float64Array(count * width)
  for (let i = 0; i < count; i++)
    out.set(kernel.subarray((rows + i) * n + columns, (rows + i) * n + columns + width), i * width)
  return out
}

/** Energies of every task's eigenfunctions on held-out examples of every task. */
export async function measureKernel(site: Site, signal: AbortSignal): Promise<EnergyRow[]> {
  const { family, start, config, callSize, key } = site
  const most = config.kernelExamples
  if (most === 0) return []
  const { tasks } = family
  const width = tasks[0]!.width
  const direction = Float32Array.from(random.sampleNormal(random.foldIn(key, 0x6b), width))
  const learned = tasks.map(
    (task): Examples => ({ task, split: 'train', from: 0, count: Math.min(most, task.counts.train) }),
  )
  const held = tasks.map(
    (task): Examples => ({ task, split: 'test', from: 0, count: Math.min(most, task.counts.test) }),
  )
  const groups = [...learned, ...held]
  const starts = groups.map((_, g) => groups.slice(0, g).reduce((n, { count }) => n + count, 0))
  const n = groups.reduce((total, { count }) => total + count, 0)
  const kernel = await tangentKernel(family, start, groups, direction, { signal })
  const measures = openMeasures(family, { batchSize: callSize, most, signal })
  const rows: EnergyRow[] = []
  try {
    for (const [t, task] of tasks.entries()) {
      // what the linear regime represents: the change of the features along the direction
      const { change } = await measures.tangents(
        start,
        await vectorOf(site, 'linear', task.name),
        task,
        'train',
      )
      const count = learned[t]!.count
      const target = Float64Array.from({ length: count }, (_, i) => {
        let sum = 0
        for (let j = 0; j < width; j++) sum += change[i * width + j]! * direction[j]!
        return sum
      })
      const gram = part(kernel, n, starts[t]!, count, starts[t]!, count)
      for (const [o, on] of held.entries()) {
        const across = part(kernel, n, starts[tasks.length + o]!, on.count, starts[t]!, count)
        const energies = localEnergies(gram, target, across)
        const energy = energies.reduce((a, b) => a + b, 0) / energies.length
        rows.push({ part: 'energy', task: task.name, on: tasks[o]!.name, energy })
      }
    }
  } finally {
    measures.dispose()
  }
  return rows
}
