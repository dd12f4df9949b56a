/**
 * @file CHAIR: which objects of captions are not there. Counts are summed over captions before they are divided. (Rohrbach et al. 2018,
 * arXiv 1809.02156)
 */
import { fail } from '../../base/index.ts'
import { type Key, random } from '../../tensor/index.ts'
import type { Mention } from './mentions.ts'

/** A caption, by what it mentions, and what there is. */
export interface JudgedCaption {
  readonly mentions: readonly Mention[]
  /** Words of the caption. */
  readonly words: number
  readonly truth: ReadonlySet<string>
}

/** A share with the 95 % interval of a bootstrap over captions. */
export interface Share {
  readonly value: number
  readonly low: number
  readonly high: number
}

export interface Chair {
  readonly captions: number
  readonly mentions: number
  /** Mentions of what is not there, of all mentions. 0 where nothing is mentioned. */
  readonly chairI: Share
  /** Captions with such a mention, of all captions. */
  readonly chairS: Share
  /** The same as `chairI` with each object once a caption: repeats of true objects do not dilute it. */
  readonly chairD: Share
  /** Objects that are there and mentioned, of all that are there. */
  readonly cover: Share
  /** Words a caption. */
  readonly length: number
  /** By the number of the mention in its caption, from 1: the share that is not there. */
  readonly byMention: readonly {
    readonly mention: number
    readonly share: number
    readonly mentions: number
  }[]
  /** What is mentioned but not there, the most frequent first. */
  readonly hallucinated: readonly { readonly object: string; readonly mentions: number }[]
}

type Measure = 'chairI' | 'chairS' | 'chairD' | 'cover'
/** Above and below the line, of one caption. */
type Ratio = readonly [number, number]

const measures: Readonly<Record<Measure, (caption: JudgedCaption) => Ratio>> = {
  chairI: ({ mentions, truth }) => [
    mentions.filter(({ object }) => !truth.has(object)).length,
    mentions.length,
  ],
  chairS: ({ mentions, truth }) => [mentions.some(({ object }) => !truth.has(object)) ? 1 : 0, 1],
  chairD({ mentions, truth }) {
    const distinct = [...new Set(mentions.map(({ object }) => object))]
    return [distinct.filter((object) => !truth.has(object)).length, distinct.length]
  },
  cover({ mentions, truth }) {
    const said = new Set(mentions.map(({ object }) => object))
    return [[...truth].filter((object) => said.has(object)).length, truth.size]
  },
}

const draws = 1000
const shareOf = (above: number, below: number): number => (below === 0 ? 0 : above / below)

/** The 95 % of values in the middle. */
function middle(values: Float64Array): { low: number; high: number } {
  values.sort()
  const at = (share: number): number => values[Math.round(share * (values.length - 1))]!
  return { low: at(0.025), high: at(0.975) }
}

/** Captions drawn with replacement, `draws` times; calls `visit` with each draw. */
function bootstrap(count: number, key: Key, visit: (draw: number, chosen: Int32Array) => void): void {
  const chosen = new Int32Array(count)
  for (let draw = 0; draw < draws; draw++) {
    const uniform = random.sampleUniform(random.foldIn(key, draw), count)
    for (let i = 0; i < count; i++) chosen[i] = Math.min(count - 1, Math.floor(uniform[i]! * count))
    visit(draw, chosen)
  }
}

const totalOf = (ratios: readonly Ratio[], chosen?: Int32Array): number => {
  let [above, below] = [0, 0]
  const add = ([a, b]: Ratio): void => {
    above += a
    below += b
  }
  if (chosen) for (const i of chosen) add(ratios[i]!)
  else for (const ratio of ratios) add(ratio)
  return shareOf(above, below)
}

/** The measures of captions. Throws `TL_BAD_ARGUMENT` where there are none. */
export function chair(captions: readonly JudgedCaption[], key: Key = random.key(0)): Chair {
  if (captions.length === 0) fail('TL_BAD_ARGUMENT', 'chair: expected at least one caption')
  const share = (measure: Measure): Share => {
    const ratios = captions.map(measures[measure])
    const values = new Float64Array(draws)
    bootstrap(captions.length, key, (draw, chosen) => {
      values[draw] = totalOf(ratios, chosen)
    })
    return { value: totalOf(ratios), ...middle(values) }
  }
  const all = captions.flatMap(({ mentions, truth }) =>
    mentions.map(({ object }, i) => ({ object, number: i + 1, isWrong: !truth.has(object) })),
  )
  const last = all.reduce((most, { number }) => Math.max(most, number), 0)
  const wrong = new Map<string, number>()
  for (const { object, isWrong } of all) if (isWrong) wrong.set(object, (wrong.get(object) ?? 0) + 1)
  return {
    ...{ captions: captions.length, mentions: all.length },
    ...{ chairI: share('chairI'), chairS: share('chairS'), chairD: share('chairD'), cover: share('cover') },
    length: captions.reduce((sum, { words }) => sum + words, 0) / captions.length,
    byMention: Array.from({ length: last }, (_, i) => {
      const own = all.filter(({ number }) => number === i + 1)
      const share = own.filter(({ isWrong }) => isWrong).length / own.length
      return { mention: i + 1, share, mentions: own.length }
    }),
    hallucinated: [...wrong]
      .map(([object, mentions]) => ({ object, mentions }))
      .sort((a, b) => b.mentions - a.mentions || (a.object < b.object ? -1 : 1)),
  }
}

/** What another way to describe the same pictures changes: how much less there is of a mistake, and how much more is covered. */
export interface ChairComparison {
  /** 1 − new / old, of each measure; positive where there are fewer mistakes. */
  readonly cut: Readonly<Record<Exclude<Measure, 'cover'>, Share>>
  /** New − old. */
  readonly cover: Share
}

/** Compare captions of the same pictures, in the same order: the bootstrap draws pairs. Throws `TL_BAD_ARGUMENT`. */
export function compareChair(
  old: readonly JudgedCaption[],
  now: readonly JudgedCaption[],
  key: Key = random.key(0),
): ChairComparison {
  if (old.length !== now.length || old.length === 0)
    fail('TL_BAD_ARGUMENT', `compareChair: expected as many captions, got ${old.length} and ${now.length}`)
  const of = (measure: Measure, change: (before: number, after: number) => number): Share => {
    const [before, after] = [old.map(measures[measure]), now.map(measures[measure])]
    const values = new Float64Array(draws)
    bootstrap(old.length, key, (draw, chosen) => {
      values[draw] = change(totalOf(before, chosen), totalOf(after, chosen))
    })
    return { value: change(totalOf(before), totalOf(after)), ...middle(values) }
  }
  // nothing to cut is cut by nothing
  const less = (before: number, after: number): number => (before === 0 ? 0 : 1 - after / before)
  return {
    cut: { chairI: of('chairI', less), chairS: of('chairS', less), chairD: of('chairD', less) },
    cover: of('cover', (before, after) => after - before),
  }
}
