/**
 * @file Changes on a grid of patches: how much each patch of an image changed, and which patches change together. Covariances are
 * over trajectories of one image, summed over the ordered pairs at each distance. (Sclocchi et al. 2025b, section 5)
 */
import { fail } from '../base/index.ts'

/** Patches of an image. */
export interface PatchGrid {
  readonly rows: number
  readonly columns: number
}

/** The grid of patches of `patch` × `patch` pixels. Throws `TL_BAD_ARGUMENT` where the patches do not fill the image. */
export function patchGrid([, height, width]: readonly [number, number, number], patch: number): PatchGrid {
  if (!(Number.isSafeInteger(patch) && patch >= 1 && height % patch === 0 && width % patch === 0))
    fail(
      'TL_BAD_ARGUMENT',
      `patch: expected a whole number that divides ${height} and ${width} pixels, got ${patch}`,
    )
  return { rows: height / patch, columns: width / patch }
}

/** How much patches changed. */
export interface PatchChanges {
  /** ‖x_0 − x̂_0‖/√(numbers of a patch) of each patch [n, rows · columns]. */
  readonly distances: Float64Array
  /** Pixels of each patch, in all channels, that are no longer on the same side of 0 [n, rows · columns]. */
  readonly flips: Float64Array
}

/** Changes of the patches of an image x_0 [C, H, W] in others [n, C, H, W]. */
export function patchChanges(
  x0: ArrayLike<number>,
  points: ArrayLike<number>,
  shape: readonly [number, number, number],
  patch: number,
): PatchChanges {
  const { rows, columns } = patchGrid(shape, patch)
  const [channels, height, width] = shape
  const size = channels * height * width
  const n = points.length / size
  const distances = new Float64Array(n * rows * columns)
  const flips = new Float64Array(n * rows * columns)
  for (let k = 0; k < n; k++)
    for (let i = 0; i < size; i++) {
      const pixel = i % (height * width)
      const row = Math.floor(Math.floor(pixel / width) / patch)
      const place = (k * rows + row) * columns + Math.floor((pixel % width) / patch)
      const [before, after] = [x0[i]!, points[k * size + i]!]
      distances[place]! += (after - before) ** 2
      if (after > 0 !== before > 0) flips[place]!++
    }
  const numbers = channels * patch * patch
  return { distances: distances.map((square) => Math.sqrt(square / numbers)), flips }
}

/** Distances between patches, rising from 0, and the ordered pairs at each. */
export interface GridDistances {
  readonly distances: readonly number[]
  readonly pairs: readonly number[]
  /** Which distance a row and a column apart have, [rows, columns]. */
  readonly index: Int32Array
}

/** Euclidean distances on a grid, in patches. */
export function gridDistances({ rows, columns }: PatchGrid): GridDistances {
  const squares = new Map<number, number>()
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const pairs = (rows - y) * (columns - x) * (y > 0 ? 2 : 1) * (x > 0 ? 2 : 1)
      squares.set(y * y + x * x, (squares.get(y * y + x * x) ?? 0) + pairs)
    }
  const sorted = [...squares].sort(([a], [b]) => a - b)
  const places = new Map(sorted.map(([square], i) => [square, i]))
  return {
    distances: sorted.map(([square]) => Math.sqrt(square)),
    pairs: sorted.map(([, pairs]) => pairs),
    index: Int32Array.from(
      { length: rows * columns },
      (_, at) => places.get(Math.floor(at / columns) ** 2 + (at % columns) ** 2)!,
    ),
  }
}

/**
 * Covariances of one image's changes [n, rows · columns] over its n ≥ 2 trajectories, summed over the ordered pairs at each distance
 * of `gridDistances`; unbiased. `susceptibility` takes them: at distance 0 is a patch with itself.
 */
export function gridCovarianceSums(
  values: ArrayLike<number>,
  n: number,
  grid: PatchGrid,
  { distances, index }: GridDistances = gridDistances(grid),
): Float64Array {
  const { rows, columns } = grid
  const d = rows * columns
  if (!(n >= 2) || values.length !== n * d)
    fail(
      'TL_BAD_ARGUMENT',
      `values: expected ${d} numbers of each of at least 2 trajectories, got ${values.length} of ${n}`,
    )
  const mean = new Float64Array(d)
  for (let k = 0; k < n; k++) for (let i = 0; i < d; i++) mean[i]! += values[k * d + i]! / n
  const sums = new Float64Array(distances.length)
  for (let i = 0; i < d; i++)
    for (let j = 0; j <= i; j++) {
      let product = 0
      for (let k = 0; k < n; k++) product += (values[k * d + i]! - mean[i]!) * (values[k * d + j]! - mean[j]!)
      const apart =
        (Math.floor(i / columns) - Math.floor(j / columns)) * columns +
        Math.abs((i % columns) - (j % columns))
      sums[index[apart]!]! += ((i === j ? 1 : 2) * product) / (n - 1)
    }
  return sums
}
