/**
 * @file What is measured: survival curves of grammars and of a mixture. Every part first looks coarsely where the class falls
 * and then measures closely there, so that no theory says where to look.
 */
import {
  type ChannelName,
  findChannel,
  makeMixture,
  makeSchedule,
  mixtureSurvival,
  sampleMixture,
  survivalCurve,
} from '../../diffusion/index.ts'
import { type Grammar, lowestLevels, makeGrammar } from '../../grammar/index.ts'
import {
  type Bench,
  type Curve,
  evenly,
  fallingPart,
  type Measured,
  meanCurve,
  meeting,
  merged,
} from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'
import { type Config, columnsOf, depthPair, rising, settingsOf } from './config.ts'

/** Grammars of one depth under one noise process; in the mixture, points of its modes. */
export interface Cell {
  readonly part: 'curves' | 'threshold' | 'diagram' | 'lost' | 'mixture'
  readonly stage: 'look' | 'close'
  readonly channel: ChannelName
  readonly v: number
  readonly m: number
  readonly s: number
  /** Levels of rules: the lowest of the `tallest` ones that a replica stands for. */
  readonly depth: number
  readonly tallest: number
  /** Replicas: the same number gives the same rules at every depth. */
  readonly grammars: number
  /** Trees, and draws of the noise, averaged over in each. */
  readonly data: number
  /** 1 − ᾱ (ε in the ε-process), each in [0, 1]; t/T in the mixture. */
  readonly noise: readonly number[]
  /** Only the class: one upward pass instead of two. */
  readonly rootOnly: boolean
}

/** A curve: mean posterior probability of the true symbol at each noise level of the cell. */
export interface Row {
  /** Nodes of a level, a leaf given its own observation alone, or the two things that a mixture knows. */
  readonly of: 'node' | 'observation' | 'mode' | 'coordinate'
  /** Of nodes: 0 is the root. */
  readonly level: number
  /** Of a mixture: which point. */
  readonly datum: number
  readonly survival: readonly number[]
}

export type Rows = readonly Measured<Cell, Row>[]

export const curveIn = ({ noise, survival }: Pick<Cell & Row, 'noise' | 'survival'>): Curve => ({
  x: noise,
  y: survival,
})

/** The mean of the curves of some rows. */
export const curveOf = (rows: Rows): Curve => meanCurve(rows.map(curveIn))

/** The part of the axis in which the class falls, and the part with its surroundings that is measured closely. */
export function closeRange(looks: Rows): { from: number; to: number; range: [number, number] } {
  const [from, to] = fallingPart(curveOf(looks.filter(({ of }) => of === 'node')), { high: 0.9, low: 0.1 })
  const side = (to - from) / 2
  return { from, to, range: [Math.max(0, from - side), Math.min(1, to + side)] }
}

const coarse = evenly(0, 1, 21)

/** Trees of a shallow grammar for each of the deepest one: they are cheaper, but not so much that fewer would not do. */
const moreTrees = (s: number, depth: number, tallest: number): number => Math.min(8, s ** (tallest - depth))

/** A cell from what makes it different. */
const cellOf = (own: Pick<Cell, 'part' | 'v' | 'm' | 's' | 'tallest' | 'noise'> & Partial<Cell>): Cell => ({
  ...{ stage: 'close', channel: 'epsilon', depth: own.tallest, grammars: 1, data: 1, rootOnly: true },
  ...own,
})

/** Survival of every level against noise, for each depth of one noise process. */
function curveCells(config: Config, channel: ChannelName, seen: Rows): Cell[] {
  const { depths: wanted, grammars, data, points } = channel === 'epsilon' ? config : config.others
  const depths = rising(wanted)
  const part = { part: 'curves', channel, ...config.grammar, tallest: depths.at(-1)! } as const
  const look = { ...part, stage: 'look', grammars: Math.min(2, grammars), data: Math.min(2, data) } as const
  const cells = [cellOf({ ...look, noise: coarse })]
  const looks = seen.filter((row) => row.part === 'curves' && row.stage === 'look' && row.channel === channel)
  if (looks.length === 0) return cells
  const { from, to, range } = closeRange(looks)
  const noise = merged(
    evenly(0, 1, 11),
    evenly(from, to, points),
    evenly(range[0], from, 3),
    evenly(to, range[1], 3),
  )
  for (const depth of depths.toReversed()) {
    const trees = data * moreTrees(part.s, depth, part.tallest)
    cells.push(cellOf({ ...part, depth, grammars, data: trees, noise, rootOnly: false }))
  }
  return cells
}

