/** @file What networks that begin to memorize are held against: times in proportion to P, and copies only after them. */
import {
  type Claim,
  type Conclusion,
  claim,
  control,
  type Estimate,
  groupBy,
  overReplicas,
  type ReportTable,
  shownEstimate,
  table,
} from '../../lab/index.ts'
import { timeText } from './charts.ts'
import { copyTime, type Kind, type Looked, type PowerLaw, powerLaw } from './times.ts'

/** A time that grows as a power of P. */
interface OnsetLaw {
  readonly name: string
  readonly law: PowerLaw
}

/** Times that three P have, with their powers. */
export const lawsOf = <R extends Looked>(rows: readonly R[], kinds: readonly Kind<R>[]): OnsetLaw[] =>
  kinds.flatMap(([name, time]) => {
    const law = powerLaw(rows, time)
    return law ? [{ name, law }] : []
  })

const isOfCopies = ({ name }: OnsetLaw): boolean => name.startsWith('copies')
/** As a sentence has it. */
const spoken = (law: OnsetLaw): string => (isOfCopies(law) ? law.name : `the ${law.name}`)

/** Times are proportional to P; `setting` says in front whose times. */
export const exponentClaims = (laws: readonly OnsetLaw[], setting = ''): Claim[] =>
  laws.map((one) => {
    const { counts, exponent } = one.law
    const text = `${setting}exponent of the time of ${spoken(one)} in P (P = ${counts.join(', ')})`
    return claim(text, exponent).equals(1, { by: 0.15 })
  })

/** Nothing is copied a quarter of the way to the first onset, by `by`; no claim where no network has come to it. */
export function earlyClaims(rows: readonly Looked[], share: number, by: number): Claim[] {
  const early = overReplicas(rows, (own) => {
    const copies = groupBy(own, 'P').flatMap(({ rows: looks }) => {
      const time = copyTime(looks, share)
      return looks.filter(({ step }) => step <= time / 4).map((look) => look.copies)
    })
    return copies.reduce((a, b) => a + b, 0) / copies.length
  })
  return Number.isFinite(early.value)
    ? [claim('copies above chance until a quarter of τ_mem', early).equals(0, { by })]
    : []
}

/** Data that were never seen do not pass as copies. */
export const passingControl = (
  rows: readonly (Looked & { readonly passing: number })[],
  { data, below }: { readonly data: string; readonly below: number },
): Claim =>
  control(
    `share of ${data} that pass as copies, at its most over P`,
    overReplicas(rows, (own) => Math.max(...own.map(({ passing }) => passing))),
  ).vanishes({ below })

export const lawSentences = (laws: readonly OnsetLaw[]): string[] =>
  laws.map((one) => `The time of ${spoken(one)} grows as P to the power ${shownEstimate(one.law.exponent)}.`)

export const lawNumbers = (laws: readonly OnsetLaw[]): NonNullable<Conclusion['numbers']> =>
  laws.map((one) => ({
    label: `exponent of ${spoken(one)}`,
    value: shownEstimate(one.law.exponent),
    note: 'proportional: 1',
  }))

/** The exponent of the first onset of copies, and of the least validation loss; null where three P do not have it. */
export function lawResult(laws: readonly OnsetLaw[]) {
  const first = laws.find(isOfCopies)?.law.exponent
  const validation = laws.find((one) => !isOfCopies(one))?.law.exponent
  return {
    exponent: first?.value ?? null,
    exponentError: first?.error ?? null,
    exponentTheory: 1,
    validationExponent: validation?.value ?? null,
  }
}

/** Columns of times for tables. */
export const timeColumns = <R extends Looked>(kinds: readonly Kind<R>[]) =>
  Object.fromEntries(kinds.map(([name, time]) => [name, (rows: readonly R[]) => timeText(rows, time)]))

/** A row for each P. */
export const timesTable = <R extends Looked>(
  rows: readonly R[],
  columns: Readonly<Record<string, (rows: readonly R[]) => string | number | Estimate>>,
): ReportTable =>
  table(
    [...rows].sort((a, b) => a.P - b.P),
    { title: 'Times of each P, in steps', by: ['P'], columns },
  )
