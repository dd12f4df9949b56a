/** @file Labels that keep out of each other's way. */

/** Height of a line of 12-pixel text, and a little. */
export const lineGap = 15

/** Where a label may be: pixels from the top left. */
export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** Shift label positions apart (pixels, any order) so that none overlap, moving each as little as needed, within bounds where they have room there. */
export function spread(
  positions: readonly number[],
  gap = lineGap,
  [least, most]: readonly [number, number] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
): number[] {
  const order = positions.map((_, index) => index).sort((a, b) => positions[a]! - positions[b]!)
  // clusters of touching labels, each centred on the mean of where its labels want to be
  const clusters: { members: number[]; centre: number }[] = []
  const put = (members: number[]): { members: number[]; centre: number } => {
    const wanted = members.reduce((sum, member) => sum + positions[member]!, 0) / members.length
    const half = ((members.length - 1) / 2) * gap
    return { members, centre: Math.max(least + half, Math.min(most - half, wanted)) }
  }
  for (const index of order) {
    clusters.push(put([index]))
    while (clusters.length > 1) {
      const last = clusters.at(-1)!
      const before = clusters.at(-2)!
      const room = ((last.members.length + before.members.length) / 2) * gap
      if (last.centre - before.centre >= room) break
      clusters.splice(-2, 2, put([...before.members, ...last.members]))
    }
  }
  const moved = [...positions]
  for (const { members, centre } of clusters)
    for (const [place, member] of members.entries())
      moved[member] = centre + (place - (members.length - 1) / 2) * gap
  return moved
}

/** How much two boxes share, in square pixels. */
const overlap = (a: Box, b: Box): number =>
  Math.max(0, Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x)) *
  Math.max(0, Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y))

/** The first of some places that is free of all boxes, or the one that hides least. */
export function firstFree<P extends Box>(places: readonly P[], taken: readonly Box[]): P {
  const hidden = (place: P): number => taken.reduce((sum, box) => sum + overlap(place, box), 0)
  return places.reduce((best, place) => (hidden(best) > 0 && hidden(place) < hidden(best) ? place : best))
}
