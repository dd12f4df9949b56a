/** @file How much of a window stands word for word in windows that were trained on. */

/** The longest part of a window that stands in a row in another. */
interface Match {
  readonly length: number
  /** Where it begins in the window. */
  readonly from: number
}

/** Of each window [N, d] the longest part that stands in a row in any of `others` [P, d]; the first of several. */
export function longestMatches(windows: Int32Array, others: Int32Array, d: number): Match[] {
  const count = windows.length / d
  // lengths of common parts that end at a place of the other window, of two neighbouring rows
  let [before, now] = [new Int32Array(d + 1), new Int32Array(d + 1)]
  return Array.from({ length: count }, (_, n) => {
    let [length, from] = [0, 0]
    for (let p = 0; p < others.length; p += d) {
      before.fill(0)
      for (let i = 0; i < d; i++) {
        const symbol = windows[n * d + i]!
        for (let j = 0; j < d; j++) {
          const run = symbol === others[p + j] ? before[j]! + 1 : 0
          now[j + 1] = run
          if (run > length) [length, from] = [run, i + 1 - run]
        }
        ;[before, now] = [now, before]
      }
    }
    return { length, from }
  })
}
