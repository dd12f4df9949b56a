/**
 * @file What a layer is: a way to make parameters and a pure function of them. Models are data: parameters live in trees whose
 * dotted names (`blocks.0.attention.query.weight`) are the names in a safetensors file.
 */
import { fail } from '../base/index.ts'
import { random, type Spec, showSpec, type Tensor, type Tree } from '../tensor/index.ts'

export type Key = random.Key

/** A tree of tensors. */
export type Parameters = Tree<Tensor>

/** `init` makes concrete parameters from a key; `apply` computes with them, on concrete or traced tensors. */
export interface Layer<P extends Parameters, Inputs extends readonly unknown[] = [x: Tensor], R = Tensor> {
  readonly init: (key: Key) => P
  readonly apply: (parameters: P, ...inputs: Inputs) => R
}

/** The parameters of a layer type: `ParametersOf<typeof layer>`. */
export type ParametersOf<L> = L extends { init: (key: Key) => infer P } ? P : never

/** What has parameters to begin with. */
export type AnyLayer = { readonly init: (key: Key) => Parameters }

/** Parameters of several layers, each from its own key: a record of layers ↦ a record of parameters, or a list ↦ a list. */
export function initAll<L extends Record<string, AnyLayer> | readonly AnyLayer[]>(
  key: Key,
  layers: L,
): { -readonly [K in keyof L]: ParametersOf<L[K]> } {
  const names = Object.keys(layers)
  const keys = random.split(key, Math.max(1, names.length))
  const made = names.map((name, i) => (layers as Record<string, AnyLayer>)[name]!.init(keys[i]!))
  const result = Array.isArray(layers) ? made : Object.fromEntries(names.map((name, i) => [name, made[i]!]))
  return result as { -readonly [K in keyof L]: ParametersOf<L[K]> }
}

/** Layers one after the other; parameters are a list (`0.weight`, `1.weight`, …). */
export function sequential<P extends Parameters>(...layers: readonly Layer<P>[]): Layer<P[]> {
  return {
    init: (key) => initAll(key, layers) as P[],
    apply: (parameters, x) => layers.reduce((h, layer, i) => layer.apply(parameters[i]!, h), x),
  }
}

/** A layer without parameters, from a function: `fromFunction(relu)`. */
export const fromFunction = (f: (x: Tensor) => Tensor): Layer<[]> => ({
  init: () => [],
  apply: (_, x) => f(x),
})

/** x + layer(x). */
export const residual = <P extends Parameters>(layer: Layer<P>): Layer<P> => ({
  init: layer.init,
  apply: (parameters, x) => x.add(layer.apply(parameters, x)),
})

/** A sub-key of a key that is concrete or part of a graph; undefined (no randomness wanted) stays undefined. */
export function subKey(key: Key | Tensor | undefined, index: number): Key | Tensor | undefined {
  if (key === undefined) return undefined
  return 'dtype' in key ? random.foldInTensor(key as Tensor, index) : random.foldIn(key as Key, index)
}

/** Fail unless `axis` of `x` has `expected` entries; `layer` names the layer with its sizes. */
export function requireFeatures(layer: string, x: Spec, expected: number, axis = -1): void {
  if (x.shape.at(axis) === expected) return
  const pattern = axis === -1 ? `[..., ${expected}]` : `[batch, ${expected}, ...]`
  fail('TL_SHAPE_MISMATCH', `${layer}: expected input ${pattern}, got ${showSpec(x)}`)
}

/** Fail unless `value` is an integer of at least 1; `name` names it. */
export function requirePositive(name: string, ...values: readonly number[]): void {
  for (const value of values)
    if (!Number.isSafeInteger(value) || value < 1)
      fail('TL_BAD_ARGUMENT', `${name}: expected an integer >= 1, got ${value}`)
}
