/** @file From a recipe to weights, by the merge methods and LiNeS of `treeline/merge`. */
import { createHash } from 'node:crypto'
import { fail } from '../../base/index.ts'
import { openCheckpoint } from '../../checkpoint/index.ts'
import { applyLines, findLayers, type LinesRow, layerOf, linesPlan, linesScale } from '../../merge/index.ts'
import { type DdpmUnetParameters, ddpmUnet } from '../../nn/index.ts'
import { entries, fromEntries, random, sameShape, type Tensor, tensor } from '../../tensor/index.ts'
import { mergedWeights, type Weights } from '../merging/tensors.ts'
import type { LinesRecipe, ModelName, Recipe } from './recipes.ts'

export const network = ddpmUnet()

let known: ReadonlyMap<string, readonly number[]> | undefined
/** Names and shapes that the network asks for: found when they are needed, for drawing its weights takes a while. */
const shapes = (): ReadonlyMap<string, readonly number[]> => {
  known ??= new Map(entries(network.init(random.key(0))).map(([name, { shape }]) => [name, shape]))
  return known
}

/** Read a checkpoint in any format. Throws TL_BAD_FILE where it is not one of this network, TL_IO. */
export function readWeights(path: string): Weights {
  const checkpoint = openCheckpoint(path)
  try {
    return new Map(
      [...shapes()].map(([name, shape]) => {
        const found = checkpoint.tensors.get(name)
        if (!found || !sameShape(found.shape, shape))
          fail(
            'TL_BAD_FILE',
            `${path}: ${found ? `tensor "${name}" is [${found.shape.join(', ')}]` : `no tensor "${name}"`}, expected [${shape.join(', ')}]: a checkpoint of the 28×28 DDPM of PapersReimplementations`,
          )
        return [name, found!.f32()]
      }),
    )
  } finally {
    checkpoint.close()
  }
}

/** SHA-256 over all values, in order of the network's names. */
export function fingerprintOf(weights: Weights): string {
  const hash = createHash('sha256')
  for (const name of shapes().keys()) hash.update(name).update(new Uint8Array(weights.get(name)!.buffer))
  return hash.digest('hex')
}

/** As the network takes them. */
export const treeOf = (weights: Weights): DdpmUnetParameters =>
  fromEntries(
    [...weights].map(([name, values]): [string, Tensor] => [
      name,
      tensor(values, { shape: shapes().get(name)! }),
    ]),
  ) as DdpmUnetParameters

/** The factor of every tensor: by depth as LiNeS has it, or with both sides of the U-Net counted towards the middle. */
export function factorsOf(
  names: readonly string[],
  { alpha, beta, order }: LinesRecipe,
): Map<string, number> {
  const factor = new Map(linesPlan(names, { alpha, beta }).map((row: LinesRow) => [row.name, row.factor]))
  if (order === 'depth') return factor
  const layers = findLayers(names)
  for (const name of names) {
    const place = layerOf(name, layers)
    if (!place) continue
    const level = Math.min(place.layer, place.count + 1 - place.layer)
    factor.set(name, linesScale(level, Math.ceil(place.count / 2), alpha, beta))
  }
  return factor
}

/** The weights of a recipe. Throws what the method throws. */
export function mergeRecipe(
  recipe: Recipe,
  sources: Readonly<Record<ModelName, Weights>>,
  seed: number,
): Weights {
  const { method, base, models, parameters = {}, lines } = recipe
  const merged = mergedWeights({
    ...{ method, base: base && sources[base], parameters, shapes: shapes(), key: random.key(seed) },
    models: models.map(({ model, parameters: own = {} }) => ({ weights: sources[model], parameters: own })),
  })
  if (!lines) return merged
  const factors = factorsOf([...merged.keys()], lines)
  return new Map(
    [...merged].map(([name, values]) => [
      name,
      applyLines(sources.mean.get(name)!, values, factors.get(name)!),
    ]),
  )
}

/** Both models and their mean, a uniform soup. */
export function sourcesOf(mnist: Weights, fashion: Weights): Record<ModelName, Weights> {
  const soup: Recipe = { method: 'uniform_soup', models: [{ model: 'mnist' }, { model: 'fashion' }] }
  const two = { mnist, fashion, mean: mnist }
  return { ...two, mean: mergeRecipe(soup, two, 0) }
}

/** ‖a − b‖ over the root of the product of their norms, for the tensors whose name `isChosen`. */
export function relativeDistance(a: Weights, b: Weights, isChosen: (name: string) => boolean): number {
  let [apart, ofA, ofB] = [0, 0, 0]
  for (const [name, x] of a) {
    if (!isChosen(name)) continue
    const y = b.get(name)!
    for (let i = 0; i < x.length; i++) {
      apart += (x[i]! - y[i]!) ** 2
      ofA += x[i]! ** 2
      ofB += y[i]! ** 2
    }
  }
  return Math.sqrt(apart / Math.sqrt(ofA * ofB))
}
