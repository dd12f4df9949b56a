/** @file Drawn scenes: pictures whose content is known exactly, captions, questions. */
import { random } from '../../tensor/index.ts'
import type { Picture } from '../pictures/index.ts'
import { describeScene } from './captions.ts'
import { partnerOf, sceneNouns } from './nouns.ts'
import { drawScene } from './picture.ts'
import { planScene, type SceneOptions, type ScenePlan } from './scene.ts'

export { closingWords, type ReadSentence, readDescription, sceneVocabulary } from './captions.ts'
export { partnerOf, sceneNouns } from './nouns.ts'
export type { SceneObject, SceneOptions, ScenePlan } from './scene.ts'

/** A question after a noun: `is there a N ?` */
export interface SceneQuestion {
  readonly noun: string
  readonly answer: 'yes' | 'no'
  /** Of a noun that is not there: it is the one that habit expects. */
  readonly isExpected: boolean
}

export interface Scene extends ScenePlan {
  readonly picture: Picture
  readonly caption: string
}

export interface ScenesOptions extends SceneOptions {
  readonly key: random.Key
  readonly count: number
  /** Scenes of training and of tests share none: each part has its own keys. */
  readonly part: 'train' | 'validation' | 'test'
  /** Pixels along a side. Default 56. */
  readonly side?: number
}

const parts = ['train', 'validation', 'test'] as const

/** Scenes of a part, one after the other; more begin with fewer, and the same key gives the same bytes. Throws `TL_BAD_ARGUMENT`. */
export function* drawnScenes({ key, count, part, side, ...options }: ScenesOptions): Generator<Scene> {
  const own = random.foldIn(key, parts.indexOf(part))
  for (let i = 0; i < count; i++) {
    const [planning, drawing, saying] = random.split(random.foldIn(own, i), 3) as [
      random.Key,
      random.Key,
      random.Key,
    ]
    const plan = planScene(planning, options)
    yield { ...plan, picture: drawScene(plan, drawing, side), caption: describeScene(plan, saying) }
  }
}

/** Three questions about a scene: a noun that is there, any that is not, and one that habit expects there, in vain if it can be. */
export function sceneQuestions({ truth, first }: ScenePlan, key: random.Key): SceneQuestion[] {
  const u = random.sampleUniform(key, 3)
  const oneOf = (list: readonly string[], uniform: number): string =>
    list[Math.min(list.length - 1, Math.floor(uniform * list.length))]!
  const absent = sceneNouns.map(({ name }) => name).filter((name) => !truth.has(name))
  const expected = [...new Set([first, ...truth])].map(partnerOf).filter((name) => !truth.has(name))
  const question = (noun: string): SceneQuestion => {
    const answer = truth.has(noun) ? 'yes' : 'no'
    return { noun, answer, isExpected: answer === 'no' && expected.includes(noun) }
  }
  return [
    question(oneOf([...truth], u[0]!)),
    question(oneOf(absent, u[1]!)),
    question(expected.length > 0 ? oneOf(expected, u[2]!) : oneOf(absent, u[2]!)),
  ]
}
