/** @file What the curves say: where the class is lost, how its fall sharpens with depth, and the theory beside it. */
import type { ChannelName } from '../../diffusion/index.ts'
import { beliefs, epsStar, type Shape } from '../../grammar/index.ts'
import {
  type Curve,
  commonX,
  distinct,
  type Estimate,
  fallsTo,
  interpolate,
  jackknife,
  meeting,
  steepness,
} from '../../lab/index.ts'
import { closeRange, crossingOf, curveIn, curveOf, isOf, nodesAt, observation, type Rows } from './cells.ts'
import { type Config, columnsOf, depthPair, rising, type Setting, settingsOf } from './config.ts'

const shapeOf = ([v, m, s]: Setting, L: number): Shape => ({ v, classes: v, m, s, L })

/** ε* of a grammar; NaN where there is no transition between 0 and 1. */
const starOf = (setting: Setting): number => {
  const eps = epsStar(shapeOf(setting, 1)) ?? Number.NaN
  return eps > 1 ? Number.NaN : eps
}

/** Curves of theory in the form of measured ones; `kind`: from all leaves, or from those below a node. */
function meanField(
  setting: Setting,
  depths: readonly number[],
  { noise, kind }: { noise: readonly number[]; kind: 'marginal' | 'up' },
): Rows {
  const [v, m, s] = setting
  return depths.flatMap((depth) => {
    const found = noise.map((eps) => beliefs(shapeOf(setting, depth), eps)[kind])
    return Array.from({ length: depth + 1 }, (_, level) => ({
      ...({
        part: 'curves',
        stage: 'close',
        channel: 'epsilon',
        v,
        m,
        s,
        depth,
        tallest: depths.at(-1)!,
      } as const),
      ...({
        grammars: 1,
        data: 1,
        noise,
        rootOnly: false,
        of: 'node',
        datum: 0,
        seed: 0,
        replica: 0,
        level,
      } as const),
      survival: found.map((heights) => heights[depth - level]!),
    }))
  })
}

/** Estimates of one noise process. */
export interface ChannelFindings {
  readonly channel: ChannelName
  readonly depths: readonly number[]
  readonly rows: Rows
  /** The part of the axis that was measured closely. */
  readonly range: readonly [number, number]
  /** Where the root curves of the deepest and the shallowest trees cross. */
  readonly transition: Estimate
  /** What a leaf's own observation says of it there. */
  readonly observed: number
  /** Where the root curves of a depth and the one before cross. */
  readonly successive: readonly Estimate[]
  /** Where root and leaf curves cross, for each depth. */
  readonly rootLeaf: readonly Estimate[]
  /** The factor by which the root curve falls more steeply with each level, at the transition; the same for leaves. */
  readonly rootGrowth: Estimate
  readonly leafGrowth: Estimate
}

/** All estimates of one noise process; `half` is half the width of the secant that measures steepness. */
function estimatesOf(rows: Rows, depths: readonly number[], half: number) {
  const [first, last] = [depths[0]!, depths.at(-1)!]
  const growth = (levelOf: (depth: number) => number) => (some: Rows) => {
    const at = crossingOf(some)
    const [shallow, deep] = [first, last].map((depth) =>
      steepness(curveOf(nodesAt(some, depth, levelOf(depth))), at, half),
    )
    return (deep! / shallow!) ** (1 / (last - first))
  }
  return {
    transition: jackknife(rows, crossingOf),
    successive: depths
      .slice(1)
      .map((depth, i) =>
        jackknife(rows, (some) => crossingOf(some.filter((row) => [depth, depths[i]].includes(row.depth)))),
      ),
    rootLeaf: depths.map((depth) =>
      jackknife(rows, (some) =>
        meeting(curveOf(nodesAt(some, depth, 0)), curveOf(nodesAt(some, depth, depth))),
      ),
    ),
    rootGrowth: jackknife(
      rows,
      growth(() => 0),
    ),
    leafGrowth: jackknife(
      rows,
      growth((depth) => depth),
    ),
  }
}

const settingOf = ({ grammar: { v, m, s } }: Config): Setting => [v, m, s]

/** One noise process, and for the ε-process, which it is about, mean field at the same noise levels. */
function channelFindings(
  all: Rows,
  config: Config,
  channel: ChannelName,
): ChannelFindings & { readonly theory: ChannelFindings | null } {
  const { depths: wanted, points } = channel === 'epsilon' ? config : config.others
  const depths = rising(wanted)
  const own = all.filter((row) => row.part === 'curves' && row.channel === channel)
  const { from, to, range } = closeRange(own.filter(({ stage }) => stage === 'look'))
  const rows = own.filter(({ stage }) => stage === 'close')
  const half = (to - from) / (points - 1)
  const put = (some: Rows): ChannelFindings => {
    const found = estimatesOf(some, depths, half)
    const leaf = curveOf(rows.filter(({ of, depth }) => of === 'observation' && depth === depths.at(-1)))
    const observed = interpolate(leaf, found.transition.value)
    return { channel, depths, rows: some, range, observed, ...found }
  }
  const noise = commonX(rows.map(curveIn))
  return {
    ...put(rows),
    theory:
      channel === 'epsilon' ? put(meanField(settingOf(config), depths, { noise, kind: 'marginal' })) : null,
  }
}

/** The threshold of one family of grammars, measured without any theory. */
export interface Threshold {
  readonly setting: Setting
  readonly depths: readonly [shallow: number, deep: number]
  readonly measured: Estimate
  /** ε* of the closed form (s = 2) or of the polynomial's root. */
  readonly theory: number
}

