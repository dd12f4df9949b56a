/** @file From rows to thresholds, their law, and how well curves collapse. */
import {
  collapse,
  type Estimate,
  fallsBelow,
  groupBy,
  jackknife,
  jackknifeByGroup,
  type Measured,
  mean,
  powerOf,
  where,
} from '../../lab/index.ts'
import { type Cell, chanceOf, type Sizes, scaleOf, stringsOf } from './cells.ts'
import type { Row } from './measure.ts'

export type Found = Measured<Cell, Row>
type Rows = readonly Found[]

/** Shares of the chance error that define P*: of deep networks, and of one hidden layer. (Cagnetta et al. 2024) */
export const learned = { deep: 0.1, shallow: 0.7 } as const

/** Heights at which the spread of curves is measured, as shares of the chance error and of no invariance. */
const heights = [0.2, 0.3, 0.4, 0.5, 0.6]

/** Rows with equal values here have the same grammars, replica by replica; others have grammars of their own. */
const grammarColumns = ['rules', 'v', 'm', 's', 'L'] as const

/** Rows of each kind of grammar. */
export const settingsOf = (rows: Rows): { readonly key: Sizes; readonly rows: Found[] }[] =>
  groupBy(rows, ...grammarColumns)

export const sameGrammar = ({ v, m, s, L }: Sizes) => ({ v, m, s, L })

/** A statistic of rows of several kinds of grammars; its error is over the grammars of each kind. */
export const overGrammars = (rows: Rows, statistic: (rows: Rows) => number): Estimate =>
  jackknifeByGroup(rows, grammarColumns, statistic)

/** A layer that answers the same to everything is invariant. */
export const heightOf = ({ value }: Found): number => value ?? 0

/** Mean over grammars at each P. */
export const curveOf = (rows: Rows): { x: number; y: number }[] =>
  groupBy(rows, 'P')
    .map(({ key, rows: at }) => ({ x: key.P, y: mean(at.map(heightOf)) }))
    .sort((a, b) => a.x - b.x)

/** A height of curves that may depend on the grammar. */
type Level = (sizes: Sizes) => number

/** So large a share of the error of guessing. */
export const ofChance =
  (share: number): Level =>
  (sizes) =>
    share * chanceOf(sizes)

/** P at which the mean curve of one kind of grammar falls below a level; NaN when it does not. */
const thresholdOf = (rows: Rows, level: Level): number =>
  rows.length === 0 ? Number.NaN : fallsBelow(curveOf(rows), level(rows[0]!))

/** exp of an estimate of a logarithm. */
function unlogged({ value, error, n }: Estimate): Estimate {
  const factor = Math.exp(value)
  return { value: factor, error: error === null ? null : factor * error, ...(n !== undefined && { n }) }
}

export const threshold = (rows: Rows, level: Level): Estimate =>
  unlogged(jackknife(rows, (own) => Math.log(thresholdOf(own, level))))

/** A measured power law: threshold ≈ prefactor · scale^slope. */
export interface Law {
  readonly slope: Estimate
  /** Geometric mean of threshold / scale: the prefactor when the slope is taken as 1. */
  readonly prefactor: number
  /** Kinds of grammars in the fit. */
  readonly count: number
}

/** Kinds of grammars whose curve does not fall below the level are left out; null when fewer than two are left. */
function lawOf(rows: Rows, level: Level, scale: (sizes: Sizes) => number = scaleOf): Law | null {
  const points = (of: Rows) =>
    settingsOf(of)
      .map(({ key, rows: own }) => [scale(key), thresholdOf(own, level)] as const)
      .filter(([, P]) => !Number.isNaN(P))
  const all = points(rows)
  const slope = overGrammars(rows, (own) => powerOf(points(own)).value)
  if (Number.isNaN(slope.value)) return null
  const prefactor = Math.exp(mean(all.map(([x, P]) => Math.log(P) - Math.log(x))))
  return { slope, prefactor, count: all.length }
}

