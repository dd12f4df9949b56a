/** @file Signed distances to figures in the plane: negative inside, positive outside, in units of the plane. */

/** Distance to the border of a figure at (x, y), negative inside. */
export type Distance = (x: number, y: number) => number

export const disc =
  (radius: number, cx = 0, cy = 0): Distance =>
  (x, y) =>
    Math.hypot(x - cx, y - cy) - radius

export const box =
  (width: number, height: number): Distance =>
  (x, y) =>
    Math.max(Math.abs(x) - width, Math.abs(y) - height)

/** The region between half-planes whose normals point at `count` evenly spread directions: a regular polygon. */
export const polygon =
  (count: number, radius: number): Distance =>
  (x, y) => {
    const sector = (2 * Math.PI) / count
    const turned = Math.atan2(x, -y) + sector / 2
    const folded = turned - sector * Math.floor(turned / sector) - sector / 2
    return Math.hypot(x, y) * Math.cos(folded) - radius
  }

/** Where the first is and the second is not. */
export const minus =
  (a: Distance, b: Distance): Distance =>
  (x, y) =>
    Math.max(a(x, y), -b(x, y))

export const union =
  (...parts: readonly Distance[]): Distance =>
  (x, y) =>
    parts.reduce((least, part) => Math.min(least, part(x, y)), Number.POSITIVE_INFINITY)

/** A line from one point to another, `width` to both sides. */
export const line =
  ([ax, ay, bx, by]: readonly [number, number, number, number], width: number): Distance =>
  (x, y) => {
    const [dx, dy] = [bx - ax, by - ay]
    const along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)
    const t = Math.min(1, Math.max(0, along))
    return Math.hypot(x - ax - t * dx, y - ay - t * dy) - width
  }
