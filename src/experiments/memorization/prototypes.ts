/**
 * @file Which strings are memorized first: training sets in which strings are repeated, because the productions of their grammar are
 * not uniform or by hand, and how often generated strings are copies of those that were repeated so many times.
 */
import {
  type Look,
  learningCurve,
  lettersOf,
  lookSteps,
  makeNoiseProcess,
  treeUnetFor,
} from '../../diffusion/index.ts'
import { type Grammar, logProbability, sampleDistinct, sampleTrees, type Trees } from '../../grammar/index.ts'
import type { Bench } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'
import { type Cell, mostSteps } from './cells.ts'
import type { Config, Draws } from './config.ts'

/** One look at the copies of one group of training strings. */
export interface PrototypeRow {
  readonly of: 'prototype'
  readonly step: number
  /** n = 2^group … 2^(group + 1) − 1 times in the training set; of `uniform`, 0 the less and 1 the more probable half under Zipf. */
  readonly group: number
  /** Different training strings of the group. */
  readonly strings: number
  /** Times that each is in the training set, on average. */
  readonly multiplicity: number
  /** Share of the training set. */
  readonly weight: number
  /** Share of generated strings that are training strings of the group. */
  readonly generated: number
  /** The same of strings that were drawn as often, or are as probable, and were held out; for as many strings. */
  readonly chance: number
}

/** A string, how often it was drawn, and its group. */
interface Drawn {
  readonly letters: string
  readonly places: readonly number[]
  readonly group: number
}

interface Sets {
  readonly train: Trees
  readonly heldOut: Trees
  /** Strings of each group that are trained on, and that are held out. */
  readonly groups: readonly { readonly group: number; readonly seen: Drawn[]; readonly unseen: Drawn[] }[]
}

/** The trees at some places, in their order. */
const treesAt = ({ levels, count }: Trees, places: readonly number[]): Trees => ({
  count: places.length,
  levels: levels.map((symbols) => {
    const width = symbols.length / count
    const out = new Int32Array(places.length * width)
    for (const [i, place] of places.entries())
      out.set(symbols.subarray(place * width, (place + 1) * width), i * width)
    return out
  }),
})

/** Places of equal strings, in the order in which they are first drawn. */
function placesOf(letters: readonly string[]): Map<string, number[]> {
  const places = new Map<string, number[]>()
  for (const [at, one] of letters.entries()) {
    const known = places.get(one)
    if (known) known.push(at)
    else places.set(one, [at])
  }
  return places
}

/** 2 P draws: of the same grammar with Zipf productions, without, or as often repeated. */
function drawn(grammar: Grammar, zipf: Grammar, draws: Draws, P: number, key: random.Key): Trees {
  const [forDraws, forStrings] = random.split(key)
  if (draws === 'uniform') return sampleTrees(grammar, forDraws, 2 * P)
  const skewed = sampleTrees(zipf, forDraws, 2 * P)
  if (draws === 'zipf') return skewed
  const times = [...placesOf(lettersOf(skewed.levels[grammar.L]!, grammar.d)).values()]
  const strings = sampleDistinct(grammar, forStrings, times.length)
  return treesAt(
    strings,
    times.flatMap(({ length }, at) => Array.from({ length }, () => at)),
  )
}

/**
 * Half of the strings are held out: sorted by how often they were drawn (`uniform`: by their probability under Zipf), a coin tells
 * which of two neighbours is trained on. So both halves are alike in everything but training.
 */
export function halvesOf(grammar: Grammar, zipf: Grammar, draws: Draws, P: number, key: random.Key): Sets {
  const [forStrings, forCoins] = random.split(key)
  const trees = drawn(grammar, zipf, draws, P, forStrings)
  const found = [...placesOf(lettersOf(trees.levels[grammar.L]!, grammar.d))]
  const firsts = treesAt(
    trees,
    found.map(([, [first]]) => first!),
  )
  const logs = logProbability(zipf, firsts)
  const rank = (i: number): number => (draws === 'uniform' ? logs[i]! : found[i]![1].length)
  const order = found.map((_, i) => i).sort((a, b) => rank(b) - rank(a))
  const strings = order.map((i, at): Drawn => {
    const [letters, places] = found[i]!
    const half = at < order.length / 2 ? 1 : 0
    return { letters, places, group: draws === 'uniform' ? half : Math.floor(Math.log2(places.length)) }
  })
  const coins = random.sampleBits(forCoins, Math.ceil(strings.length / 2))
  const isSeen = strings.map((_, at) => at % 2 === coins[at >> 1]! % 2)
  const groups = [...new Set(strings.map(({ group }) => group))].map((group) => {
    const own = (wanted: boolean) =>
      strings.filter((string, at) => string.group === group && isSeen[at] === wanted)
    return { group, seen: own(true), unseen: own(false) }
  })
  const placesWhere = (wanted: boolean): number[] =>
    strings.flatMap(({ places }, at) => (isSeen[at] === wanted ? places : [])).sort((a, b) => a - b)
  return { train: treesAt(trees, placesWhere(true)), heldOut: treesAt(trees, placesWhere(false)), groups }
}

/** How often strings of each group are among generated ones. Groups of which nothing is held out have no chance level. */
function copiesOf({ groups, train }: Sets, generated: readonly string[], step: number): PrototypeRow[] {
  const share = (strings: readonly Drawn[]): number => {
    const known = new Set(strings.map(({ letters }) => letters))
    return generated.filter((one) => known.has(one)).length / generated.length
  }
  return groups
    .filter(({ seen, unseen }) => seen.length > 0 && unseen.length > 0)
    .map(({ group, seen, unseen }) => {
      const draws = seen.reduce((sum, { places }) => sum + places.length, 0)
      return {
        ...{ of: 'prototype', step, group, strings: seen.length, multiplicity: draws / seen.length },
        weight: draws / train.count,
        generated: share(seen),
        chance: (share(unseen) * seen.length) / unseen.length,
      }
    })
}

/** Copies beyond chance, over what a network that had memorized everything would generate. */
export const copiedShare = ({ generated, chance, weight }: PrototypeRow): number =>
  (generated - chance) / weight

/** The share at which strings of a group count as memorized. */
export const onset = 0.1

/** Train until the strings of every group are memorized, with room to spare; grammars of equal rules with uniform and Zipf productions. */
export async function prototypes(
  cell: Cell & { readonly draws: Draws },
  { config, signal, progress }: Pick<Bench<Config, void>, 'config' | 'signal' | 'progress'>,
  [grammar, zipf]: readonly [Grammar, Grammar],
  [forData, forTraining]: readonly [random.Key, random.Key],
): Promise<PrototypeRow[]> {
  const sets = halvesOf(grammar, zipf, cell.draws, cell.P, random.foldIn(forData, cell.P))
  const steps = mostSteps(cell, config)
  const rows: PrototypeRow[] = []
  await learningCurve(
    grammar,
    treeUnetFor(grammar, { width: cell.width }),
    makeNoiseProcess({ steps: config.diffusionSteps }),
    {
      ...{ train: sets.train, validation: sets.heldOut, steps, key: forTraining, signal, threads: 1 },
      ...{ batchSize: config.batchSize, learningRate: config.learningRate, samples: config.samples },
      looks: lookSteps(32, steps, config.looks),
      onProgress: progress,
      onLook: ({ step }: Look, _, generated) => {
        const found = copiesOf(sets, lettersOf(generated, grammar.d), step)
        rows.push(...found)
        return found.some((row) => copiedShare(row) < 3 * onset)
      },
    },
  )
  return rows
}