/** How far curves lie apart in P, as a factor, before and after P is divided by n_c·m^L. */
export interface Collapse {
  readonly before: Estimate
  readonly after: Estimate
}

function collapseOf(rows: Rows, unit: Level): Collapse {
  const spread = (of: 'before' | 'after') =>
    overGrammars(
      rows,
      (some) =>
        collapse(
          settingsOf(some).map(({ key, rows: own }) => ({
            points: curveOf(own),
            scale: scaleOf(key),
            unit: unit(key),
          })),
          heights,
        )[of],
    )
  return { before: spread('before'), after: spread('after') }
}

/** Mean and least of several shares of chance. */
export interface Contrast {
  readonly mean: Estimate
  readonly least: Estimate
  readonly count: number
}

/** The error over chance of a network at one size of each kind of grammar, where `at` names one. */
function contrastOf(rows: Rows, at: (sizes: Sizes) => number | undefined): Contrast | null {
  const chosen = rows.filter((row) => row.P === at(row))
  if (chosen.length === 0) return null
  const shares = (of: Rows): number[] =>
    settingsOf(of).map(({ key, rows: own }) => mean(own.map(heightOf)) / chanceOf(key))
  return {
    mean: overGrammars(chosen, (own) => mean(shares(own))),
    least: overGrammars(chosen, (own) => Math.min(...shares(own))),
    count: settingsOf(chosen).length,
  }
}

/** At the smallest size from which the CNN errs at less than a tenth of chance and the lazy network was measured, too. */
const lazyContrast = (lazy: Rows, cnn: Rows): Contrast | null =>
  contrastOf(lazy, (sizes) => {
    const measured = new Set(where(lazy, sameGrammar(sizes)).map(({ P }) => P))
    const goal = learned.deep * chanceOf(sizes)
    return curveOf(where(cnn, sameGrammar(sizes))).find(({ x, y }) => measured.has(x) && y < goal)?.x
  })

/** At the smallest size that is no less than the CNN's P*, `prefactor` in units of n_c·m^L. */
const shallowContrast = (shallow: Rows, prefactor: number): Contrast | null =>
  contrastOf(
    shallow,
    (sizes) =>
      curveOf(where(shallow, sameGrammar(sizes))).find(({ x }) => x >= prefactor * scaleOf(sizes))?.x,
  )

/** Everything that claims, figures and tables draw on. */
export function estimate(rows: Rows) {
  const errors = (part: Cell['part']): Found[] => where(rows, { part, of: 'error' })
  const [cnn, lazy, shallow, control] = (['cnn', 'lazy', 'shallow', 'control'] as const).map(errors)
  const noise = where(rows, { of: 'noise' })
  const sensitivities = rows.filter((row) => row.of === 'sensitivity')
  const secondLayer: Found[] = where(sensitivities, { layer: 2, height: 1 })
  const half = () => 0.5
  const ratios = (some: Rows): number[] =>
    settingsOf(some)
      .map(({ rows: own }) => {
        const [S, error] = (['sensitivity', 'error'] as const).map((of) => where(own, { of }))
        return thresholdOf(S!, half) / thresholdOf(error!, ofChance(0.5))
      })
      .filter(Number.isFinite)
  const law = lawOf(cnn!, ofChance(learned.deep))
  return {
    ...{ cnn: cnn!, lazy: lazy!, shallow: shallow!, control: control!, noise, sensitivities, secondLayer },
    law,
    errors: collapseOf(cnn!, chanceOf),
    invariance: {
      collapse: collapseOf(secondLayer, () => 1),
      law: lawOf(secondLayer, half),
      ratio: unlogged(overGrammars([...cnn!, ...secondLayer], (own) => mean(ratios(own).map(Math.log)))),
    },
    correlations: lawOf(noise, () => 1),
    shallowLaw: lawOf(shallow!, ofChance(learned.shallow), stringsOf),
    atThreshold: {
      shallow: shallowContrast(shallow!, law?.prefactor ?? 4),
      lazy: lazyContrast(lazy!, cnn!),
    },
  }
}

export type Estimates = ReturnType<typeof estimate>
