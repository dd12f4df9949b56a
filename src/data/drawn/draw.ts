/** @file Drawing labelled pictures from keys: a figure on a background, in a style that says how hard it is to see. */
import { entryOf, fail } from '../../base/index.ts'
import { random } from '../../tensor/index.ts'
import { type ImageDataset, pixelStatistics, type Split } from '../images.ts'
import { type Draw, type DrawnDomain, type DrawnName, drawnDomains } from './domains.ts'

/** How figures are put on paper; ranges are drawn from evenly. */
interface DrawnStyle {
  /** Share of the picture that a figure takes, along a side. */
  readonly size: readonly [number, number]
  /** Turn to both sides at most, in radians. */
  readonly turn: number
  /** Difference of brightness between figure and background. */
  readonly contrast: readonly [number, number]
  /** Standard deviation of the noise of a pixel, in shares of white. */
  readonly noise: number
  /** A bar of any grey across the picture. */
  readonly bar: boolean
}

/** `plain` is easy to see; `rough` is small, pale, turned, noisy and crossed by a bar. */
const drawnStyles = {
  plain: { size: [0.6, 0.95], turn: 0.15, contrast: [0.45, 0.8], noise: 0.04, bar: false },
  rough: { size: [0.5, 0.8], turn: 0.45, contrast: [0.25, 0.5], noise: 0.1, bar: true },
} satisfies Readonly<Record<string, DrawnStyle>>

export type DrawnStyleName = keyof typeof drawnStyles

/** Uniform numbers of a key, made in blocks. */
function drawing(key: random.Key): Draw {
  let [block, at, words] = [0, 0, random.sampleUniform(random.foldIn(key, 0), 64)]
  return () => {
    if (at === words.length) {
      words = random.sampleUniform(random.foldIn(key, ++block), 64)
      at = 0
    }
    return words[at++]!
  }
}

const within = (draw: Draw, [low, high]: readonly [number, number]): number => low + (high - low) * draw()

/** Hue, 0 … 1, as shares of red, green and blue between 0 and 1. */
const channel = (hue: number, k: number): number => {
  const at = (k + 6 * hue) % 6
  return 1 - Math.max(0, Math.min(at, 4 - at, 1))
}
/** A hue, 0 … 1, as shares of red, green and blue. */
export const colourOf = (hue: number): [number, number, number] => {
  const turned = hue - Math.floor(hue)
  return [channel(turned, 5), channel(turned, 3), channel(turned, 1)]
}

/** A bar across the picture: how far a place is from its middle line, in its half widths. */
function barOf(draw: Draw): (x: number, y: number) => boolean {
  const [angle, shift, half] = [Math.PI * draw(), 1.4 * draw() - 0.7, 0.06 + 0.06 * draw()]
  const [dx, dy] = [Math.cos(angle), Math.sin(angle)]
  return (x, y) => Math.abs(dx * x + dy * y - shift) < half
}

/** One picture as bytes [side, side, 3], into `out` from `from` on. */
function drawInto(
  out: Uint8Array,
  from: number,
  side: number,
  domain: DrawnDomain,
  label: number,
  style: DrawnStyle,
  key: random.Key,
): void {
  const draw = drawing(key)
  const { cover, hue = draw(), fills = false } = domain.picture(label, draw)
  const scale = fills ? 1 : within(draw, style.size)
  const turn = fills ? 0 : style.turn * (2 * draw() - 1)
  const [cos, sin] = [Math.cos(turn) / scale, Math.sin(turn) / scale]
  const room = 1 - scale
  const [shiftX, shiftY] = [room * (2 * draw() - 1), room * (2 * draw() - 1)]
  const contrast = within(draw, style.contrast)
  const ground = (1 - contrast) * draw()
  const tint = colourOf(hue)
  const isBar = style.bar ? barOf(draw) : undefined
  const barGrey = draw()
  const blur = 2 / (side * scale)
  const noise = random.sampleNormal(random.foldIn(key, 0xfffff), side * side)
  for (let i = 0, at = from; i < side; i++)
    for (let j = 0; j < side; j++) {
      const [x, y] = [(2 * j + 1) / side - 1, (2 * i + 1) / side - 1]
      const [u, v] = [x - shiftX, y - shiftY]
      const share = cover(cos * u + sin * v, cos * v - sin * u, blur)
      const behind = isBar?.(x, y) ?? false
      const grain = style.noise * noise[i * side + j]!
      for (let c = 0; c < 3; c++, at++) {
        const value = behind ? barGrey : ground + share * contrast * tint[c]!
        out[at] = Math.round(255 * Math.min(1, Math.max(0, value + grain)))
      }
    }
}

export interface DrawnOptions {
  readonly key: random.Key
  /** Pictures of each part; classes take turns, so that all are as frequent. */
  readonly train: number
  readonly test: number
  /** Pixels along a side. Default 32. */
  readonly side?: number
  /** Default 'plain'. */
  readonly style?: DrawnStyleName
}

function partOf(domain: DrawnDomain, count: number, side: number, style: DrawnStyle, key: random.Key): Split {
  const size = side * side * 3
  const images = new Uint8Array(count * size)
  const labels = new Uint8Array(count)
  for (let n = 0; n < count; n++) {
    labels[n] = n % domain.classes.length
    drawInto(images, n * size, side, domain, labels[n]!, style, random.foldIn(key, n))
  }
  return { images, labels, count }
}

/**
 * A set of labelled pictures of one kind – letters, stripes, figures, textures, colours, numbers of discs –, drawn from a key:
 * the same key gives the same bytes, and more pictures begin with fewer. Throws TL_BAD_ARGUMENT.
 */
export function drawnDataset(
  name: string,
  { key, train, test, side = 32, style = 'plain' }: DrawnOptions,
): ImageDataset {
  const domain: DrawnDomain = entryOf(
    'drawn domain',
    drawnDomains as Readonly<Record<string, DrawnDomain>>,
    name,
  )
  const how: DrawnStyle = entryOf('style', drawnStyles as Readonly<Record<string, DrawnStyle>>, style)
  for (const [what, value, least] of [
    ['train', train, 1],
    ['test', test, 1],
    ['side', side, 8],
  ] as const)
    if (!(Number.isSafeInteger(value) && value >= least))
      fail('TL_BAD_ARGUMENT', `${what}: expected a whole number of at least ${least}, got ${value}`)
  const [forTrain, forTest] = random.split(key)
  const made = partOf(domain, train, side, how, forTrain)
  return {
    name: style === 'plain' ? name : `${name}-${style}`,
    title: `${domain.title}, ${style}`,
    classes: [...domain.classes],
    shape: [side, side, 3],
    ...pixelStatistics(made.images, 3),
    train: made,
    test: partOf(domain, test, side, how, forTest),
  }
}

/** Names of the kinds of pictures. */
export const drawnNames = Object.keys(drawnDomains) as readonly DrawnName[]
