/** @file One derivation of a grammar: its tree, the rules it used, and what is still known of it through noise. */
import { type ChannelName, channels, checkNoise, findChannel } from '../diffusion/index.ts'
import {
  type Grammar,
  infer,
  logProbability,
  parentsAt,
  ruleChoices,
  sampleTrees,
  type Trees,
} from '../grammar/index.ts'
import { random } from '../tensor/index.ts'
import { type Figure, type TreeRules, treeFigure } from './figures/index.ts'

/** The noise processes there are. */
export const channelNames: readonly ChannelName[] = Object.keys(channels) as ChannelName[]

/** A noise process and its level, 0 (nothing happens) … 1 (nothing is left). */
export interface Noise {
  readonly channel: ChannelName
  readonly noise: number
}

/** A derivation as plain data. Levels begin with the root's. */
export interface Derivation {
  readonly levels: readonly (readonly number[])[]
  /** The rule of each node that is expanded, 0 … m − 1. */
  readonly rules: readonly (readonly number[])[]
  /** ln of the tree's probability under the grammar. */
  readonly logProbability: number
  readonly posterior?: Posterior
}

/** What the noisy leaves say of the tree. */
export interface Posterior extends Noise {
  /** Leaves as they were seen, null where masked; absent where the noise has no tokens (ε-process, Gaussian). */
  readonly seen?: readonly (number | null)[]
  /** Posterior probability of the true symbol of each node. */
  readonly truth: readonly (readonly number[])[]
  /** The most probable tree. */
  readonly map: readonly (readonly number[])[]
  readonly logEvidence: number
}

/** Level by level the lists of a batch of one. */
const lists = ({ levels }: Trees): number[][] => levels.map((symbols) => [...symbols])

/** Grow one tree and, when noise is given, look at it through that noise. */
export function growDerivation(grammar: Grammar, key: random.Key, noise?: Noise): Derivation {
  const [forTree, forNoise] = random.split(key)
  const trees = sampleTrees(grammar, forTree, 1)
  const choices = ruleChoices(grammar, trees)
  const widths = trees.levels.slice(0, -1).map((symbols) => symbols.length)
  const starts = widths.map((_, level) => widths.slice(0, level).reduce((a, b) => a + b, 0))
  return {
    levels: lists(trees),
    rules: widths.map((width, level) => [...choices.subarray(starts[level]!, starts[level]! + width)]),
    logProbability: logProbability(grammar, trees)[0]!,
    ...(noise && { posterior: lookThrough(grammar, trees, forNoise, noise) }),
  }
}

function lookThrough(grammar: Grammar, trees: Trees, key: random.Key, { channel, noise }: Noise): Posterior {
  const { v } = grammar
  checkNoise(noise)
  const { corrupt, likelihood } = findChannel(channel)
  const noisy = corrupt(trees.levels.at(-1)!, v, noise, key)
  const answer = infer(grammar, likelihood(noisy, v, noise), 1, { marginals: true, map: true })
  const truth = trees.levels.map((symbols, level) => {
    const width = level === 0 ? grammar.classes : v
    return Array.from(symbols, (symbol, node) => answer.marginals![level]![node * width + symbol]!)
  })
  const tokens = noisy instanceof Int32Array && channel !== 'epsilon' ? noisy : undefined
  return {
    channel,
    noise,
    ...(tokens && { seen: Array.from(tokens, (token) => (token < 0 ? null : token)) }),
    truth,
    map: lists(answer.map!.trees),
    logEvidence: answer.logEvidence[0]!,
  }
}

/** `class`, `level 1`, …, `leaves`. */
const levelNames = (L: number): string[] =>
  Array.from({ length: L + 1 }, (_, level) => {
    if (level === 0) return 'class'
    return level === L ? 'leaves' : `level ${level}`
  })

/** Of each level: the symbols that occur in the tree, in order, with all their rules and which of them it uses. */
function rulesInUse(grammar: Grammar, { levels, rules }: Derivation): TreeRules[][] {
  const { m, s, L } = grammar
  return Array.from({ length: L }, (_, level) => {
    const used = new Set(levels[level]!.map((symbol, node) => symbol * m + rules[level]![node]!))
    const present = new Set(levels[level]!)
    const table = grammar.rules[level]!
    return Array.from({ length: parentsAt(grammar, level) }, (_, symbol) => symbol)
      .filter((symbol) => present.has(symbol))
      .map((symbol) => ({
        symbol,
        tuples: Array.from({ length: m }, (_, k) => ({
          symbols: [...table.subarray((symbol * m + k) * s, (symbol * m + k + 1) * s)],
          used: used.has(symbol * m + k),
        })),
      }))
  })
}

/** The derivation as a figure. Throws TL_BAD_ARGUMENT for more than 256 leaves. */
export function derivationFigure(grammar: Grammar, derivation: Derivation): Figure {
  const { levels, posterior } = derivation
  const { v, classes, m, s, L } = grammar
  const sizes = `v = ${v}, ${classes} classes, m = ${m}, s = ${s}, L = ${L}`
  const noise = posterior && `${findChannel(posterior.channel).title} at noise ${posterior.noise.toString()}`
  return treeFigure({
    name: 'tree',
    title: noise ? `What is known of a tree: ${noise}` : 'A tree of the grammar',
    caption: noise
      ? `Exact posterior probability of the true symbol of every node given the noisy leaves (${sizes}): shade and percentage; at the left the mean of each level.`
      : `Every symbol is replaced by one of its ${m === 1 ? 'only rule' : `${m} rules`}, from the class to the leaves (${sizes}). Below, the rules of the symbols that occur; those in use are marked.`,
    levels,
    levelNames: levelNames(L),
    posterior: posterior?.truth,
    seen: posterior?.seen,
    rules: rulesInUse(grammar, derivation),
  })
}
