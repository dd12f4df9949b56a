/** @file Symmetric matrices in float64: Cholesky factors and what they solve, eigenvalues and eigenvectors. */

/** Rows of the factor that are kept in the processor's cache while a column of blocks is worked on. */
const block = 64

/** Inner product of `length` entries from two places of two arrays. */
function dot(x: Float64Array, a: number, y: Float64Array, b: number, length: number): number {
  let s0 = 0
  let s1 = 0
  let s2 = 0
  let s3 = 0
  let k = 0
  for (; k + 3 < length; k += 4) {
    s0 += x[a + k]! * y[b + k]!
    s1 += x[a + k + 1]! * y[b + k + 1]!
    s2 += x[a + k + 2]! * y[b + k + 2]!
    s3 += x[a + k + 3]! * y[b + k + 3]!
  }
  for (; k < length; k++) s0 += x[a + k]! * y[b + k]!
  return s0 + s1 + s2 + s3
}

/** y += scale · x, `length` entries from two places of two arrays. */
function add(y: Float64Array, b: number, scale: number, x: Float64Array, a: number, length: number): void {
  for (let k = 0; k < length; k++) y[b + k]! += scale * x[a + k]!
}

/**
 * Cholesky factor of a symmetric positive matrix [n, n], in place in its lower triangle. Returns the first row at which the
 * matrix is not positive, −1 when it is: the caller knows what that means.
 */
export function cholesky(matrix: Float64Array, n: number): number {
  for (let from = 0; from < n; from += block) {
    const to = Math.min(n, from + block)
    for (let i = from; i < n; i++)
      for (let j = from; j < Math.min(to, i + 1); j++) {
        const rest = matrix[i * n + j]! - dot(matrix, i * n, matrix, j * n, j)
        if (i > j) matrix[i * n + j] = rest / matrix[j * n + j]!
        else if (rest > 0) matrix[i * n + i] = Math.sqrt(rest)
        else return i
      }
  }
  return -1
}

/** Solve L Lᵀ x = y for each column of y [n, columns], in place. */
export function solveCholesky(factor: Float64Array, n: number, y: Float64Array, columns = 1): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const weight = factor[i * n + j]!
      for (let c = 0; c < columns; c++) y[i * columns + c]! -= weight * y[j * columns + c]!
    }
    for (let c = 0; c < columns; c++) y[i * columns + c]! /= factor[i * n + i]!
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let c = 0; c < columns; c++) y[i * columns + c]! /= factor[i * n + i]!
    for (let j = 0; j < i; j++) {
      const weight = factor[i * n + j]!
      for (let c = 0; c < columns; c++) y[j * columns + c]! -= weight * y[i * columns + c]!
    }
  }
}

/** y = A x of a matrix [n, n]. */
export function timesVector(matrix: Float64Array, x: Float64Array): Float64Array {
  const n = x.length
  return Float64Array.from({ length: n }, (_, i) => dot(matrix, i * n, x, 0, n))
}

/**
 * Householder reflections that make a symmetric matrix tridiagonal: A = Q T Qᵀ. The lower triangle of `a` is used up.
 * Returns the diagonal, the entries beside it (entry i between i and i + 1), and Qᵀ.
 */
function tridiagonal(
  a: Float64Array,
  n: number,
): { d: Float64Array; e: Float64Array; transposed: Float64Array } {
  const d = new Float64Array(n)
  const e = new Float64Array(n)
  /** Row k: the vector of reflection k, scaled so that H = 1 − v vᵀ. */
  const reflections = new Float64Array(n * n)
  const v = new Float64Array(n)
  const w = new Float64Array(n)
  for (let k = 0; k + 1 < n; k++) {
    d[k] = a[k * n + k]!
    let norm = 0
    for (let i = k + 1; i < n; i++) {
      v[i] = a[i * n + k]!
      norm += v[i]! ** 2
    }
    norm = Math.sqrt(norm)
    const first = v[k + 1]!
    const image = first > 0 ? -norm : norm
    e[k] = image
    // v − image · e₁, whose square is 2 image (image − first)
    const square = image * (image - first)
    if (square === 0 || k + 2 === n) {
      // one entry is left, or none: no reflection
      if (k + 2 === n) e[k] = first
      continue
    }
    v[k + 1] = first - image
    const scale = 1 / Math.sqrt(square)
    for (let i = k + 1; i < n; i++) v[i]! *= scale
    reflections.set(v.subarray(k + 1), k * n + k + 1)
    // w = A v − ½ (v · A v) v, from the lower triangle alone
    w.fill(0, k + 1)
    for (let i = k + 1; i < n; i++) {
      const row = i * n
      const vi = v[i]!
      w[i]! += a[row + i]! * vi + dot(a, row + k + 1, v, k + 1, i - k - 1)
      add(w, k + 1, vi, a, row + k + 1, i - k - 1)
    }
    const half = dot(v, k + 1, w, k + 1, n - k - 1) / 2
    for (let i = k + 1; i < n; i++) w[i]! -= half * v[i]!
    for (let i = k + 1; i < n; i++) {
      add(a, i * n + k + 1, -v[i]!, w, k + 1, i - k)
      add(a, i * n + k + 1, -w[i]!, v, k + 1, i - k)
    }
  }
  d[n - 1] = a[n * n - 1]!
  // Qᵀ = … H₁ H₀: reflections from the last to the first, each from the right on what is not the identity yet
  const q = new Float64Array(n * n)
  for (let i = 0; i < n; i++) q[i * n + i] = 1
  for (let k = n - 3; k >= 0; k--) {
    const from = k + 1
    for (let i = from; i < n; i++) {
      const product = dot(q, i * n + from, reflections, k * n + from, n - from)
      add(q, i * n + from, -product, reflections, k * n + from, n - from)
    }
  }
  return { d, e, transposed: q }
}