/** Root curves of a deep and a shallow tree around the place where they cross, for each family of grammars. */
function thresholdCells(config: Config, seen: Rows): Cell[] {
  const { leaves, grammars, data } = config.thresholds
  return settingsOf(config).flatMap(([v, m, s]) => {
    const [shallow, tallest] = depthPair(s, leaves)
    const at = (stage: Cell['stage'], count: number, trees: number, noise: number[]): Cell[] =>
      [tallest, shallow].map((depth) =>
        cellOf({
          ...{ part: 'threshold', stage, v, m, s, depth, tallest, grammars: count, noise },
          data: trees * moreTrees(s, depth, tallest),
        }),
      )
    const cells = at('look', Math.min(4, grammars), Math.min(2, data), coarse)
    const about = crossingOf(
      seen.filter((row) => row.part === 'threshold' && row.stage === 'look' && isOf([v, m, s])(row)),
    )
    if (Number.isNaN(about)) return cells
    const reach = 0.08
    const noise = evenly(Math.max(0, about - reach), Math.min(1, about + reach), 13)
    return [...cells, ...at('close', grammars, data, noise)]
  })
}

export const isOf =
  ([v, m, s]: readonly [number, number, number]) =>
  (row: Pick<Cell, 'v' | 'm' | 's'>): boolean =>
    row.v === v && row.m === m && row.s === s

/** Rows of one level at one depth. */
export const nodesAt = (rows: Rows, depth: number, level: number): Rows =>
  rows.filter((row) => row.of === 'node' && row.depth === depth && row.level === level)

/**
 * Where the root curves of the deepest and the shallowest trees cross. Below it a deeper tree knows its class better, above it
 * worse; in mean field all depths cross at exactly (ε*, p*), for p* is the map's fixed point.
 */
export function crossingOf(rows: Rows): number {
  const depths = rows.map(({ depth }) => depth)
  return meeting(
    curveOf(nodesAt(rows, Math.max(...depths), 0)),
    curveOf(nodesAt(rows, Math.min(...depths), 0)),
  )
}

/** What a leaf's own observation says of it in the ε-process. */
export const observation = (v: number, x: readonly number[]): Curve => ({
  x,
  y: x.map((eps) => 1 - eps + eps / v),
})

/** A grid of noise, then more levels where a column's class is no longer known better than a leaf by itself. */
function diagramCells(config: Config, seen: Rows): Cell[] {
  const { depth, rows, grammars, data } = config.diagram
  const { v, s } = config.grammar
  // the middles of the rows: neither 0, where all is known, nor 1, where nothing is
  const grid = evenly(0.5 / rows, 1 - 0.5 / rows, rows)
  return columnsOf(config).flatMap((m) => {
    const column = { part: 'diagram', v, m, s, tallest: depth, grammars, data } as const
    const cells = [cellOf({ ...column, stage: 'look', noise: grid })]
    const found = seen.filter((row) => row.part === 'diagram' && row.stage === 'look' && isOf([v, m, s])(row))
    const at =
      found.length === 0 ? Number.NaN : meeting(curveOf(nodesAt(found, depth, 0)), observation(v, grid))
    if (Number.isNaN(at)) return cells
    const noise = evenly(Math.max(0, at - 1 / rows), Math.min(1, at + 1 / rows), 7)
    return [...cells, cellOf({ ...column, noise })]
  })
}

/** Too many synonyms, s·f > 1: noise levels closer and closer towards 0. */
function lostCells({ grammar: { v, s }, lost: { m, grammars, data }, depths }: Config): Cell[] {
  if (m * v > v ** s) return []
  const tallest = Math.max(...depths)
  const noise = Array.from({ length: 25 }, (_, i) => Math.round(1e6 * 0.9 * 0.86 ** (24 - i)) / 1e6)
  return rising(depths)
    .toReversed()
    .map((depth) => {
      const trees = data * moreTrees(s, depth, tallest)
      return cellOf({ part: 'lost', v, m, s, depth, tallest, grammars, data: trees, noise })
    })
}

