/** @file TAK: a penalty on what a vector changes on the other tasks' examples, by their Kronecker factors alone. */
import { fail } from '../../base/index.ts'
import { kroneckerFactors, kroneckerQuadratic, type Parameters } from '../../nn/index.ts'
import { compile, random, sub, type Tensor, type Tree, tensor, zipTrees } from '../../tensor/index.ts'
import { combined } from '../tasks/vectors.ts'
import type { Site } from './site.ts'

/** Random directions of the features that stand for all of them, and calls of examples of each task. */
const [directions, calls] = [8, 2]

type Penalty = (parameters: Parameters) => Tensor

/**
 * λ Σ ⟨left δ right, δ⟩, δ = θ − θ₀, summed over the other tasks: about λ times the mean of ‖J δ‖² on their examples. Factors are of
 * training examples at θ₀, made when the first is asked for. (Dataless weight disentanglement by Kronecker-factored curvature, TAK, 2025;
 * factors of the tasks stay apart here, and are not merged into one)
 */
export function penaltiesOf(
  { family, start, config, callSize, key }: Site,
  { threads, signal }: { readonly threads: number; readonly signal: AbortSignal },
): (task: number) => Promise<Penalty> {
  let known: Promise<Parameters[]> | undefined
  async function factorsOfAll(): Promise<Parameters[]> {
    const width = family.tasks[0]!.width
    const signs = random.sampleUniform(random.foldIn(key, 0x7a), directions * width)
    const sketch = tensor(
      Float32Array.from(signs, (u) => (u < 0.5 ? -1 : 1) / Math.sqrt(directions)),
      { shape: [directions, width] },
    )
    const program = compile(
      (p: Parameters, inputs: Tree<Tensor>) =>
        kroneckerFactors((own: Parameters) => family.features(own, inputs), p, { directions: sketch }),
      { name: 'Kronecker factors', threads },
    )
    try {
      const all: Parameters[] = []
      for (const { batches, counts } of family.tasks) {
        const size = Math.min(callSize, counts.train)
        const count = Math.min(calls, Math.floor(counts.train / size))
        const groups = Array.from({ length: count }, (_, g) =>
          Array.from({ length: size }, (_, i) => g * size + i),
        )
        const batch = batches('train', groups)
        const found: (readonly [number, Parameters])[] = []
        for (const g of groups.keys()) {
          if (signal.aborted) fail('TL_INTERRUPTED', 'interrupted')
          found.push([1 / count, await program(start, batch(g).inputs)])
        }
        all.push(combined(found))
      }
      return all
    } finally {
      program.dispose()
    }
  }
  return async (task) => {
    known ??= factorsOfAll()
    const others = (await known).filter((_, i) => i !== task)
    return (parameters) => {
      const change = zipTrees(sub, parameters as Tree<Tensor>, start as Tree<Tensor>)
      const terms = others.map((factors) => kroneckerQuadratic(factors, change))
      return terms.reduce((sum, term) => sum.add(term)).mul(config.tak)
    }
  }
}
