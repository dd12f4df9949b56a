/** @file Things that scenes are made of, in themes: each a figure in the plane [−1, 1]², y downwards. */
import { box, type Distance, disc, line, minus, polygon, union } from '../drawn/strokes.ts'

const at =
  (figure: Distance, dx: number, dy: number): Distance =>
  (x, y) =>
    figure(x - dx, y - dy)

const turned =
  (figure: Distance): Distance =>
  (x, y) =>
    figure(x, -y)

/** Spokes from the middle outwards. */
const rays = (count: number, from: number, to: number, width: number): Distance =>
  union(
    ...Array.from({ length: count }, (_, i) => {
      const [c, s] = [Math.cos((2 * Math.PI * i) / count), Math.sin((2 * Math.PI * i) / count)]
      return line([from * c, from * s, to * c, to * s], width)
    }),
  )

/** Nouns of each theme. The partner of a noun is the next of its theme, and of the last the first. */
export const sceneThemes: Readonly<Record<string, Readonly<Record<string, Distance>>>> = {
  sky: {
    sun: union(disc(0.5), rays(8, 0.6, 0.95, 0.07)),
    cloud: union(disc(0.42, -0.45, 0.15), disc(0.5, 0.05, -0.1), disc(0.4, 0.5, 0.2)),
    moon: minus(disc(0.9), disc(0.8, 0.45, -0.1)),
    kite: union(
      (x, y) => (Math.abs(x) / 0.6 + Math.abs(y + 0.25) / 0.7 - 1) * 0.45,
      line([0, 0.4, 0.3, 0.95], 0.06),
    ),
  },
  street: {
    house: union(at(box(0.6, 0.42), 0, 0.45), at(polygon(3, 0.38), 0, -0.3)),
    car: union(
      at(box(0.9, 0.22), 0, 0.15),
      at(box(0.45, 0.25), 0, -0.25),
      disc(0.22, -0.5, 0.45),
      disc(0.22, 0.5, 0.45),
    ),
    lamp: union(line([0, -0.4, 0, 0.95], 0.08), disc(0.35, 0, -0.55), line([-0.35, 0.92, 0.35, 0.92], 0.08)),
    signpost: union(at(box(0.75, 0.26), 0.1, -0.5), line([-0.1, -0.3, -0.1, 0.95], 0.09)),
  },
  sea: {
    boat: union(
      minus(disc(0.8, 0, 0.1), at(box(1, 0.6), 0, -0.4)),
      line([0, 0.2, 0, -0.95], 0.06),
      at(polygon(3, 0.24), 0.3, -0.4),
    ),
    fish: union(
      (x, y) => (Math.hypot(x + 0.15, y * 1.9) - 0.7) * 0.6,
      (x, y) => Math.max(0.5 - x, x - 0.95, Math.abs(y) - (x - 0.35)),
    ),
    anchor: union(
      line([0, -0.6, 0, 0.8], 0.09),
      line([-0.35, -0.35, 0.35, -0.35], 0.08),
      minus(minus(disc(0.8, 0, 0.05), disc(0.62, 0, 0.05)), at(box(1, 0.6), 0, -0.4)),
      minus(disc(0.25, 0, -0.72), disc(0.12, 0, -0.72)),
    ),
    buoy: minus(disc(0.85), disc(0.42)),
  },
  kitchen: {
    cup: union(at(box(0.5, 0.55), -0.15, 0.1), minus(disc(0.4, 0.45, 0.1), disc(0.24, 0.45, 0.1))),
    bottle: union(at(box(0.32, 0.55), 0, 0.4), at(box(0.13, 0.35), 0, -0.5), disc(0.32, 0, -0.12)),
    bowl: union(minus(disc(0.9, 0, -0.15), at(box(1, 0.55), 0, -0.65)), at(box(0.35, 0.08), 0, 0.8)),
    fork: union(
      line([0, -0.1, 0, 0.95], 0.1),
      line([-0.35, -0.15, 0.35, -0.15], 0.08),
      ...[-0.35, 0, 0.35].map((x) => line([x, -0.9, x, -0.15], 0.08)),
    ),
  },
  garden: {
    tree: union(disc(0.6, 0, -0.3), at(box(0.14, 0.4), 0, 0.55)),
    flower: union(
      disc(0.22, 0, -0.35),
      ...Array.from({ length: 5 }, (_, i) =>
        disc(0.24, 0.36 * Math.cos(1.257 * i), -0.35 + 0.36 * Math.sin(1.257 * i)),
      ),
      line([0, 0, 0, 0.95], 0.07),
    ),
    mushroom: union(minus(disc(0.8, 0, 0), at(box(1, 0.6), 0, 0.6)), at(box(0.22, 0.4), 0, 0.4)),
    fence: union(
      ...[-0.75, -0.25, 0.25, 0.75].map((x) => line([x, -0.7, x, 0.8], 0.11)),
      line([-0.95, -0.2, 0.95, -0.2], 0.08),
      line([-0.95, 0.4, 0.95, 0.4], 0.08),
    ),
  },
  desk: {
    book: minus(box(0.8, 0.62), at(box(0.05, 0.62), 0, 0)),
    key: union(
      minus(disc(0.4, -0.5, 0), disc(0.2, -0.5, 0)),
      line([-0.1, 0, 0.9, 0], 0.09),
      line([0.6, 0, 0.6, 0.35], 0.08),
      line([0.85, 0, 0.85, 0.35], 0.08),
    ),
    clock: minus(disc(0.85), union(line([0, 0, 0, -0.55], 0.08), line([0, 0, 0.4, 0.2], 0.08))),
    pencil: union(line([-0.6, 0.6, 0.35, -0.35], 0.2), at(turned(polygon(3, 0.14)), 0.55, -0.55)),
  },
}

/** A noun, its theme and its figure. */
interface SceneNoun {
  readonly name: string
  readonly theme: string
  readonly figure: Distance
}

export const sceneNouns: readonly SceneNoun[] = Object.entries(sceneThemes).flatMap(([theme, nouns]) =>
  Object.entries(nouns).map(([name, figure]) => ({ name, theme, figure })),
)

/** What most often comes with a noun: the next of its theme. */
export function partnerOf(noun: string): string {
  const own = sceneNouns.find(({ name }) => name === noun)!
  const names = Object.keys(sceneThemes[own.theme]!)
  return names[(names.indexOf(noun) + 1) % names.length]!
}
