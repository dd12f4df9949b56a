/** @file What is measured: covariances of changes over the data of a grammar, without sampling and from round trips, and of controls. */
import {
  type ControlName,
  channels,
  controlCovariances,
  controlNames,
  controls,
  epsilonCovariances,
  makeSchedule,
  roundTripCovariances,
} from '../../diffusion/index.ts'
import { epsStar, type Grammar, makeGrammar, sampleTrees } from '../../grammar/index.ts'
import type { Bench, Measured } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'
import { type Config, depthsOf, shapeOf } from './config.ts'

/** One way to measure covariances: of grammars of a depth, or of a control. */
export interface Cell {
  readonly part: 'exact' | 'epsilon' | 'masking' | 'control'
  /** Levels of rules; 0 of a control. */
  readonly L: number
  readonly control: ControlName | null
  /** Of each replica: data averaged over, and round trips of each (0 where nothing is sampled). */
  readonly data: number
  readonly trajectories: number
}

/** Sums over the data of a replica at one noise level. */
export interface Row {
  /** ε, the masked share, or t/T of a control. */
  readonly noise: number
  /** Covariances over ordered pairs by height [L + 1]; of a control a point with itself, and with all others. */
  readonly sums: readonly number[]
  /** Mean covariances by distance: r = 0, 1, 2 … for round trips at ε*, r = 0, 1, 2, 4 … for controls on a line, else none. */
  readonly distances: readonly number[]
}

export type Rows = readonly Measured<Cell, Row>[]

/** Multiples of `step` in [low, high]. */
const multiples = (step: number, low: number, high: number): number[] => {
  const first = Math.ceil(low / step - 1e-9)
  const count = Math.max(0, Math.floor(high / step + 1e-9) - first + 1)
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toFixed(6)))
}

const inside = (levels: readonly number[]): number[] =>
  [...new Set(levels)].filter((eps) => eps > 0.01 && eps < 0.99).sort((a, b) => a - b)

/** ε* as one of the noise levels. */
const levelOf = (critical: number): number => Number(critical.toFixed(6))

/** For χ(ε) and C(r): every 0.05 far from ε*, every 0.02 nearer, every `step` around it. */
export const noisesAround = (critical: number, step: number): number[] =>
  inside([
    ...multiples(0.05, critical - 0.4, critical + 0.25),
    ...multiples(0.02, critical - 0.1, critical + 0.1),
    ...multiples(step, critical - 0.03, critical + 0.03),
    levelOf(critical),
  ])

/** For round trips: fewer. */
const sampledNoises = (critical: number): number[] =>
  inside([
    ...multiples(0.05, critical - 0.25, critical + 0.2),
    ...multiples(0.02, critical - 0.04, critical + 0.04),
    levelOf(critical),
  ])

const maskedShares: readonly number[] = [0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8]

/** Noise levels of a part; times t/T of a control, the last 1. */
export function noisesOf(config: Config, part: Cell['part']): readonly number[] {
  const critical = epsStar(shapeOf(config, config.L)) ?? 0.7
  if (part === 'exact') return noisesAround(critical, config.step)
  if (part === 'epsilon') return sampledNoises(critical)
  if (part === 'masking') return maskedShares
  const { points } = config.controls
  return Array.from({ length: points }, (_, i) => Number(((i + 1) / points).toFixed(6)))
}

/** Independent groups of a control's data. */
const groupsOf = ({ controls: { data } }: Config): number => Math.min(8, data)

export const replicasOfCell = (config: Config, { part }: Cell): number =>
  part === 'control' ? groupsOf(config) : config.grammars

/** All cells, the longest first so that threads end together. */
export function cellsOf(config: Config): Cell[] {
  const { sampled, masking, controls: sizes } = config
  const deepest = Math.max(config.L, ...config.depths)
  const cells: Cell[] = [...new Set([...depthsOf(config), config.L])].map((L) => {
    // shallow trees are cheap, and their averages need more of them
    const data = config.data * Math.min(4, config.s ** (deepest - L))
    return { part: 'exact', L, control: null, data, trajectories: 0 }
  })
  cells.push({ part: 'epsilon', L: config.L, control: null, ...sampled })
  cells.push({ part: 'masking', L: config.L, control: null, ...masking })
  for (const control of controlNames) {
    const data = Math.ceil(sizes.data / groupsOf(config))
    cells.push({ part: 'control', L: 0, control, data, trajectories: sizes.trajectories })
  }
  return cells.sort((a, b) => costOf(b, config) - costOf(a, config))
}

