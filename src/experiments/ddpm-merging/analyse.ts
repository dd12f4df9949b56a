/** @file From losses in groups of images to barriers, expansions and gains over uniform scaling. */
import { type Drawn, type Estimate, groupBy, mean, meanOf } from '../../lab/index.ts'
import { type Losses, type TaskName, tasks } from './losses.ts'
import type { Candidate, Place } from './recipes.ts'

/** A model that was made: what findings see of the cell that measured it. */
export interface ModelCell extends Place {
  readonly part: 'loss'
  readonly family: Candidate['family']
  readonly name: string
}

/** Its mean loss in a group of images (over all times), or in a tenth of the times (over all images). */
export interface LossRow {
  readonly task: TaskName
  readonly group?: number
  readonly tenth?: number
  readonly loss: number
}

/** A model and its losses on both test sets. */
export interface Measured extends Place {
  readonly family: Candidate['family']
  readonly name: string
  readonly loss: Readonly<Record<TaskName, Losses>>
}

/** Losses of each model. Groups are the independent draws: of several seeds one after another, each with images of its own. */
export function modelsOf(rows: readonly (ModelCell & LossRow & Drawn)[]): Measured[] {
  return groupBy(rows, 'name').map(({ rows: own }) => {
    const { part, task, group, tenth, loss: _, seed, replica, ...cell } = own[0]!
    const lossesOn = (on: TaskName): Losses => {
      const there = own.filter((row) => row.task === on)
      const ofTenths = groupBy(
        there.filter((row) => row.tenth !== undefined),
        'tenth',
      )
      return {
        groups: there.flatMap((row) => (row.group === undefined ? [] : row.loss)),
        bins: ofTenths.map((one) => mean(one.rows.map(({ loss }) => loss))),
      }
    }
    return { ...cell, loss: { mnist: lossesOn('mnist'), fashion: lossesOn('fashion') } }
  })
}

/** Mean loss on one task, with its standard error over groups of images. */
export const lossOf = ({ loss }: Measured, task: TaskName): Estimate => meanOf(loss[task].groups)

/** Mean of both losses. */
export const bothOf = (one: Measured): number => mean(tasks.map((task) => lossOf(one, task).value))

/** The model with the least mean of both losses. */
export const bestCompromise = (list: readonly Measured[]): Measured | undefined =>
  list.toSorted((a, b) => bothOf(a) - bothOf(b))[0]

/** A point of a LiNeS grid that is on the line. */
export const isUniform = ({ beta }: Measured): boolean => beta === 0

/** LiNeS from the first block to the last that is no uniform scaling. */
export const layerWise = (list: readonly Measured[]): Measured[] =>
  list.filter((one) => one.family === 'depth' && !isUniform(one))

/** The line, in order of λ. */
export const lineOf = (list: readonly Measured[]): Measured[] =>
  list.filter(({ family }) => family === 'line').toSorted((a, b) => a.lambda! - b.lambda!)

export const onLine = (list: readonly Measured[], lambda: number): Measured =>
  list.find((one) => one.family === 'line' && Math.abs(one.lambda! - lambda) < 1e-9)!

/** λ of a task's own model. */
export const ownEnd = (task: TaskName): 1 | -1 => (task === 'mnist' ? 1 : -1)

/** Estimate of a function of the losses of several models in the same group of images. */
const paired = (f: (group: number) => number, { groups }: Losses): Estimate =>
  meanOf(groups.map((_, g) => f(g)))

/** How far the loss at the mean lies above the mean of the losses at both ends. */
export function barrierOf(list: readonly Measured[], task: TaskName): Estimate {
  const [a, middle, b] = [1, 0, -1].map((lambda) => onLine(list, lambda).loss[task]) as [
    Losses,
    Losses,
    Losses,
  ]
  return paired((g) => middle.groups[g]! - (a.groups[g]! + b.groups[g]!) / 2, middle)
}

/** L, L′ and L″ towards the mean at one end of the line, by differences of neighbours. */
function expansionAt(list: readonly Measured[], task: TaskName, end: 1 | -1) {
  const line = lineOf(list)
  const i = line.findIndex(({ lambda }) => lambda === end)
  const h = Math.abs(line[i + 1]!.lambda! - line[i]!.lambda!)
  const { loss } = line[i]!
  const [outer, inner] = [line[i + end]!.loss[task], line[i - end]!.loss[task]]
  return (g: number) => {
    const [before, here, after] = [outer.groups[g]!, loss[task].groups[g]!, inner.groups[g]!]
    return { value: here, slope: (after - before) / (2 * h), curvature: (after - 2 * here + before) / h ** 2 }
  }
}

/** The second-order expansion of a task's loss around its own model, at distance |Δλ| = `distance` towards the mean. */
export function quadraticAt(list: readonly Measured[], task: TaskName, distance: number): Estimate {
  const at = expansionAt(list, task, ownEnd(task))
  return paired((g) => {
    const { value, slope, curvature } = at(g)
    return value + slope * distance + (curvature * distance ** 2) / 2
  }, onLine(list, 0).loss[task])
}

