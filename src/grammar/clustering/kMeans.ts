/** @file k-means on rows of a matrix: greedy k-means++ seeds from keys, Lloyd's iterations, the best of several restarts. */
import { fail } from '../../base/index.ts'
import { random } from '../../tensor/index.ts'

/** How to run k-means. */
export interface KMeansOptions {
  /** Clusters asked for; fewer come out when fewer rows differ. */
  readonly k: number
  /** Independent beginnings, the best of which is kept (default 8). */
  readonly restarts?: number
  /** At most so many rounds of Lloyd's algorithm each (default 100). */
  readonly iterations?: number
  /** How much each row counts [n]; 1 when absent. */
  readonly weights?: ArrayLike<number>
}

/** A partition of n rows. */
export interface KMeans {
  /** Cluster of each row [n], 0 … k − 1. */
  readonly labels: Int32Array
  /** Weighted means [k, dim]. */
  readonly centres: Float64Array
  /** Weighted sum of squared distances to the centres. */
  readonly inertia: number
}

/** Rows [n, dim] with their weights. */
interface Cloud {
  readonly points: Float64Array
  readonly weights: Float64Array
  readonly n: number
  readonly dim: number
}

/** Squared distance of row i of a from row j of b; once it is `enough`, some number that is no smaller. */
function squaredDistance(
  a: Float64Array,
  i: number,
  b: Float64Array,
  j: number,
  dim: number,
  enough = Number.POSITIVE_INFINITY,
): number {
  let sum = 0
  for (let x = i * dim, y = j * dim, end = x + dim; x < end; ) {
    // to look after every number would cost more than it saves
    for (const stop = Math.min(x + 8, end); x < stop; x++, y++) {
      const difference = a[x]! - b[y]!
      sum += difference * difference
    }
    if (sum >= enough) break
  }
  return sum
}

/** The row in which a running sum of `mass` passes `share` of its total. */
function rowAt(mass: Float64Array, share: number): number {
  let total = 0
  for (const value of mass) total += value
  let rest = share * total
  for (let i = 0; i < mass.length; i++) {
    rest -= mass[i]!
    if (rest < 0) return i
  }
  return mass.findLastIndex((value) => value > 0)
}

/**
 * Greedy k-means++ (Arthur & Vassilvitskii 2007): each further centre is the best of 2 + ⌊ln k⌋ rows drawn in proportion to
 * their squared distance from the centres so far. Returns row numbers; fewer than k when all rows are already centres.
 */
function seedRows({ points, weights, n, dim }: Cloud, k: number, key: random.Key): number[] {
  const tries = 2 + Math.floor(Math.log(k))
  const draws = random.sampleUniform(key, 1 + (k - 1) * tries)
  const rows = [rowAt(weights, draws[0]!)]
  const nearest = Float64Array.from({ length: n }, (_, i) =>
    squaredDistance(points, i, points, rows[0]!, dim),
  )
  const mass = new Float64Array(n)
  let [closer, closest] = [new Float64Array(n), new Float64Array(n)]
  while (rows.length < k) {
    for (let i = 0; i < n; i++) mass[i] = weights[i]! * nearest[i]!
    if (mass.every((value) => value === 0)) break
    let best = -1
    let least = Number.POSITIVE_INFINITY
    for (let t = 0; t < tries; t++) {
      const candidate = rowAt(mass, draws[1 + (rows.length - 1) * tries + t]!)
      let sum = 0
      for (let i = 0; i < n; i++) {
        const near = nearest[i]!
        closer[i] = Math.min(near, squaredDistance(points, i, points, candidate, dim, near))
        sum += weights[i]! * closer[i]!
      }
      if (sum < least) {
        least = sum
        best = candidate
        ;[closer, closest] = [closest, closer]
      }
    }
    nearest.set(closest)
    rows.push(best)
  }
  return rows
}

