/** @file The phase diagram in (s·f, ε): where the class is recovered, and the line of theory. */
import { branchingRatio, epsStar } from '../../grammar/index.ts'
import type { Config } from './config.ts'
import { crossing, type Estimate, evenly, jackknife, meanOver } from './curves.ts'
import type { Ask } from './rounds.ts'
import type { Survival, SurvivalJob } from './survival.ts'

export interface Diagram {
  depth: number
  rules: number[]
  /** s·f of each column. */
  ratio: number[]
  noise: number[]
  /** Mean posterior probability of the true class: [noise][rules]. */
  root: number[][]
  /** What a leaf's own observation says of it: 1 − ε + ε/v. */
  prior: number[]
  /** Where the class is no longer known better than a leaf by itself; null when it always (or never) is. */
  boundary: Estimate[]
  /** ε* of each column; null where there is no transition between 0 and 1. */
  theory: (number | null)[]
}

/** Noise levels added around the place where a column changes sides, from one row below to one above. */
const refined = 7

/** Measure the diagram: a grid, then more levels where each column changes sides. Null when the config asks for no columns. */
export async function measureDiagram(
  { seed, grammar: { v, s }, diagram }: Config,
  ask: Ask<SurvivalJob, Survival>,
): Promise<Diagram | null> {
  const { depth, grammars, data } = diagram
  const rules = [...new Set(diagram.rules)].sort((a, b) => a - b).filter((m) => m * v <= v ** s)
  if (rules.length === 0) return null
  const jobsAt = (m: number, noise: number[]) =>
    Array.from(
      { length: grammars },
      (_, g): SurvivalJob => ({
        seed,
        v,
        m,
        s,
        depth,
        tallest: depth,
        grammar: g,
        data,
        channel: 'epsilon',
        noise,
        rootOnly: true,
      }),
    )
  const columnsOf = async (levels: readonly number[][]) => {
    const results = await ask(rules.flatMap((m, i) => (levels[i]!.length > 0 ? jobsAt(m, levels[i]!) : [])))
    const roots = results.map((found) => found.levels.map(([root]) => root!))
    // of each column: [grammar][noise]
    return levels.map((noise) => (noise.length === 0 ? [] : roots.splice(0, grammars)))
  }
  // the middles of the rows: neither 0, where all is known, nor 1, where nothing is
  const noise = evenly(0.5 / diagram.rows, 1 - 0.5 / diagram.rows, diagram.rows)
  const priorAt = (eps: number) => 1 - eps + eps / v
  const prior = noise.map(priorAt)
  const grid = await columnsOf(rules.map(() => noise))
  const closer = grid.map((curves) => {
    const at = crossing(noise, meanOver(curves), prior)
    if (at === null) return []
    const step = 1 / diagram.rows
    return evenly(Math.max(0, at - step), Math.min(1, at + step), refined)
  })
  const fine = await columnsOf(closer)
  return {
    depth,
    rules,
    ratio: rules.map((m) => branchingRatio({ v, classes: v, m, s, L: depth })),
    noise,
    root: noise.map((_, row) => grid.map((curves) => meanOver(curves)[row]!)),
    prior,
    boundary: fine.map((curves, i) =>
      jackknife(curves, (some) =>
        some.length === 0 ? null : crossing(closer[i]!, meanOver(some), closer[i]!.map(priorAt)),
      ),
    ),
    theory: rules.map((m) => {
      const eps = epsStar({ v, classes: v, m, s, L: depth })
      return eps === undefined || eps > 1 ? null : eps
    }),
  }
}
