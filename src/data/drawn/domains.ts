/**
 * @file Kinds of drawn pictures: one row for each, with its classes and how one of them fills the plane. A new kind is one row.
 */
import { box, type Distance, disc, line, minus, polygon, union } from './strokes.ts'

/** Uniform numbers in [0, 1), one at each call. */
export type Draw = () => number

/** How much of the figure is at a place of the plane [−1, 1]²: 0 background, 1 figure. `blur` is the width of a pixel. */
type Cover = (x: number, y: number, blur: number) => number

/** What a class looks like in one picture. */
interface Picturing {
  readonly cover: Cover
  /** Hue of the figure, 0 … 1; drawn where the class says nothing of it. */
  readonly hue?: number
  /** True: the figure fills the plane and is not to be made smaller or turned. */
  readonly fills?: boolean
}

export interface DrawnDomain {
  readonly title: string
  readonly classes: readonly string[]
  readonly picture: (label: number, draw: Draw) => Picturing
}

const covered =
  (distance: Distance): Cover =>
  (x, y, blur) =>
    Math.min(1, Math.max(0, 0.5 - distance(x, y) / blur))

const between = (draw: Draw, low: number, high: number): number => low + (high - low) * draw()

/** Letters of straight lines, in [−0.7, 0.7] by [−0.9, 0.9], y downwards. */
const letters: Readonly<Record<string, readonly (readonly [number, number, number, number])[]>> = {
  A: [
    [-0.7, 0.9, 0, -0.9],
    [0, -0.9, 0.7, 0.9],
    [-0.4, 0.25, 0.4, 0.25],
  ],
  E: [
    [-0.6, -0.9, -0.6, 0.9],
    [-0.6, -0.9, 0.6, -0.9],
    [-0.6, 0, 0.4, 0],
    [-0.6, 0.9, 0.6, 0.9],
  ],
  F: [
    [-0.6, -0.9, -0.6, 0.9],
    [-0.6, -0.9, 0.6, -0.9],
    [-0.6, 0, 0.4, 0],
  ],
  H: [
    [-0.6, -0.9, -0.6, 0.9],
    [0.6, -0.9, 0.6, 0.9],
    [-0.6, 0, 0.6, 0],
  ],
  K: [
    [-0.6, -0.9, -0.6, 0.9],
    [0.6, -0.9, -0.6, 0.1],
    [-0.25, -0.2, 0.6, 0.9],
  ],
  L: [
    [-0.6, -0.9, -0.6, 0.9],
    [-0.6, 0.9, 0.6, 0.9],
  ],
  N: [
    [-0.6, 0.9, -0.6, -0.9],
    [-0.6, -0.9, 0.6, 0.9],
    [0.6, 0.9, 0.6, -0.9],
  ],
  T: [
    [-0.7, -0.9, 0.7, -0.9],
    [0, -0.9, 0, 0.9],
  ],
  X: [
    [-0.6, -0.9, 0.6, 0.9],
    [0.6, -0.9, -0.6, 0.9],
  ],
  Z: [
    [-0.6, -0.9, 0.6, -0.9],
    [0.6, -0.9, -0.6, 0.9],
    [-0.6, 0.9, 0.6, 0.9],
  ],
}

const shapes: Readonly<Record<string, Distance>> = {
  disc: disc(0.85),
  ring: minus(disc(0.9), disc(0.5)),
  square: box(0.72, 0.72),
  frame: minus(box(0.78, 0.78), box(0.42, 0.42)),
  triangle: polygon(3, 0.5),
  cross: union(box(0.28, 0.9), box(0.9, 0.28)),
  star: union(polygon(3, 0.45), (x, y) => polygon(3, 0.45)(x, -y)),
  crescent: minus(disc(0.85), disc(0.75, 0.45, 0)),
}

const wave = (value: number): number => value - Math.floor(value)

/** Values on a grid of random numbers, interpolated: coarse noise. */
function blotches(draw: Draw, cells: number): Cover {
  const grid = Float64Array.from({ length: (cells + 1) ** 2 }, draw)
  return (x, y) => {
    const [u, v] = [((x + 1) / 2) * cells, ((y + 1) / 2) * cells]
    const [i, j] = [
      Math.min(cells - 1, Math.max(0, Math.floor(u))),
      Math.min(cells - 1, Math.max(0, Math.floor(v))),
    ]
    const [s, t] = [u - i, v - j]
    const at = (a: number, b: number): number => grid[b * (cells + 1) + a]!
    const value =
      (1 - t) * ((1 - s) * at(i, j) + s * at(i + 1, j)) + t * ((1 - s) * at(i, j + 1) + s * at(i + 1, j + 1))
    return Math.min(1, Math.max(0, 2.5 * (value - 0.3)))
  }
}