const thresholdsOf = (all: Rows, config: Config): Threshold[] =>
  settingsOf(config).map((setting) => {
    const rows = all.filter((row) => row.part === 'threshold' && row.stage === 'close' && isOf(setting)(row))
    const depths = depthPair(setting[2], config.thresholds.leaves)
    return { setting, depths, measured: jackknife(rows, crossingOf), theory: starOf(setting) }
  })

/** The phase diagram in (s·f, ε). */
export interface Diagram {
  readonly depth: number
  readonly rules: readonly number[]
  readonly noise: readonly number[]
  /** Mean posterior probability of the true class: [noise][rules]. */
  readonly root: readonly (readonly number[])[]
  /** Where the class is no longer known better than a leaf by itself; NaN when it always (or never) is. */
  readonly boundary: readonly Estimate[]
  readonly theory: readonly number[]
  /** Mean distance of the boundary from the theory over the columns that have both. */
  readonly distance: Estimate
}

/** Null when the config asks for no columns. */
function diagramOf(all: Rows, config: Config): Diagram | null {
  const { v, s } = config.grammar
  const { depth } = config.diagram
  const rules = columnsOf(config)
  if (rules.length === 0) return null
  const nodes = all.filter((row) => row.part === 'diagram' && row.of === 'node')
  const inColumn = (rows: Rows, m: number, stage: 'look' | 'close') =>
    rows.filter((row) => row.stage === stage && row.m === m)
  const boundaryOf = (rows: Rows): number => {
    const curve = curveOf(rows)
    return meeting(curve, observation(v, curve.x))
  }
  const theory = rules.map((m) => starOf([v, m, s]))
  const columns = rules.map((m) => curveOf(inColumn(nodes, m, 'look')))
  const noise = columns[0]!.x
  const apart = (rows: Rows): number => {
    const gaps = rules
      .map((m, i) => Math.abs(boundaryOf(inColumn(rows, m, 'close')) - theory[i]!))
      .filter(Number.isFinite)
    return gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
  }
  return {
    ...{ depth, rules, noise, theory },
    root: noise.map((_, row) => columns.map(({ y }) => y[row]!)),
    boundary: rules.map((m) => jackknife(inColumn(nodes, m, 'close'), boundaryOf)),
    distance: jackknife(nodes, apart),
  }
}

/** Too many synonyms, s·f > 1: no transition, every level of depth loses more of the class at any noise. */
export interface LostPhase {
  readonly rows: Rows
  readonly depths: readonly number[]
  /** The factor by which the noise that costs half of the class changes with each level. */
  readonly shrink: Estimate
  readonly shrinkTheory: number
  /** The largest amount by which depth helps the class at any noise. */
  readonly gain: Estimate
}

/** Null where m is too large for the grammar. */
function lostOf(all: Rows, { grammar: { v, s }, lost: { m } }: Config): LostPhase | null {
  const rows = all.filter((row) => row.part === 'lost' && row.of === 'node')
  if (rows.length === 0) return null
  const depths = rising(distinct(rows, 'depth'))
  const [first, last] = [depths[0]!, depths.at(-1)!]
  const rootAt = (some: Rows, depth: number): Curve => curveOf(nodesAt(some, depth, 0))
  const halfOf = (some: Rows, depth: number) => fallsTo(rootAt(some, depth), (1 + 1 / v) / 2)
  const shrinkOf = (some: Rows) => (halfOf(some, last) / halfOf(some, first)) ** (1 / (last - first))
  const { noise } = rows[0]!
  return {
    ...{ rows, depths },
    shrink: jackknife(rows, shrinkOf),
    shrinkTheory: shrinkOf(meanField([v, m, s], depths, { noise, kind: 'up' })),
    gain: jackknife(rows, (some) => {
      const shallow = rootAt(some, first).y
      return Math.max(...rootAt(some, last).y.map((deep, i) => deep - shallow[i]!))
    }),
  }
}

/** A mixture of two modes has no hierarchy. */
export interface MixtureFindings {
  /** One replica a point. */
  readonly rows: Rows
  /** t/T at which half of the mode is lost. */
  readonly half: Estimate
  /** Survival of the mode minus that of the coordinates at the time where it is smallest. */
  readonly worst: Estimate
}

function mixtureOf(all: Rows): MixtureFindings {
  const rows = all.filter(({ part }) => part === 'mixture').map((row) => ({ ...row, replica: row.datum }))
  const of = (some: Rows, what: 'mode' | 'coordinate') => curveOf(some.filter((row) => row.of === what))
  return {
    rows,
    half: jackknife(rows, (some) => fallsTo(of(some, 'mode'), 0.5)),
    worst: jackknife(rows, (some) => {
      const coordinate = of(some, 'coordinate').y
      // without noise both are 1
      return Math.min(
        ...of(some, 'mode')
          .y.map((mode, i) => mode - coordinate[i]!)
          .slice(1),
      )
    }),
  }
}

/** Everything that the rows say. */
export const estimate = (rows: Rows, config: Config) => {
  const [epsilon, ...others] = (['epsilon', ...new Set(config.others.channels)] as const).map((channel) =>
    channelFindings(rows, config, channel),
  ) as [ReturnType<typeof channelFindings>, ...ReturnType<typeof channelFindings>[]]
  return {
    ...{ epsilon, others },
    thresholds: thresholdsOf(rows, config),
    diagram: diagramOf(rows, config),
    lost: lostOf(rows, config),
    mixture: mixtureOf(rows),
  }
}

export type Estimates = ReturnType<typeof estimate>
