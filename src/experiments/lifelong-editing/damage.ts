/** @file Texts that no edit is about, and texts about the subjects of edits that say nothing that was taught. */
import type { Damage, TextInParts } from '../../edit/index.ts'

/** Written for this purpose; none is among the prompts by which a store centres its features or sets its threshold. */
const unrelated: readonly (readonly [prompt: string, rest: string])[] = [
  ['The kettle had just begun to boil when', 'the lights went out and the whole house fell silent.'],
  ['If you want the dough to rise well,', 'leave it in a warm place for about two hours.'],
  ['Heavy rain is expected tonight, and', 'drivers are asked to take care on the roads.'],
  ['She folded the letter twice, put it back into', 'its envelope and never spoke of it again.'],
  ['Plants turn sunlight into sugar, which', 'they use to grow and to store energy for the winter.'],
  ['The meeting has been moved to Thursday because', 'several people are away at the beginning of the week.'],
  ['On the last day of the holidays we walked', 'along the beach and collected shells for our friends.'],
  ['A good pair of shoes should be comfortable', 'from the first day and last for many years.'],
  ['The old dog lifted his head, looked at', 'the door for a moment and went back to sleep.'],
  ['Water expands when it freezes, so', 'pipes that are not protected can burst in cold weather.'],
  ['My grandmother used to say that', 'there is no bad weather, only the wrong clothes.'],
  ['To change a tyre, first make sure that', 'the car stands on level ground and cannot roll.'],
  ['The orchestra played so softly that', 'one could hear the rain on the roof of the hall.'],
  ['Prices have risen faster than wages, and', 'many families have to think about what they spend.'],
  ['He opened the window to let in some', 'fresh air, but the noise of the street was too loud.'],
  ['When bees find a field of flowers, they', 'return to the hive and tell the others where it is.'],
  ['Before you sign a contract, read it', 'carefully and ask about everything you do not understand.'],
  ['The children built a tower of wooden blocks', 'that was almost as tall as the table before it fell.'],
  ['After a long winter the first warm days', 'bring people out into the parks and gardens.'],
  ['The train was late again, so we', 'sat down on the platform and shared our sandwiches.'],
]

const aboutSubject: typeof unrelated = [
  ['{} is', 'mentioned in many books, and there is more to say about it than fits on a page.'],
  ['{} is known to', 'most of the people who live here, although few of them could say why.'],
  ['{} is the subject of', 'a long article that was printed in the newspaper last week.'],
  ['Little is said about {} in this chapter, but', 'the next one tells the whole story from the beginning.'],
]

/** A text and what it is about; `place`: which fact of the group, from 0. */
export interface DamageText extends TextInParts {
  readonly about: 'unrelated' | 'subject'
  readonly place?: number
}

export interface DamageRow extends Damage {
  readonly part: 'damage'
  readonly about: DamageText['about']
  /** The fact whose subject it is about, null for none. */
  readonly fact: number | null
}

/**
 * The texts of group `group` (from 0): of `count` of each kind those that fall to it, so that all groups of a T together read
 * about as many, whatever T is. `subjects` are those of the group's facts.
 */
export function damageTexts(
  count: number,
  { group, groups, subjects }: { group: number; groups: number; subjects: readonly (string | undefined)[] },
): DamageText[] {
  const own = Array.from({ length: count }, (_, t) => t).filter((t) => t % groups === group)
  const fromUnrelated = own.flatMap((t): DamageText[] => {
    const text = unrelated[t]
    return text ? [{ about: 'unrelated', prompt: text[0], rest: text[1] }] : []
  })
  const fromSubjects = own.flatMap((_, k): DamageText[] => {
    const place = k % subjects.length
    const round = Math.floor(k / subjects.length)
    const subject = subjects[place]
    if (subject === undefined || round >= aboutSubject.length) return []
    const [prompt, rest] = aboutSubject[(group + place + round) % aboutSubject.length]!
    return [{ about: 'subject', place, prompt: prompt.replace('{}', () => subject), rest }]
  })
  return [...fromUnrelated, ...fromSubjects]
}

/** Most texts of a kind. */
export const mostTexts = unrelated.length
