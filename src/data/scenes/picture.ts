/** @file Scenes as pictures: figures on a ground that says nothing of the theme. */
import { fail } from '../../base/index.ts'
import { random } from '../../tensor/index.ts'
import { colourOf } from '../drawn/draw.ts'
import type { Picture } from '../pictures/index.ts'
import { sceneNouns } from './nouns.ts'
import { type SceneObject, type ScenePlan, sceneColours } from './scene.ts'

const figures = new Map(sceneNouns.map(({ name, figure }) => [name, figure]))
const hues = [0, 0.08, 0.16, 0.33, 0.5, 0.62, 0.76, 0.9]

/** Where a figure begins and ends, from top to bottom: of what is covered something always shows. */
function extentOf(figure: (x: number, y: number) => number): readonly [number, number] {
  const places = Array.from({ length: 81 }, (_, i) => (i - 40) / 40)
  const rows = places.filter((y) => places.some((x) => figure(x, y) < 0))
  return [rows[0]!, rows.at(-1)!]
}
const extents = new Map(sceneNouns.map(({ name, figure }) => [name, extentOf(figure)]))

/** A figure in the picture: centre and half side in shares of the side, how opaque it is, and below which line it is covered. */
interface Put {
  readonly x: number
  readonly y: number
  readonly half: number
  readonly opacity: number
  /** Of the figure's own plane: what lies below is behind something. */
  readonly coveredFrom: number
}

/** Weak things are tiny, or pale, or mostly behind something. */
function put({ noun, place, size, isWeak }: SceneObject, u: Float32Array): Put {
  const [column, row] = [place % 3, Math.floor(place / 3)]
  const [top, bottom] = extents.get(noun)!
  const kind = isWeak ? Math.min(2, Math.floor(u[2]! * 3)) : -1
  const half = (size === 'large' ? 0.15 : 0.115) * (kind === 0 ? 0.45 : 0.9 + 0.2 * u[3]!)
  return {
    x: (column + 0.5 + 0.16 * (u[0]! - 0.5)) / 3,
    y: (row + 0.5 + 0.16 * (u[1]! - 0.5)) / 3,
    half,
    opacity: kind === 1 ? 0.25 + 0.2 * u[4]! : 1,
    coveredFrom: kind === 2 ? top + (0.4 + 0.2 * u[4]!) * (bottom - top) : Infinity,
  }
}

/** Plain, shaded or noisy, of any grey. */
function ground(side: number, key: random.Key): Float32Array {
  const u = random.sampleUniform(random.foldIn(key, 0), 4)
  const kind = Math.min(2, Math.floor(u[0]! * 3))
  const [low, high] = [0.05 + 0.25 * u[1]!, 0.3 * u[2]!]
  const angle = 2 * Math.PI * u[3]!
  const noise = random.sampleNormal(random.foldIn(key, 1), side * side)
  return Float32Array.from({ length: side * side }, (_, i) => {
    const [x, y] = [(i % side) / side - 0.5, Math.floor(i / side) / side - 0.5]
    const shade = kind === 1 ? high * (Math.cos(angle) * x + Math.sin(angle) * y) : 0
    return low + shade + (kind === 2 ? 0.08 : 0.015) * noise[i]!
  })
}

/** The picture of a plan, bytes [side, side, 3]; what is only believed is not on it. Throws `TL_BAD_ARGUMENT`. */
export function drawScene(plan: ScenePlan, key: random.Key, side = 56): Picture {
  if (!(Number.isSafeInteger(side) && side >= 16 && side <= 1024))
    fail('TL_BAD_ARGUMENT', `scene: side: expected a whole number from 16 to 1024, got ${side}`)
  const base = ground(side, random.foldIn(key, 0))
  const values = new Float32Array(side * side * 3)
  for (let i = 0; i < base.length; i++) values.fill(base[i]!, 3 * i, 3 * i + 3)
  for (const [n, object] of plan.objects.entries()) {
    if (!object.isDrawn) continue
    const u = random.sampleUniform(random.foldIn(key, n + 1), 8)
    const { x, y, half, opacity, coveredFrom } = put(object, u)
    const figure = figures.get(object.noun)!
    const tint = colourOf(hues[object.colour % sceneColours.length]! + 0.02 * (u[5]! - 0.5))
    const bright = 0.65 + 0.3 * u[6]!
    const blur = 1 / (side * half)
    const [from, to] = [
      (c: number) => Math.max(0, Math.floor((c - half) * side)),
      (c: number) => Math.min(side, Math.ceil((c + half) * side)),
    ]
    for (let i = from(y); i < to(y); i++)
      for (let j = from(x); j < to(x); j++) {
        const [px, py] = [((j + 0.5) / side - x) / half, ((i + 0.5) / side - y) / half]
        if (py > coveredFrom) continue
        const share = opacity * Math.min(1, Math.max(0, 0.5 - figure(px, py) / blur))
        for (let c = 0; c < 3; c++) {
          const k = 3 * (i * side + j) + c
          values[k] = (1 - share) * values[k]! + share * bright * (0.15 + 0.85 * tint[c]!)
        }
      }
  }
  const data = Uint8Array.from(values, (value) => Math.round(255 * Math.min(1, Math.max(0, value))))
  return { height: side, width: side, channels: 3, data }
}
