/**
 * @file Scenes whose content is known exactly: which things were planned, which are drawn and how plainly, and what an annotator says who
 * trusts habit. Things of a theme come together, so a habit is there to be learned.
 */
import { fail } from '../../base/index.ts'
import { random } from '../../tensor/index.ts'
import { partnerOf, sceneNouns, sceneThemes } from './nouns.ts'

export const scenePlaces = [
  ...['upper left', 'top', 'upper right', 'left', 'middle', 'right', 'lower left', 'bottom', 'lower right'],
] as const
export const sceneColours = ['red', 'orange', 'yellow', 'green', 'cyan', 'blue', 'violet', 'pink'] as const
export const sceneSizes = ['small', 'large'] as const

/** Something that a scene has, or that its annotator believes it has. */
export interface SceneObject {
  readonly noun: string
  /** Index of `scenePlaces`: a cell of three by three. */
  readonly place: number
  /** Index of `sceneColours`. */
  readonly colour: number
  readonly size: (typeof sceneSizes)[number]
  /** Drawn so that it can hardly be recognized. */
  readonly isWeak: boolean
  /** False: planned, and named by the annotator, but not there. */
  readonly isDrawn: boolean
}

export interface SceneOptions {
  /** How often a scene is planned with the partner of its first noun. Default 0.85. */
  readonly partner?: number
  /** How often such a partner is left out of the picture and named all the same. Default 0.35; 0 gives honest captions of whole plans. */
  readonly undrawn?: number
  /** How often things but the first are hard to recognize; the first is a fifth as often. Default 0.5. */
  readonly weak?: number
  /** Does the annotator name what is planned and not there? Default true. */
  readonly trustsHabit?: boolean
}

/** What a scene is, before it is drawn and described. */
export interface ScenePlan {
  /** What is drawn, largest first, and then what is only believed. */
  readonly objects: readonly SceneObject[]
  /** Nouns that are drawn. */
  readonly truth: ReadonlySet<string>
  /** The first noun, and whether its partner is drawn. */
  readonly first: string
  readonly partner: 'drawn' | 'believed' | 'none'
}

type Draw = () => number

/** Uniform numbers of a key: enough for one scene. */
function uniformsOf(key: random.Key): Draw {
  const words = random.sampleUniform(key, 128)
  let at = 0
  return () => words[at++ % words.length]!
}

const oneOf = <T>(draw: Draw, list: readonly T[]): T =>
  list[Math.min(list.length - 1, Math.floor(draw() * list.length))]!

/** The plan's nouns: a first, most often its partner, and up to two more, of the theme or of any. */
function nounsOf(draw: Draw, partner: number): { nouns: string[]; hasPartner: boolean } {
  const first = oneOf(draw, sceneNouns)
  const hasPartner = draw() < partner
  const nouns = hasPartner ? [first.name, partnerOf(first.name)] : [first.name]
  const share = draw()
  const more = share < 0.3 ? 0 : share < 0.7 ? 1 : 2
  for (let i = 0; i < more; i++) {
    const from = draw() < 0.35 ? sceneNouns.map(({ name }) => name) : Object.keys(sceneThemes[first.theme]!)
    // the partner comes only as such: how often it is there is known
    const free = from.filter((name) => !nouns.includes(name) && name !== partnerOf(first.name))
    if (free.length > 0) nouns.push(oneOf(draw, free))
  }
  return { nouns, hasPartner }
}

function checkShares(options: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(options))
    if (!(value >= 0 && value <= 1))
      fail('TL_BAD_ARGUMENT', `scene: ${name}: expected a share from 0 to 1, got ${value}`)
}

/** The plan of a scene, from a key. Throws `TL_BAD_ARGUMENT`. */
export function planScene(
  key: random.Key,
  { partner = 0.85, undrawn = 0.35, weak = 0.5, trustsHabit = true }: SceneOptions = {},
): ScenePlan {
  checkShares({ partner, undrawn, weak })
  const draw = uniformsOf(key)
  const { nouns, hasPartner } = nounsOf(draw, partner)
  const isLeftOut = hasPartner && draw() < undrawn
  const free = scenePlaces.map((_, i) => i)
  const objects = nouns.map((noun, i): SceneObject => {
    const place = oneOf(draw, free)
    free.splice(free.indexOf(place), 1)
    return {
      ...{ noun, place, colour: Math.floor(draw() * sceneColours.length) },
      size: draw() < 0.5 ? 'small' : 'large',
      isWeak: draw() < (i === 0 ? weak / 5 : weak),
      isDrawn: !(i === 1 && isLeftOut),
    }
  })
  const drawn = objects.filter(({ isDrawn }) => isDrawn)
  // what is large and plain comes first
  const rank = ({ size, isWeak }: SceneObject): number => (isWeak ? 2 : 0) + (size === 'large' ? 0 : 1)
  const inOrder = drawn.toSorted((a, b) => rank(a) - rank(b) || a.place - b.place)
  return {
    objects: trustsHabit ? [...inOrder, ...objects.filter(({ isDrawn }) => !isDrawn)] : inOrder,
    truth: new Set(drawn.map(({ noun }) => noun)),
    first: nouns[0]!,
    partner: !hasPartner ? 'none' : isLeftOut ? 'believed' : 'drawn',
  }
}
