/** @file Weight disentanglement: does the sum of two vectors answer, on each task, as that task's own vector does? */
import { fail } from '../../base/index.ts'
import type { Task } from '../tasks/family.ts'
import { openMeasures } from '../tasks/measure.ts'
import { alongOf } from './regimes.ts'
import type { MapRow } from './rows.ts'
import { regimesOf, type Site, vectorOf } from './site.ts'

/** Ends of both axes. */
const reach = 3

const axis = (points: number): number[] =>
  Array.from({ length: points }, (_, i) => Math.round(((2 * i) / (points - 1) - 1) * reach * 1e6) / 1e6)

const apart = (a: Int32Array, b: Int32Array): number =>
  a.reduce((n, answer, i) => n + (answer === b[i] ? 0 : 1), 0) / a.length

/**
 * ξ(α₁, α₂) = Σ_t share of task t's examples on which θ₀ + α_t τ_t and θ₀ + α₁ τ₁ + α₂ τ₂ answer differently, for pairs of
 * neighbouring tasks. (Ortiz-Jimenez et al. 2023, eq. 6)
 */
export async function measureMaps(site: Site, signal: AbortSignal): Promise<MapRow[]> {
  const { family, callSize, start, config } = site
  const { mapPoints, mapPairs, mapExamples: most } = config
  if (mapPoints === 0) return []
  const measures = openMeasures(family, { batchSize: callSize, most, signal })
  const rows: MapRow[] = []
  try {
    for (let p = 0; p < Math.min(mapPairs, family.tasks.length - 1); p++) {
      const pair = [family.tasks[p]!, family.tasks[p + 1]!] as const
      for (const regime of regimesOf(config)) {
        const vectors = [
          await vectorOf(site, regime, pair[0].name),
          await vectorOf(site, regime, pair[1].name),
        ]
        const along = alongOf(regime, measures, start, vectors)
        const answers = async (task: Task, alphas: readonly number[]): Promise<Int32Array> =>
          (await measures.read(task, await along(task, 'test', alphas))).answers
        const own = [new Map<number, Int32Array>(), new Map<number, Int32Array>()] as const
        for (const alpha of axis(mapPoints)) {
          own[0].set(alpha, await answers(pair[0], [alpha, 0]))
          own[1].set(alpha, await answers(pair[1], [0, alpha]))
        }
        for (const alpha1 of axis(mapPoints))
          for (const alpha2 of axis(mapPoints)) {
            if (signal.aborted) fail('TL_INTERRUPTED', 'interrupted')
            const error =
              apart(own[0].get(alpha1)!, await answers(pair[0], [alpha1, alpha2])) +
              apart(own[1].get(alpha2)!, await answers(pair[1], [alpha1, alpha2]))
            rows.push({
              part: 'map',
              regime,
              pair: `${pair[0].name} + ${pair[1].name}`,
              alpha1,
              alpha2,
              error,
            })
          }
      }
    }
  } finally {
    measures.dispose()
  }
  return rows
}
