/** @file What an annotator says of a scene, in a small grammar, and how such a text is read again. */
import { random } from '../../tensor/index.ts'
import { sceneNouns } from './nouns.ts'
import { type SceneObject, type ScenePlan, sceneColours, scenePlaces, sceneSizes } from './scene.ts'

const openers = [
  'this is a picture of a scene with several things in it .',
  'here we look at a scene that someone drew by hand .',
  'the picture shows a quiet scene on a plain piece of paper .',
  'we see a drawn scene with a few things to name .',
  'a scene is drawn here and these are the things in it .',
  'someone drew a scene and this is what it contains .',
]
/** P place, S size, C colour, N noun. */
const sentences = [
  'in the P of the picture there is a S C N .',
  'there is also a S C N that stands in the P of it .',
  'a S C N can be seen in the P of the drawing .',
  'the P of the picture shows a S N that is C .',
  'one notices a S C N which was placed in the P .',
  'someone put a S N of C colour into the P of it .',
  'near the P we find a N which is S and C .',
  'looking at the P one sees a S C N there .',
]
/** As many as sentences, with other first words, so that going on and ending compete as equals. */
const closers = [
  'nothing else of note is to be seen in this quiet picture .',
  'that is all there is to say about this one drawing .',
  'everything else is just the plain ground of the paper behind .',
  'otherwise the paper was left empty by the one who drew .',
  'apart from this the drawing has no other things in it .',
  'overall it makes a calm and simple picture to look at .',
  'beyond these things the picture stays empty from edge to edge .',
  'finally there is only the ground and no other thing left .',
]

const least = 40

const pick = (uniform: number, list: readonly string[]): string =>
  list[Math.min(list.length - 1, Math.floor(uniform * list.length))]!

const wordsIn = (text: string): number => text.split(' ').filter((word) => /\w/.test(word)).length

function sentenceOf({ noun, place, colour, size }: SceneObject, uniform: number): string {
  const parts: Readonly<Record<string, string>> = {
    ...{ P: scenePlaces[place]!, S: size, C: sceneColours[colour]!, N: noun },
  }
  return pick(uniform, sentences).replace(/\b[PSCN]\b/g, (name) => parts[name]!)
}

/** A caption of 40 to 80 words: an opener, a sentence for each thing, and closers. Tokens are words with spaces between. */
export function describeScene({ objects }: ScenePlan, key: random.Key): string {
  const u = random.sampleUniform(key, objects.length + 4)
  const parts = [pick(u[0]!, openers), ...objects.map((one, i) => sentenceOf(one, u[i + 1]!))]
  // no closer twice
  const first = Math.min(closers.length - 1, Math.floor(u[objects.length + 1]! * closers.length))
  let count = 0
  do parts.push(closers[(first + count++) % closers.length]!)
  while (wordsIn(parts.join(' ')) < least)
  return parts.join(' ')
}

/** A sentence of a text: what it is, and what it names. */
export interface ReadSentence {
  /** `none`: no sentence of the grammar. */
  readonly kind: 'opener' | 'object' | 'closer' | 'none'
  readonly noun?: string
}

const alternatives = (words: readonly string[]): string => `(?:${words.join('|')})`
const patterns = sentences.map((sentence) => {
  const parts: Readonly<Record<string, string>> = {
    P: alternatives(scenePlaces),
    S: alternatives(sceneSizes),
    C: alternatives(sceneColours),
    N: `(?<noun>${sceneNouns.map(({ name }) => name).join('|')})`,
  }
  return new RegExp(`^${sentence.replace(/[.]/g, '\\.').replace(/\b[PSCN]\b/g, (name) => parts[name]!)}$`)
})

/** The sentences of a text, read by the grammar of captions: how much of it is in order, and what it names. */
export function readDescription(text: string): ReadSentence[] {
  const list = text
    .split(/(?<=\.)\s+/)
    .map((one) => one.trim())
    .filter((one) => one !== '')
  return list.map((sentence): ReadSentence => {
    if (openers.includes(sentence)) return { kind: 'opener' }
    if (closers.includes(sentence)) return { kind: 'closer' }
    for (const pattern of patterns) {
      const noun = pattern.exec(sentence)?.groups?.['noun']
      if (noun !== undefined) return { kind: 'object', noun }
    }
    return { kind: 'none' }
  })
}

/** First words of closers: what a control makes more likely, so that captions end earlier. */
export const closingWords: readonly string[] = closers.map((closer) => closer.split(' ')[0]!)

/** All words and marks of captions and questions, each once: a vocabulary. */
export const sceneVocabulary: readonly string[] = [
  ...new Set(
    [...openers, ...closers, ...sentences.map((one) => one.replace(/\b[PSCN]\b/g, ' '))]
      .concat(
        scenePlaces,
        sceneSizes,
        sceneColours,
        sceneNouns.map(({ name }) => name),
        'is there a ? yes no',
      )
      .flatMap((part) => part.split(' '))
      .filter((word) => word !== ''),
  ),
].sort()