/** Seconds on one core, roughly: only ratios matter. */
export function costOf({ part, L, data, trajectories }: Cell, config: Config): number {
  const { v, m, s, controls: sizes } = config
  const levels = noisesOf(config, part).length
  if (part === 'control') return 1e-6 * data * trajectories * sizes.d * levels
  const each = data * levels * s ** L
  if (part === 'exact') return 1e-7 * each * v * m
  return each * trajectories * (1.5e-7 + (part === 'masking' ? 6e-9 * v * m : 0))
}

export const labelOf = ({ part, L, control }: Cell): string => {
  if (control !== null) return controls[control].title
  const names = { exact: 'exact', epsilon: 'round trips', masking: 'masking', control: '' }
  return `${names[part]}, L = ${L}`
}

/** Six digits are more than any error bar leaves, and keep the files small. */
const short = (values: Iterable<number>): number[] => Array.from(values, (x) => Number(x.toPrecision(6)))

/** ᾱ at a time of the controls: β from 1e-4 to 0.02 over T = 1000 steps. */
export const alphaBarAt = (time: number): number =>
  makeSchedule('ddpm', 1000).alphaBar(Math.round(time * 1000))

function measureControl(
  name: ControlName,
  cell: Cell,
  { config, replica }: Pick<Bench<Config, void>, 'config' | 'replica'>,
) {
  // the process of a control is that of the seed, whatever the replica; its data are the replica's
  const own = random.foldIn(random.foldIn(random.key(config.seed), 0x7fff), controlNames.indexOf(name))
  const [forProcess, forGroups] = random.split(own)
  const times = noisesOf(config, 'control')
  const { data, trajectories } = cell
  const found = controlCovariances(name, times.map(alphaBarAt), {
    ...{ d: config.controls.d, data, trajectories },
    ...{ forProcess, forData: random.foldIn(forGroups, replica) },
  })
  return found.map(({ pairs, distances }, i): Row => {
    const line = controls[name].line
    return { noise: times[i]!, sums: short(pairs), distances: line ? short(distances) : [] }
  })
}

/** Keys of a grammar and its data are those of seed, number and depth, whatever is measured on them. */
const keysOf = (L: number, { config, replica }: Pick<Bench<Config, void>, 'config' | 'replica'>) =>
  random.split(random.foldIn(random.foldIn(random.key(config.seed), 1 + replica), L), 3)

/** Grammars of a replica of a cell: one, or none where there is no grammar. */
export function grammarsOf(cell: Cell, bench: Pick<Bench<Config, void>, 'config' | 'replica'>): Grammar[] {
  if (cell.control !== null) return []
  return [makeGrammar(shapeOf(bench.config, cell.L), keysOf(cell.L, bench)[0]!)]
}

/** Rows of one replica: covariances at every noise level, all on the same grammar and data. */
export function measure(cell: Cell, bench: Pick<Bench<Config, void>, 'config' | 'replica'>): Row[] {
  if (cell.control !== null) return measureControl(cell.control, cell, bench)
  const { config } = bench
  const { part, L, data, trajectories } = cell
  const [, forData, forNoise] = keysOf(L, bench)
  const grammar = grammarsOf(cell, bench)[0]!
  const leaves = sampleTrees(grammar, forData, data).levels[L]!
  const critical = levelOf(epsStar(shapeOf(config, L))!)
  return noisesOf(config, part).map((noise, i) => {
    if (part === 'exact')
      return { noise, sums: short(epsilonCovariances(grammar, leaves, noise)), distances: [] }
    const channel = channels[part === 'masking' ? 'masking' : 'epsilon']
    const key = random.foldIn(forNoise, i)
    const { heights, distances } = roundTripCovariances(grammar, channel, leaves, {
      noise,
      trajectories,
      key,
    })
    const isShown = part === 'epsilon' && noise === critical && Number.isInteger(Math.log2(grammar.d))
    return { noise, sums: short(heights), distances: isShown ? short(distances) : [] }
  })
}
