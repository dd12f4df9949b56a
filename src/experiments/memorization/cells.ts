/** @file The cells of `memorization`: which strings of which grammar a network is trained on. */
import { fail } from '../../base/index.ts'
import { checkShape, treeCount } from '../../grammar/index.ts'
import type { Config, Draws } from './config.ts'

/** What is measured: a grammar's sizes, how many strings are trained on, and by what. */
export interface Cell {
  readonly part: 'curve' | 'halves' | 'kernel' | 'prototypes'
  readonly v: number
  readonly m: number
  readonly L: number
  readonly width: number
  readonly P: number
  /** Of prototypes. */
  readonly draws?: Draws
}

export const fullShape = ({ v, m, L }: Pick<Cell, 'v' | 'm' | 'L'>) => ({ v, classes: v, m, s: 2, L })

/** Steps that a run may take: copies come after some forty for each string. */
export const mostSteps = ({ P }: Cell, { leastSteps, stepsPerString }: Config): number =>
  leastSteps + stepsPerString * P

export function cellsOf(given: Config): Cell[] {
  const { v, m, L, width, counts, others, halves, kernel, prototypes } = given
  const own = { part: 'curve', v, m, L, width } as const
  return [
    ...[...counts].sort((a, b) => b - a).map((P) => ({ ...own, P })),
    ...others.counts.flatMap((P) => [
      ...others.widths.map((other) => ({ ...own, width: other, P })),
      ...others.rules.map((other) => ({ ...own, m: other, P })),
    ]),
    ...halves.map((P) => ({ ...own, part: 'halves' as const, P })),
    ...kernel.map((P) => ({ ...own, part: 'kernel' as const, P })),
    ...prototypes.counts.flatMap((P) =>
      prototypes.draws.map((draws) => ({ ...own, part: 'prototypes' as const, P, draws })),
    ),
  ]
}

/** Throws TL_BAD_CONFIG where a grammar has fewer strings than a part takes, or where no part is left. */
export function checkCells(given: Config): void {
  for (const m of [given.m, ...given.others.rules])
    checkShape(fullShape({ ...given, m }), `config (m = ${m})`)
  const cells = cellsOf(given)
  if (cells.length === 0)
    fail(
      'TL_BAD_CONFIG',
      'config: expected at least one of counts, halves, kernel and prototypes.counts, got none',
    )
  for (const cell of cells) {
    if (cell.part === 'kernel') continue
    const { part, P } = cell
    const all = treeCount(fullShape(cell))
    const has = `but a grammar with v = ${cell.v}, m = ${cell.m}, L = ${cell.L} has ${all}: take a smaller P, or a larger m or L`
    // draws with replacement, of which half are held out
    if (part === 'prototypes' && BigInt(2 * P) > all)
      fail('TL_BAD_CONFIG', `config.prototypes.counts: ${2 * P} strings, half of them held out, ${has}`)
    const wanted = part === 'halves' ? 2 * P : P
    if (part !== 'prototypes' && BigInt(wanted + given.validation) > all)
      fail(
        'TL_BAD_CONFIG',
        `config: ${part === 'halves' ? `two halves of P = ${P}` : `P = ${P}`} and ${given.validation} strings for validation, ${has}`,
      )
  }
}
