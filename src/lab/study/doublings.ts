/** @file Numbers of data at which a study looks. */

/** Numbers from `from` to `to`, rounded, `perDoubling` of them in each doubling: numbers of data at which to look. */
export function doublings(from: number, to: number, perDoubling = 1): number[] {
  const sizes: number[] = []
  for (let step = 0; ; step++) {
    const size = Math.round(from * 2 ** (step / perDoubling))
    if (size > to) return sizes
    if (size !== sizes.at(-1)) sizes.push(size)
  }
}