/** Patterns over the plane of `n` periods from phases p and q. */
const textures: Readonly<Record<string, (n: number, p: number, q: number, draw: Draw) => Cover>> = {
  checks: (n, p, q) => (x, y) => (Math.floor(n * x + p) + Math.floor(n * y + q)) & 1,
  dots: (n, p, q) => (x, y) => (Math.hypot(wave(n * x + p) - 0.5, wave(n * y + q) - 0.5) < 0.33 ? 1 : 0),
  grid: (n, p, q) => (x, y) => (wave(n * x + p) < 0.25 || wave(n * y + q) < 0.25 ? 1 : 0),
  bricks: (n, p, q) => (x, y) => {
    const row = Math.floor(1.6 * n * y + q)
    const across = wave(0.8 * n * x + p + (row & 1) / 2)
    return wave(1.6 * n * y + q) < 0.22 || across < 0.12 ? 1 : 0
  },
  waves: (n, p, q) => (x, y) => (wave(n * y + q + 0.3 * Math.sin(5 * x + 6 * p)) < 0.5 ? 1 : 0),
  zigzag: (n, p, q) => (x, y) => (wave(n * y + q + 1.2 * Math.abs(wave(1.2 * x + p) - 0.5)) < 0.5 ? 1 : 0),
  blotches: (_n, _p, _q, draw) => blotches(draw, 5),
  grain: (_n, _p, _q, draw) => blotches(draw, 31),
}

const tables = <T>(table: Readonly<Record<string, T>>): { names: string[]; values: T[] } => ({
  names: Object.keys(table),
  values: Object.values(table),
})
const [glyph, shape, texture] = [tables(letters), tables(shapes), tables(textures)] as const

const hues = ['red', 'orange', 'yellow', 'green', 'cyan', 'blue', 'violet', 'pink'] as const
const hueAt = [0, 0.08, 0.16, 0.33, 0.5, 0.62, 0.76, 0.9] as const

const directions = ['level', 'rising', 'upright', 'falling'] as const

/** Discs that do not touch, for counting; fewer places are tried where the plane is full. */
function apart(count: number, draw: Draw): Distance {
  const radius = between(draw, 0.14, 0.22)
  const centres: (readonly [number, number])[] = []
  for (let tries = 0; centres.length < count && tries < 400; tries++) {
    const centre = [between(draw, -0.78, 0.78), between(draw, -0.78, 0.78)] as const
    if (centres.every(([x, y]) => Math.hypot(x - centre[0], y - centre[1]) > 2.5 * radius))
      centres.push(centre)
  }
  return union(...centres.map(([x, y]) => disc(radius, x, y)))
}

export const drawnDomains = {
  glyphs: {
    title: 'letters of straight lines',
    classes: glyph.names,
    picture: (label, draw) => {
      const width = between(draw, 0.12, 0.22)
      return { cover: covered(union(...glyph.values[label]!.map((one) => line(one, width)))) }
    },
  },
  stripes: {
    title: 'stripes of four directions, narrow and wide',
    classes: directions.flatMap((name) => [`narrow ${name}`, `wide ${name}`]),
    picture: (label, draw) => {
      const angle = (Math.PI / 4) * (label >> 1) + between(draw, -0.2, 0.2)
      const periods = label & 1 ? between(draw, 1, 1.7) : between(draw, 2.6, 4)
      const [dx, dy, phase] = [Math.sin(angle) * periods, Math.cos(angle) * periods, draw()]
      return { fills: true, cover: (x, y) => 0.5 + 0.5 * Math.sin(2 * Math.PI * (dx * x + dy * y + phase)) }
    },
  },
  shapes: {
    title: 'plane figures',
    classes: shape.names,
    picture: (label) => ({ cover: covered(shape.values[label]!) }),
  },
  textures: {
    title: 'textures',
    classes: texture.names,
    picture: (label, draw) => ({
      fills: true,
      cover: texture.values[label]!(between(draw, 1.8, 3.2), draw(), draw(), draw),
    }),
  },
  colours: {
    title: 'colours of figures of any shape',
    classes: hues,
    picture: (label, draw) => ({
      hue: hueAt[label]! + between(draw, -0.025, 0.025),
      cover: covered(shape.values[Math.floor(draw() * shape.values.length)]!),
    }),
  },
  counts: {
    title: 'numbers of discs',
    classes: ['one', 'two', 'three', 'four', 'five', 'six'],
    picture: (label, draw) => ({ cover: covered(apart(label + 1, draw)), fills: true }),
  },
} satisfies Readonly<Record<string, DrawnDomain>>

export type DrawnName = keyof typeof drawnDomains
