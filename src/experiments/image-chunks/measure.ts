/** @file Which patches of an image change together over round trips. */
import { fail } from '../../base/index.ts'
import {
  gridCovarianceSums,
  gridDistances,
  keptBrightness,
  type PatchGrid,
  patchChanges,
  patchGrid,
} from '../../diffusion/index.ts'
import type { Bench } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'
import { type PictureRow, pictureOf } from '../imageTrips/pictures.ts'
import type { Prepared, Shape } from '../imageTrips/settings.ts'
import { openSources, type SourceName, type Sources } from '../imageTrips/sources.ts'
import type { Config } from './config.ts'

export interface Cell {
  readonly source: SourceName
  readonly time: number
}

/** How a patch changed: by how much, or how many of its pixels crossed grey. */
export type Measure = 'distances' | 'flips'

/** Covariances of a group of images at a time, summed over images and over the ordered pairs at each distance. */
export interface ChunkRow {
  readonly of: 'chunks'
  readonly measure: Measure
  readonly sums: readonly number[]
  /** Rows and columns of the grid. */
  readonly grid: readonly [number, number]
  /** Images with at least two round trips that count, and all. */
  readonly counted: number
  readonly images: number
  readonly trips: number
  readonly good: number
}

export type Row = ChunkRow | PictureRow

export type Resource = Sources

export const open = (config: Config, prepared: Prepared): Promise<Resource> =>
  openSources(config, prepared, { grey: true })

/** The grid of patches of a run: of the images as the set or the model has them. */
export const gridOf = ({ shape }: Prepared, { patch }: Config): PatchGrid => patchGrid(shape, patch)

/** Pixels of a patch in images of another size, which must have as many patches. */
function patchIn(shape: Shape, prepared: Prepared, config: Config): number {
  const { rows } = gridOf(prepared, config)
  const patch = shape[1] / rows
  if (!Number.isInteger(patch) || shape[1] !== shape[2])
    fail(
      'TL_BAD_CONFIG',
      `config.patch: expected patches that are whole pixels of the ${shape[1]} × ${shape[2]} images of the controls, got ${config.patch} of ${prepared.shape[1]} × ${prepared.shape[2]}`,
    )
  return patch
}

export async function measure(cell: Cell, bench: Bench<Config, Resource, Prepared>): Promise<Row[]> {
  const { resource, config, prepared, key, replica, signal, progress } = bench
  const { source: name, time } = cell
  const source = resource.of(name)
  const { imagesPerGroup: count, trajectories: n, drift } = config
  const { shape } = source
  const size = shape[0] * shape[1] * shape[2]
  const patch = patchIn(shape, prepared, config)
  const grid = patchGrid(shape, patch)
  const distances = gridDistances(grid)
  const images = source.draw(replica, count, random.foldIn(key, 0))
  const trips = await source.trips(images, {
    ...{ group: replica, time, n, key: random.foldIn(key, 1), signal },
    onStep: (done, total) => progress(done / total),
  })
  const sums = {
    distances: new Float64Array(distances.pairs.length),
    flips: new Float64Array(distances.pairs.length),
  }
  const totals = { counted: 0, images: count, trips: count * n, good: 0 }
  const pictures: PictureRow[] = []
  for (let i = 0; i < count; i++) {
    const x0 = images.subarray(i * size, (i + 1) * size)
    const own = trips.subarray(i * n * size, (i + 1) * n * size)
    // a field has no background that could drift
    const rejects = drift > 0 && name === 'model'
    const kept = rejects ? keptBrightness(x0, own, shape, drift) : new Array<boolean>(n).fill(true)
    const good = Array.from(kept.keys()).filter((k) => kept[k])
    totals.good += good.length
    if (replica === 0 && i < config.shown) {
      const first = good[0] ?? 0
      const shared = { of: 'picture', image: i, answer: '' } as const
      pictures.push(
        { ...shared, after: false, good: true, ...pictureOf(x0, shape) },
        {
          ...{ ...shared, after: true, good: kept[first]! },
          ...pictureOf(own.subarray(first * size, (first + 1) * size), shape),
        },
      )
    }
    if (good.length < 2) continue
    totals.counted++
    const chosen = new Float32Array(good.length * size)
    for (const [place, k] of good.entries()) chosen.set(own.subarray(k * size, (k + 1) * size), place * size)
    const changes = patchChanges(x0, chosen, shape, patch)
    for (const what of ['distances', 'flips'] as const)
      for (const [at, sum] of gridCovarianceSums(changes[what], good.length, grid, distances).entries())
        sums[what][at]! += sum
  }
  return [
    ...(['distances', 'flips'] as const).map(
      (what): ChunkRow => ({
        ...{ of: 'chunks', measure: what, sums: Array.from(sums[what]), grid: [grid.rows, grid.columns] },
        ...totals,
      }),
    ),
    ...pictures,
  ]
}