const steps = 1000

const mixtureCell = ({ mixture: { d, data, points } }: Config): Cell =>
  cellOf({
    ...{ part: 'mixture', channel: 'gaussian', v: d, m: 2, s: 1, tallest: 1, data },
    noise: Array.from({ length: points }, (_, i) => Math.round((i * steps) / (points - 1)) / steps),
  })

/** All cells; those of the second look once the first has been there. */
export const cellsOf = (config: Config, seen: Rows): Cell[] => [
  ...curveCells(config, 'epsilon', seen),
  ...[...new Set(config.others.channels)].flatMap((channel) => curveCells(config, channel, seen)),
  ...thresholdCells(config, seen),
  ...diagramCells(config, seen),
  ...lostCells(config),
  mixtureCell(config),
]

/** ᾱ at a time t/T of the schedule of DDPM. */
export const alphaBarAt = (time: number): number =>
  makeSchedule('ddpm', steps).alphaBar(Math.round(time * steps))

/** Points of a two-mode mixture and their round trips: one row a point for its mode, and one for its coordinates. */
function measureMixture({ noise, data }: Cell, { seed, mixture: { d, separation } }: Config): Row[] {
  // one mixture a run, whose key is that of the seed
  const [forCentres, forPoints, forTrips] = random.split(random.foldIn(random.key(seed), 0xd1ff), 3)
  const mixture = makeMixture({ d, modes: 2, separation, variance: 1 }, forCentres)
  const { modes, points } = sampleMixture(mixture, forPoints, data)
  return Array.from({ length: data }, (_, n) => n).flatMap((datum) => {
    const x0 = points.subarray(datum * d, (datum + 1) * d)
    const found = noise.map((time) => {
      const key = random.foldIn(random.foldIn(forTrips, datum), Math.round(time * steps))
      return mixtureSurvival(mixture, x0, modes[datum]!, { alphaBar: alphaBarAt(time), key })
    })
    return (['mode', 'coordinate'] as const).map((of) => {
      return { of, level: 0, datum, survival: found.map((one) => one[of]) }
    })
  })
}

/** Grammars of a replica of a cell: one, or none where there is no grammar. */
export function grammarsOf(cell: Cell, key: random.Key): Grammar[] {
  if (cell.part === 'mixture') return []
  const { v, m, s, depth, tallest } = cell
  return [lowestLevels(makeGrammar({ v, classes: v, m, s, L: tallest }, random.split(key, 3)[0]!), depth)]
}

/** The curves of one replica of a cell. */
export function measure(cell: Cell, { key, config }: Pick<Bench<Config, unknown>, 'key' | 'config'>): Row[] {
  if (cell.part === 'mixture') return measureMixture(cell, config)
  const { depth, channel, noise, data, rootOnly } = cell
  const [, forTrees, forNoise] = random.split(key, 3)
  const found = survivalCurve(grammarsOf(cell, key)[0]!, findChannel(channel), {
    ...{ noise, data, rootOnly },
    forTrees: random.foldIn(forTrees, depth),
    forNoise: random.foldIn(forNoise, depth),
  })
  const levels = found[0]!.levels.map((_, level): Row => {
    return { of: 'node', level, datum: 0, survival: found.map((at) => at.levels[level]!) }
  })
  return [...levels, { of: 'observation', level: depth, datum: 0, survival: found.map(({ prior }) => prior) }]
}

/** Seconds on one core, about. */
export function costOf({ part, noise, data, s, depth, v, m, rootOnly, channel }: Cell): number {
  if (part === 'mixture') return 1e-7 * noise.length * data * v
  // equal messages of the ε-process are found once; the downward pass is as long as three upward ones
  const rules = m * (rootOnly ? 1 : 4) * (channel === 'epsilon' ? 0.5 : 1)
  return 1e-9 * noise.length * data * s ** depth * v * (rules + 8)
}

/** Curves that fall as the measured ones do, only to know how many cells will follow from them. */
export const suppose = ({ noise, depth }: Cell): Row[] => {
  const survival = noise.map((at) => 1 / (1 + Math.exp(8 * depth * (at - 0.5))))
  return [{ of: 'node', level: 0, datum: 0, survival }]
}
