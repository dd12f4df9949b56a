/** @file Gradients against central differences in float64, by the reference interpreter. */
import { expect } from 'vitest'
import {
  compile,
  entries,
  grad,
  mapTree,
  random,
  type Tensor,
  type Tree,
  tensor,
  unflatten,
} from '../../src/tensor/index.ts'

/** Standard normal float64 values, the same for the same seed. */
export const normal = (seed: number, ...shape: number[]): Tensor =>
  tensor(
    Float64Array.from(
      random.sampleNormal(
        random.key(seed),
        shape.reduce((a, b) => a * b, 1),
      ),
    ),
    { shape },
  )

export const integers = (seed: number, bound: number, ...shape: number[]): Tensor =>
  tensor(
    random.sampleIntegers(
      random.key(seed),
      shape.reduce((a, b) => a * b, 1),
      bound,
    ),
    { shape },
  )

/** Concrete values of a function, float64, by the reference. */
export const computed = async <R extends Tree<Tensor>>(f: () => R): Promise<R> =>
  (await compile(f, { backend: 'reference' })()) as R

/** A copy of parameters in float64, moved by small noise so that no gradient vanishes at zero biases. */
export const jittered = <P extends Tree<Tensor>>(parameters: P): P => {
  let seed = 1000
  return mapTree(parameters as Tree<Tensor>, (t) => {
    const noise = random.sampleNormal(random.key(seed++), t.size)
    return tensor(
      Float64Array.from(t.data as Float32Array, (v, i) => v + 0.1 * noise[i]!),
      { shape: t.shape },
    )
  }) as P
}

/**
 * Every gradient of Σ weights · f(variables) at float64 variables equals central differences at up to `probes` places of
 * each leaf.
 */
export async function checkGradients(
  f: (variables: never) => Tensor,
  variables: Tree<Tensor>,
  { probes = 6, tolerance = 1e-6, step = 1e-5 }: { probes?: number; tolerance?: number; step?: number } = {},
): Promise<void> {
  const run = f as (v: Tree<Tensor>) => Tensor
  const weighted = (v: Tree<Tensor>): Tensor => {
    const y = run(v)
    return y.mul(normal(7, ...y.shape)).sum()
  }
  const gradient = compile((v: Tree<Tensor>) => grad(weighted)(v), { backend: 'reference' })
  const value = compile((v: Tree<Tensor>) => weighted(v), { backend: 'reference' })
  const found = entries(await gradient(variables))
  const list = entries(variables)
  for (const [leaf, [name, t]] of list.entries()) {
    const places = random.sampleIntegers(random.key(leaf + 1), Math.min(probes, t.size), t.size)
    for (const place of new Set(places)) {
      const at = async (delta: number): Promise<number> => {
        const moved = Float64Array.from(t.data as Float64Array)
        moved[place]! += delta
        const others = list.map(([, other], i) => (i === leaf ? tensor(moved, { shape: t.shape }) : other))
        return (await value(unflatten(variables, others))).item()
      }
      const slope = ((await at(step)) - (await at(-step))) / (2 * step)
      const got = Number(found[leaf]![1].data[place])
      expect(Math.abs(got - slope), `${name}[${place}]: gradient ${got}, difference ${slope}`).toBeLessThan(
        tolerance * Math.max(1, Math.abs(slope)),
      )
    }
  }
}
