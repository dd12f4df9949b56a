/** @file Cells and rows of the study, and its lines: what a method knows after T edits. */
import { type Kind, type Measured, type Result, type Summary, summarize } from '../../edit/index.ts'
import { type Drawn, distinct, type Measured as Found, groupBy, mean, where } from '../../lab/index.ts'
import type { DamageRow } from './damage.ts'
import { methodOf } from './methods/index.ts'
import type { Overlaps } from './routing.ts'

/** A method is taught `edits` facts one after another, the `group`-th so many of the file, and asked for all of them. */
export interface Cell {
  readonly method: string
  readonly edits: number
  readonly group: number
}

/** An answer to one question about a fact, see `Measured` of `treeline/edit`. */
export interface AnswerRow extends Omit<Measured, 'text'> {
  readonly part: 'answer'
  readonly fact: number
  readonly kind: Kind
}

/** How near a fact's prompts are to edits. */
interface OverlapRow extends Overlaps {
  readonly part: 'overlaps'
  readonly fact: number
}

/** What is asked about a fact, and what is said, for people; null where there is no such prompt. */
export interface ExampleRow {
  readonly part: 'example'
  readonly fact: number
  readonly prompt: string
  readonly target: string
  readonly rephrase: string | null
  readonly locality: string | null
  readonly saysToPrompt: string
  readonly saysToRephrase: string
  readonly saysToLocality: string
}

/** Steps of one edit. */
interface StepsRow {
  readonly part: 'steps'
  readonly fact: number
  readonly steps: number
}

/** A group that was taught. */
interface TaughtRow {
  readonly part: 'taught'
  readonly secondsPerEdit: number
  readonly layer: number | null
  /** Least overlap at which an edit answers, of methods that route by it. */
  readonly threshold: number | null
}

export type Row = AnswerRow | OverlapRow | ExampleRow | StepsRow | TaughtRow | DamageRow
export type Rows = readonly Found<Cell, Row>[]

type Part<P extends Row['part']> = Cell & Extract<Row, { part: P }> & Drawn

/** The rows of one kind. */
export const rowsOf = <P extends Row['part']>(rows: Rows, part: P): Part<P>[] =>
  rows.filter((row) => row.part === part) as Part<P>[]

/** Numbers that not every answer has. */
const optional = ['asTaught', 'wild', 'wildBegins', 'wildEnds', 'chat'] as const

/** The result of one question in several seeds. */
function overSeeds(own: readonly Measured[]): Measured {
  const losses = own.flatMap(({ loss }) => loss ?? [])
  const isBroken = own.some(({ edit, isIdentical }) => edit === null && !isIdentical)
  return {
    forced: mean(own.map(({ forced }) => forced)),
    exact: mean(own.map(({ exact }) => exact)),
    ...Object.fromEntries(
      optional.flatMap((name) => {
        const values = own.flatMap((one) => one[name] ?? [])
        return values.length === own.length ? [[name, mean(values)]] : []
      }),
    ),
    loss: losses.length < own.length ? null : mean(losses),
    isIdentical: own.every(({ isIdentical }) => isIdentical),
    // an answer that changed although no edit gave it must not hide behind another seed
    edit: isBroken ? null : (own.find(({ edit }) => edit !== null)?.edit ?? null),
  }
}

/** Results of each fact of a method at one T. Seeds are taught the same facts: intervals are over facts, not over both. */
export const resultsOf = (rows: readonly Part<'answer'>[]): ReadonlyMap<number, Result> =>
  new Map(
    groupBy(rows, 'fact').map(({ key, rows: own }) => [
      key.fact,
      Object.fromEntries(groupBy(own, 'kind').map((one) => [one.key.kind, overSeeds(one.rows)])),
    ]),
  )

/** One line of the table: a method after T edits. */
export interface Line {
  readonly method: string
  readonly title: string
  readonly edits: number
  readonly groups: number
  readonly summary: Summary
  readonly secondsPerEdit: number | null
  readonly stepsPerEdit: number | null
  readonly layer: number | null
  readonly threshold: number | null
}

/** All lines, by T and then in the order of the methods. */
export function linesOf(rows: Rows): Line[] {
  const sizes = distinct(rows, 'edits').toSorted((a, b) => a - b)
  const [answers, steps, taught] = [rowsOf(rows, 'answer'), rowsOf(rows, 'steps'), rowsOf(rows, 'taught')]
  return sizes.flatMap((edits) =>
    distinct(rows, 'method').map((method): Line => {
      const of = <R extends Cell>(list: readonly R[]): R[] => where(list, { method, edits } as Partial<R>)
      const [own, groups] = [of(answers), of(taught)]
      return {
        ...{ method, title: methodOf(method).title, edits, groups: distinct(own, 'group').length },
        summary: summarize([...resultsOf(own).values()]),
        secondsPerEdit: groups.length ? mean(groups.map(({ secondsPerEdit }) => secondsPerEdit)) : null,
        stepsPerEdit: groups.length ? mean(of(steps).map((row) => row.steps)) : null,
        layer: groups[0]?.layer ?? null,
        threshold: groups[0]?.threshold ?? null,
      }
    }),
  )
}

/** Numbers of edits of some lines, rising. */
export const sizesOf = (lines: readonly Line[]): number[] =>
  distinct(lines, 'edits').toSorted((a, b) => a - b)