/** Rotations put by before they are made, and columns of a strip that stays in the cache meanwhile. */
const many = 1 << 18
const strip = 64

/** Rotate rows `at` and `at + 1` of vectors [n, n], one rotation after another. */
function rotate(
  vectors: Float64Array,
  n: number,
  at: Int32Array,
  cosines: Float64Array,
  sines: Float64Array,
  count: number,
): void {
  for (let from = 0; from < n; from += strip) {
    const width = Math.min(strip, n - from)
    for (let r = 0; r < count; r++) {
      const c = cosines[r]!
      const s = sines[r]!
      const first = at[r]! * n + from
      for (let i = first, j = first + n; i < first + width; i++, j++) {
        const upper = vectors[i]!
        const lower = vectors[j]!
        vectors[j] = s * upper + c * lower
        vectors[i] = c * upper - s * lower
      }
    }
  }
}

/** Sweeps of the QL iteration for one eigenvalue; a few are usual. */
const most = 60
/** After so many, what is lost in the rounding of the largest entries counts as 0: eigenvalues that are 0 do not settle otherwise. */
const usual = 30

/**
 * Eigenvalues, ascending, and eigenvectors, row by row, of a symmetric matrix [n, n] of which the lower triangle is read:
 * Householder reflections, then QL with implicit shifts (Golub & Van Loan, 8.3). Undefined when it does not converge, which
 * takes entries that are not finite. About 8 n³ operations.
 */
export function eigenOf(
  matrix: Float64Array,
  n: number,
): { readonly values: Float64Array; readonly vectors: Float64Array } | undefined {
  const { d, e, transposed: vectors } = tridiagonal(matrix.slice(), n)
  const room = Math.min(many, 64 * n)
  const [at, cosines, sines] = [new Int32Array(room), new Float64Array(room), new Float64Array(room)]
  let waiting = 0
  let largest = 0
  for (const x of [d, e]) for (const value of x) largest = Math.max(largest, Math.abs(value))
  for (let l = 0; l < n; l++)
    for (let sweep = 0; ; sweep++) {
      let m = l
      for (; m + 1 < n; m++) {
        const size = sweep < usual ? Math.abs(d[m]!) + Math.abs(d[m + 1]!) : largest
        if (Math.abs(e[m]!) <= Number.EPSILON * size) break
      }
      if (m === l) break
      if (sweep === most || !Number.isFinite(d[l]!)) return undefined
      // Wilkinson's shift
      let g = (d[l + 1]! - d[l]!) / (2 * e[l]!)
      let r = Math.sqrt(g * g + 1)
      g = d[m]! - d[l]! + e[l]! / (g + (g < 0 ? -r : r))
      let [s, c, p] = [1, 1, 0]
      let i = m - 1
      for (; i >= l; i--) {
        const f = s * e[i]!
        const b = c * e[i]!
        r = Math.sqrt(f * f + g * g)
        e[i + 1] = r
        if (r === 0) {
          d[i + 1]! -= p
          e[m] = 0
          break
        }
        s = f / r
        c = g / r
        g = d[i + 1]! - p
        r = (d[i]! - g) * s + 2 * c * b
        p = s * r
        d[i + 1] = g + p
        g = c * r - b
        at[waiting] = i
        cosines[waiting] = c
        sines[waiting] = s
        if (++waiting === room) {
          rotate(vectors, n, at, cosines, sines, waiting)
          waiting = 0
        }
      }
      if (r === 0 && i >= l) continue
      d[l]! -= p
      e[l] = g
      e[m] = 0
    }
  rotate(vectors, n, at, cosines, sines, waiting)
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => d[i]! - d[j]!)
  const sorted = new Float64Array(n * n)
  for (const [i, from] of order.entries()) sorted.set(vectors.subarray(from * n, (from + 1) * n), i * n)
  return { values: Float64Array.from(order, (i) => d[i]!), vectors: sorted }
}
