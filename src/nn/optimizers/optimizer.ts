/**
 * @file What an optimizer is: a pure update of trees of tensors. Numbers that change from step to step (learning rate, bias
 * corrections) are computed on the host and enter as a few scalars, so that the graph touches each weight as rarely as it can.
 */
import { entries, mapTree, select, type Tensor, type Tree, tensor } from '../../tensor/index.ts'
import type { Parameters } from '../layer.ts'

export interface Optimizer<S extends Tree<Tensor> = Tree<Tensor>> {
  readonly name: string
  /** Its settings, for checkpoints and messages. */
  readonly settings: Readonly<Record<string, number | boolean | string>>
  /** State before the first step: trees like the parameters, zeros. */
  readonly init: (parameters: Parameters) => S
  /** The numbers of step 1, 2, …, given the learning rate of that step. Always equally many. */
  readonly scalars: (step: number, learningRate: number) => readonly number[]
  /** New parameters and state; `scalars` are tensors of no axes, in the order of the function above. */
  update(
    parameters: Parameters,
    gradients: Parameters,
    state: S,
    scalars: readonly Tensor[],
  ): { parameters: Parameters; state: S }
}

/** A concrete tree of zeros like `parameters`. */
export const zerosLikeTree = (parameters: Parameters): Parameters =>
  mapTree(parameters, ({ data, shape }) =>
    tensor(new (data.constructor as Float32ArrayConstructor)(data.length), { shape }),
  )

/** Scalars of a vector, each a tensor of no axes. */
export const unpackScalars = (vector: Tensor): Tensor[] =>
  Array.from({ length: vector.size }, (_, i) => select(vector, 0, i))

/** Leaf by leaf over trees of one structure, several results for each leaf: returns one tree for each result. */
export function updateLeaves<R extends readonly Tensor[]>(
  f: (name: string, ...leaves: Tensor[]) => R,
  first: Parameters,
  ...rest: readonly Parameters[]
): { [K in keyof R]: Parameters } {
  const others = rest.map((tree) => entries(tree).map(([, leaf]) => leaf))
  const results = entries(first).map(([name, leaf], i) => f(name, leaf, ...others.map((list) => list[i]!)))
  const count = results[0]?.length ?? 0
  return Array.from({ length: count }, (_, k) => {
    let next = 0
    return mapTree(first, () => results[next++]![k]!)
  }) as { [K in keyof R]: Parameters }
}
