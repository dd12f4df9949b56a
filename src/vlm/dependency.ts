/** @file How much the next token depends on a condition. */
import { fail } from '../base/index.ts'
import { logProbabilities } from '../lm/index.ts'

/**
 * The Hellinger distance (1/√2) ‖√p − √q‖ of the next-token distributions of two rows of logits [vocabulary], with the condition
 * and without: 0 where it says nothing, 1 where the two have no token in common. (Favero et al. 2024, arXiv 2403.14003, section 3)
 */
export function dependency(conditioned: ArrayLike<number>, unconditioned: ArrayLike<number>): number {
  if (conditioned.length !== unconditioned.length)
    fail(
      'TL_SHAPE_MISMATCH',
      `dependency: expected two rows of as many logits, got ${conditioned.length} and ${unconditioned.length}`,
    )
  const [c, u] = [logProbabilities(conditioned), logProbabilities(unconditioned)]
  const sum = c.reduce((total, value, k) => total + (Math.exp(value / 2) - Math.exp(u[k]! / 2)) ** 2, 0)
  return Math.min(1, Math.sqrt(sum / 2))
}
