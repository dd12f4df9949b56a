/** @file Models along task vectors in each regime, as features: of θ₀ + Σ α τ itself, or of the tangent model at θ₀. */
import type { Parameters } from '../../nn/index.ts'
import type { Split, Task } from '../tasks/family.ts'
import { alongTangents, type Features, type Measures, type Tangents } from '../tasks/measure.ts'
import { combined } from '../tasks/vectors.ts'
import type { Regime } from './rows.ts'

/** Features of a split at coefficients of some vectors. */
type Along = (task: Task, split: Split, alphas: readonly number[]) => Promise<Features>

/** Every coefficient asks for a model of its own. */
function direct(measures: Measures, start: Parameters, vectors: readonly Parameters[]): Along {
  return (task, split, alphas) => {
    const terms = vectors.map((vector, i) => [alphas[i]!, vector] as const)
    return measures.features(combined([[1, start], ...terms]), task, split)
  }
}

/** One pass for each vector, task and split; then every coefficient is a sum of two rows: z₀ + Σ α Jτ. */
function tangent(measures: Measures, start: Parameters, vectors: readonly Parameters[]): Along {
  const known = new Map<string, Promise<Tangents[]>>()
  const passes = async (task: Task, split: Split): Promise<Tangents[]> => {
    const found: Tangents[] = []
    for (const vector of vectors) found.push(await measures.tangents(start, vector, task, split))
    return found
  }
  return async (task, split, alphas) => {
    const name = `${split} ${task.name}`
    if (!known.has(name)) known.set(name, passes(task, split))
    return alongTangents((await known.get(name)!).map((along, i) => ({ alpha: alphas[i]!, along })))
  }
}

export const alongOf = (
  regime: Regime,
  measures: Measures,
  start: Parameters,
  vectors: readonly Parameters[],
): Along => (regime === 'nonlinear' ? direct : tangent)(measures, start, vectors)
