/** @file From how many strings on each context pays, how the effective context grows, and what longer contexts change. */
import { levelThreshold } from '../../grammar/index.ts'
import {
  besideTheory,
  type Estimate,
  geometricMeanOverReplicas,
  type Measured,
  overReplicas,
  powerOf,
  replicasOf,
  where,
} from '../../lab/index.ts'
import { halfWay, levelsOf, worth } from '../lastToken/halfWay.ts'
import { kindOf } from '../lastToken/networks.ts'
import type { Config } from './config.ts'
import { type Cell, type Row, shapeOf } from './measure.ts'

export type Found = Measured<Cell, Row>
type Rows = readonly Found[]

/** How far from half way a P lies that is before or after it. */
export const apart = 4

/** Strings from which context s^ℓ − 1 pays in one grammar: its own network is half way from plateau ℓ − 1 to ℓ. */
const paysFrom = (rows: Rows, level: number): number => halfWay(where(rows, { level }), level)

/** The same over grammars. */
export const paysFromAll = (rows: Rows, level: number): Estimate =>
  geometricMeanOverReplicas(rows, (own) => paysFrom(own, level))

/** Levels whose contexts pay in every grammar, from the first that does as far as all do. */
export function paying(rows: Rows): number[] {
  const levels = levelsOf(rows)
  const pays = (level: number): boolean =>
    replicasOf(rows).every((own) => Number.isFinite(paysFrom(own, level)))
  const first = levels.findIndex(pays)
  const beyond = levels.findIndex((level, i) => i >= first && !pays(level))
  return first < 0 ? [] : levels.slice(first, beyond < 0 ? undefined : beyond)
}

/** The slope of ln t, t = s^ℓ, in the logarithm of the strings from which contexts pay, beside that of the thresholds of theory. */
export function growthOf(rows: Rows, levels: readonly number[], config: Config) {
  const shape = shapeOf(config)
  const kind = kindOf(rows[0]!.network)
  const slope = (strings: (level: number) => number): number =>
    powerOf(levels.map((level) => [strings(level), config.s ** level] as const)).value
  return besideTheory(
    overReplicas,
    rows,
    (own) => slope((level) => paysFrom(own, level)),
    () => slope((level) => levelThreshold(shape, kind, level)),
  )
}

/** Strings at half way to a level with whole strings over those with no more than the context of the level. */
export const wholeOver = (rows: Rows, level: number): Estimate =>
  geometricMeanOverReplicas(rows, (own) => {
    const whole = where(own, { level: levelsOf(own).length })
    return halfWay(whole, level) / paysFrom(own, level)
  })

/**
 * By how much the best of the longer contexts is below context s^ℓ − 1, over what level ℓ + 1 is worth; NaN where there is no
 * such P.
 */
function gainAt(rows: Rows, level: number, P: number | undefined): number {
  const at = P === undefined ? [] : where(rows, { samples: P })
  const own = at.find((row) => row.level === level)
  const longer = at.filter((row) => row.level > level)
  if (!own || longer.length === 0 || at.some((row) => row.level >= level && row.isCut)) return Number.NaN
  return (own.loss - Math.min(...longer.map(({ loss }) => loss))) / worth(own, level + 1)
}

const counts = (rows: Rows): number[] => rows.map(({ samples }) => samples)

/** What longer contexts gain at the largest P that is `apart` times below the strings from which the next context pays. */
export const gainBefore = (rows: Rows, level: number): Estimate =>
  overReplicas(rows, (own) => {
    const last = paysFrom(own, level + 1) / apart
    const before = counts(own).filter((P) => P <= last)
    return gainAt(own, level, before.length > 0 ? Math.max(...before) : undefined)
  })

/** The same at the smallest P that is `apart` times above. */
export const gainAfter = (rows: Rows, level: number): Estimate =>
  overReplicas(rows, (own) => {
    const first = paysFrom(own, level + 1) * apart
    const after = counts(own).filter((P) => P >= first)
    return gainAt(own, level, after.length > 0 ? Math.min(...after) : undefined)
  })

/** The least of the loss minus that of the exact predictor with as much context on the same test strings, in nats. */
export const leastExcess = (rows: Rows): Estimate =>
  overReplicas(rows, (own) => Math.min(...own.map(({ loss, exact }) => loss - exact)))

/** The same at the largest P of one context, over what level 1 is worth; NaN where training was cut. */
export const excessAtEnd = (rows: Rows, level: number): Estimate =>
  overReplicas(where(rows, { level }), (own) => {
    const most = Math.max(...counts(own))
    const last = own.find((row) => row.samples === most)!
    return last.isCut ? Number.NaN : (last.loss - last.exact) / worth(last, 1)
  })