/** The loss at the mean beside what `quadraticAt` makes of it; the error is that of their difference in the same images. */
export function besideQuadratic(
  list: readonly Measured[],
  task: TaskName,
): { readonly measured: Estimate; readonly predicted: number } {
  const at = expansionAt(list, task, ownEnd(task))
  const middle = onLine(list, 0)
  const { error } = paired((g) => {
    const { value, slope, curvature } = at(g)
    return middle.loss[task].groups[g]! - (value + slope + curvature / 2)
  }, middle.loss[task])
  return { measured: { ...lossOf(middle, task), error }, predicted: quadraticAt(list, task, 1).value }
}

/** The cubic with the values and slopes of both ends, in the middle. */
export function cubicAtMean(list: readonly Measured[], task: TaskName): Estimate {
  const [a, b] = [expansionAt(list, task, 1), expansionAt(list, task, -1)]
  return paired(
    (g) => (a(g).value + b(g).value) / 2 + (a(g).slope + b(g).slope) / 4,
    onLine(list, 0).loss[task],
  )
}

/** Places of the line between its measured ones, for a comparison at exactly equal loss. */
const between = 8

type Point = Record<TaskName, readonly number[]>

/** The line in groups, refined by the parabola through the three nearest places. */
function refined(list: readonly Measured[]): Point[] {
  const line = lineOf(list)
  const x = line.map(({ lambda }) => lambda!)
  return line.slice(0, -1).flatMap((_, i) =>
    Array.from({ length: between }, (_, k): Point => {
      const where = x[i]! + ((x[i + 1]! - x[i]!) * k) / between
      const first = Math.min(i, line.length - 3)
      const near = [first, first + 1, first + 2]
      const weights = near.map((j) =>
        near.reduce((w, m) => (m === j ? w : (w * (where - x[m]!)) / (x[j]! - x[m]!)), 1),
      )
      const of = (task: TaskName): number[] =>
        line[0]!.loss[task].groups.map((_, g) =>
          near.reduce((sum, j, n) => sum + weights[n]! * line[j]!.loss[task].groups[g]!, 0),
        )
      return { mnist: of('mnist'), fashion: of('fashion') }
    }),
  )
}

/** A model against uniform scaling. */
interface Gain {
  readonly chosen: Measured
  /** Loss on `improved` of the best place of the line that is as good on the other task, minus that of `chosen`. */
  readonly gain: Estimate
  /** The same of the other task, which was held at most equal where it was chosen: near 0. */
  readonly held: Estimate
}

/**
 * The model of `list` that gains most on `improved` over the line at an equal loss on the other task. It and the place on the
 * line are chosen on every other group of images and judged on the rest, so that choosing among many gives no advantage.
 * Undefined when no model of the list has a place of the line as good as it to be compared with.
 */
export function bestGain(
  all: readonly Measured[],
  list: readonly Measured[],
  improved: TaskName,
): Gain | undefined {
  const other = improved === 'mnist' ? 'fashion' : 'mnist'
  const half = (values: readonly number[], parity: 0 | 1): number[] =>
    values.filter((_, g) => g % 2 === parity)
  const line = refined(all)
  const lineMeans = line.map((point) => ({
    point,
    improved: mean(half(point[improved], 0)),
    other: mean(half(point[other], 0)),
  }))
  let best: { chosen: Measured; point: Point; gain: number } | undefined
  for (const chosen of list) {
    const limit = mean(half(chosen.loss[other].groups, 0))
    const allowed = lineMeans.filter((one) => one.other <= limit)
    if (allowed.length === 0) continue
    const rival = allowed.reduce((a, b) => (b.improved < a.improved ? b : a))
    const gain = rival.improved - mean(half(chosen.loss[improved].groups, 0))
    if (!best || gain > best.gain) best = { chosen, point: rival.point, gain }
  }
  if (!best) return undefined
  const { chosen, point } = best
  const difference = (task: TaskName): Estimate =>
    meanOf(
      half(
        point[task].map((value, g) => value - chosen.loss[task].groups[g]!),
        1,
      ),
    )
  return { chosen, gain: difference(improved), held: difference(other) }
}

/** Kinds of schedules along depth: the factor's size grows, falls, or changes sign on the way. */
type Kind = 'growing' | 'falling' | 'crossing' | 'uniform'

export function kindOf({ alpha, beta }: Measured): Kind {
  const [first, last] = [alpha!, alpha! + beta!]
  if (Math.abs(first - last) < 1e-9) return 'uniform'
  if (first * last < -1e-9) return 'crossing'
  return Math.abs(last) > Math.abs(first) ? 'growing' : 'falling'
}

export const ofKind = (list: readonly Measured[], family: 'depth' | 'inward', kind: Kind): Measured[] =>
  list.filter((one) => one.family === family && kindOf(one) === kind)

/** In which tenth of the times the mean loses most over a task's own model, as a share of the whole loss. */
export function worstTenth(list: readonly Measured[], task: TaskName): { tenth: number; share: number } {
  const [own, middle] = [onLine(list, ownEnd(task)), onLine(list, 0)]
  const excess = middle.loss[task].bins.map((value, b) => value - own.loss[task].bins[b]!)
  const total = excess.reduce((sum, value) => sum + value, 0)
  const tenth = excess.indexOf(Math.max(...excess))
  return { tenth, share: excess[tenth]! / total }
}