/** Put each row to its nearest centre (ties to the lower number); returns whether any label changed. */
function assign({ points, n, dim }: Cloud, centres: Float64Array, labels: Int32Array, away: Float64Array) {
  const k = centres.length / dim
  let changed = false
  for (let i = 0; i < n; i++) {
    let best = 0
    let least = Number.POSITIVE_INFINITY
    for (let c = 0; c < k; c++) {
      const distance = squaredDistance(points, i, centres, c, dim, least)
      if (distance < least) {
        least = distance
        best = c
      }
    }
    away[i] = least
    if (labels[i] !== best) changed = true
    labels[i] = best
  }
  return changed
}

/** Weighted means of the clusters; an empty one moves to the row that is farthest from its own centre. */
function recentre(
  { points, weights, n, dim }: Cloud,
  centres: Float64Array,
  labels: Int32Array,
  away: Float64Array,
) {
  const mass = new Float64Array(centres.length / dim)
  centres.fill(0)
  for (let i = 0; i < n; i++) {
    const c = labels[i]!
    mass[c]! += weights[i]!
    for (let j = 0; j < dim; j++) centres[c * dim + j]! += weights[i]! * points[i * dim + j]!
  }
  for (let c = 0; c < mass.length; c++) {
    if (mass[c]! > 0) {
      for (let j = 0; j < dim; j++) centres[c * dim + j]! /= mass[c]!
      continue
    }
    let farthest = 0
    for (let i = 1; i < n; i++) if (away[i]! > away[farthest]!) farthest = i
    away[farthest] = 0
    centres.set(points.subarray(farthest * dim, (farthest + 1) * dim), c * dim)
  }
}

function lloyd(cloud: Cloud, k: number, iterations: number, key: random.Key): KMeans {
  const { points, weights, n, dim } = cloud
  const rows = seedRows(cloud, k, key)
  const centres = new Float64Array(rows.length * dim)
  for (const [c, row] of rows.entries()) centres.set(points.subarray(row * dim, (row + 1) * dim), c * dim)
  const labels = new Int32Array(n).fill(-1)
  const away = new Float64Array(n)
  for (let round = 0; round < iterations; round++) {
    if (!assign(cloud, centres, labels, away)) break
    recentre(cloud, centres, labels, away)
  }
  assign(cloud, centres, labels, away)
  return { labels, centres, inertia: away.reduce((sum, value, i) => sum + weights[i]! * value, 0) }
}

/**
 * Partition the rows of `points` [n, dim] into k clusters of small squared distance. The same key gives the same labels.
 * Throws TL_BAD_ARGUMENT for sizes that do not fit and for values that are not finite.
 */
export function kMeans(points: Float64Array, dim: number, key: random.Key, options: KMeansOptions): KMeans {
  const { k, restarts = 8, iterations = 100 } = options
  const n = points.length / dim
  if (!(Number.isInteger(n) && n >= 1 && dim >= 1))
    fail('TL_BAD_ARGUMENT', `kMeans: expected rows of ${dim} numbers, got ${points.length} numbers`)
  if (!(Number.isInteger(k) && k >= 1)) fail('TL_BAD_ARGUMENT', `kMeans: expected k ≥ 1 clusters, got ${k}`)
  const weights = Float64Array.from(options.weights ?? new Float64Array(n).fill(1))
  if (weights.length !== n || weights.some((w) => !(w >= 0 && w < Number.POSITIVE_INFINITY)))
    fail('TL_BAD_ARGUMENT', `kMeans: expected ${n} weights ≥ 0, one for each row, got ${weights.length}`)
  if (!weights.some((w) => w > 0))
    fail('TL_BAD_ARGUMENT', 'kMeans: expected a weight above 0, got only zeros')
  if (points.some((value) => !Number.isFinite(value)))
    fail('TL_BAD_ARGUMENT', 'kMeans: expected finite numbers, got NaN or infinity')
  const cloud: Cloud = { points, weights, n, dim }
  let best: KMeans | undefined
  for (const start of random.split(key, restarts)) {
    const found = lloyd(cloud, Math.min(k, n), iterations, start)
    if (!best || found.inertia < best.inertia) best = found
  }
  return best ?? fail('TL_BAD_ARGUMENT', `kMeans: expected at least 1 restart, got ${restarts}`)
}
