/** @file Merging whole models in memory by the methods of `treeline/merge`: tensor by tensor, after a first look where a method asks for it. */
import { fail, foldIn, type Key } from '../../base/index.ts'
import { mergeMethods, type Parameters } from '../../merge/index.ts'

/** A model as merges see it: values by name, in one order. */
export type Weights = ReadonlyMap<string, Float32Array>

interface WholeMerge {
  readonly method: string
  readonly base?: Weights | undefined
  readonly models: readonly { readonly weights: Weights; readonly parameters?: Parameters }[]
  readonly parameters?: Parameters
  readonly shapes: ReadonlyMap<string, readonly number[]>
  readonly key: Key
}

/** Statistics of the whole model, for a method that needs them. */
function prepared({ method, base, models, parameters = {} }: WholeMerge): Parameters[] | undefined {
  const preparation = mergeMethods[method]!.prepare?.(
    parameters,
    models.map((model) => model.parameters ?? {}),
  )
  if (!preparation || !base) return undefined
  do {
    for (const [name, values] of base)
      preparation.see(
        values,
        models.map(({ weights }) => weights.get(name)!),
      )
  } while (preparation.endPass())
  return preparation.perModel()
}

/** The merged weights. Throws TL_BAD_ARGUMENT for a method that is not there, and what the method throws. */
export function mergedWeights(merge: WholeMerge): Weights {
  const method =
    mergeMethods[merge.method] ?? fail('TL_BAD_ARGUMENT', `there is no merge method ${merge.method}`)
  const { base, models, parameters = {}, shapes, key } = merge
  const computed = prepared(merge)
  const names = [...models[0]!.weights.keys()]
  return new Map(
    names.map((name, index) => [
      name,
      method.merge({
        name,
        shape: shapes.get(name)!,
        base: base?.get(name),
        models: models.map(({ weights, parameters: own = {} }, i) => ({
          values: weights.get(name)!,
          parameters: { ...own, ...computed?.[i] },
        })),
        parameters,
        key: foldIn(key, index),
      }),
    ]),
  )
}
