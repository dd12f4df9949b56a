/** @file Which tokens change together in a round trip: the numbers behind the third figure, without a page. */
import {
  channels,
  controlCovariances,
  epsilonCovariances,
  pairCounts,
  susceptibility,
  uTurn,
} from '../../../src/diffusion/index.ts'
import { meanFieldChi, pairStatistics, sampleTrees } from '../../../src/grammar/index.ts'
import { random } from '../../../src/tensor/index.ts'
import { grammarOf, type Sizes, treeOf } from './trees.ts'

/** A string before and after one round trip. */
export interface Trip {
  readonly before: number[]
  readonly after: number[]
}

export function tripOf(sizes: Sizes, eps: number, n: number): Trip {
  const grammar = grammarOf(sizes)
  const leaves = treeOf(grammar, sizes.seed, 0).levels[grammar.L]!
  const options = { noise: eps, samples: 1, key: random.foldIn(random.key(sizes.seed), 90 + n) }
  const after = uTurn(grammar, channels.epsilon, leaves, options)
  return { before: Array.from(leaves), after: Array.from(after.levels[grammar.L]!) }
}

/** χ and C by height at one noise level, over grammars; the mean field beside it. */
export interface ChunkPoint {
  readonly eps: number
  readonly chi: number
  readonly chiError: number
  /** C(ℓ)/C(0) at heights 0 … L. */
  readonly relative: number[]
  readonly theoryChi: number
  readonly theoryRelative: number[]
}

/** Exact covariances of round trips (no sampling of trips), `data` strings of each of `grammars` grammars. */
export function* chunkPoints(
  sizes: Sizes,
  { eps, grammars, data }: { eps: readonly number[]; grammars: number; data: number },
): Generator<ChunkPoint> {
  const drawn = Array.from({ length: grammars }, (_, g) => {
    const grammar = grammarOf({ ...sizes, seed: sizes.seed + 1000 * g })
    return {
      grammar,
      leaves: sampleTrees(grammar, random.foldIn(random.key(sizes.seed), 50 + g), data).levels[grammar.L]!,
    }
  })
  const counts = pairCounts(sizes.s ** sizes.L, sizes.s)
  const shape = { ...sizes, classes: sizes.v }
  for (const at of eps) {
    const sums = drawn.map(({ grammar, leaves }) => Array.from(epsilonCovariances(grammar, leaves, at)))
    const each = sums.map(susceptibility)
    const chi = each.reduce((a, b) => a + b, 0) / grammars
    const squares = each.reduce((a, b) => a + (b - chi) ** 2, 0)
    const total = counts.map((_, h) => sums.reduce((a, b) => a + b[h]!, 0))
    yield {
      eps: at,
      chi,
      chiError: grammars > 1 ? Math.sqrt(squares / (grammars - 1) / grammars) : 0,
      relative: total.map((sum, h) => sum / counts[h]! / (total[0]! / counts[0]!)),
      theoryChi: meanFieldChi(shape, at),
      theoryRelative: [...pairStatistics(shape, at).relative],
    }
  }
}

/** χ of a flat mixture of two modes, the control without a hierarchy, at noise 1 − ᾱ. */
export function* mixturePoints(
  noise: readonly number[],
  seed: number,
): Generator<{ eps: number; chi: number }> {
  const options = {
    d: 64,
    data: 16,
    trajectories: 64,
    forProcess: random.key(seed),
    forData: random.key(seed + 1),
  }
  for (const eps of noise) {
    const [found] = controlCovariances('two', [1 - eps], options)
    yield { eps, chi: susceptibility(found!.pairs) }
  }
}
