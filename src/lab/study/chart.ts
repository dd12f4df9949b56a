/** @file Charts and tables as views of rows: columns by name, replicas as error bars, theory beside. */
import { formatMeasured } from '../../base/index.ts'
import type { ReportTable } from '../experiment.ts'
import { type Figure, type LineChart, type LineSeries, lineChart } from '../figures/index.ts'
import { type Estimate, overReplicas } from './estimate.ts'
import { type Drawn, groupBy } from './rows.ts'

/** A column, or what a row says. */
export type Channel<R, T> = (keyof R & string) | ((row: R) => T)

const read = <R extends object, T>(channel: Channel<R, T>): ((row: R) => T) =>
  typeof channel === 'function' ? channel : (row) => row[channel] as T

/** A line of theory: of every series, or one for all. */
export interface Theory<R> {
  /** `null`: one line for the whole chart, named `name`; otherwise a dashed line in the colour of each series. */
  readonly name: string | null
  /** The predicted y at an x; the rows are those of the series. Null leaves a gap. */
  readonly y: (x: number, rows: readonly R[]) => number | null
  /** Where it is drawn; by default at the series' own x. */
  readonly at?: readonly number[]
}

/** A chart of y against x, a line for each series. */
export interface RowChart<R extends Drawn> extends Omit<LineChart, 'series'> {
  readonly x: Channel<R, number>
  readonly y: Channel<R, number>
  /** Rows with the same value are one line; without it there is one line. */
  readonly series?: Channel<R, string | number>
  readonly seriesName?: (value: string | number) => string
  /** From the rows at one x of one series to what is drawn; by default the mean over replicas of the mean in each. */
  readonly estimate?: (rows: readonly R[], y: (row: R) => number) => Estimate
  readonly marks?: 'line' | 'dots' | 'points'
  readonly theory?: readonly Theory<R>[]
  /** Lines that are no view of the rows. */
  readonly more?: readonly LineSeries[]
}

/** Mean of numbers that are finite; NaN of none. */
const meanOfFinite = (values: readonly number[]): number => {
  const finite = values.filter(Number.isFinite)
  return finite.reduce((sum, value) => sum + value, 0) / finite.length
}

/** The mean over replicas of the mean in each, with its standard error. */
export const meanAcross = <R extends Drawn>(rows: readonly R[], y: (row: R) => number): Estimate =>
  overReplicas(rows, (own) => meanOfFinite(own.map(y)))

/** A point with one standard error to both sides. */
export const pointOf = (x: number, { value, error }: Estimate) => ({
  x,
  y: Number.isFinite(value) ? value : null,
  ...(error !== null && error > 0 && { low: value - error, high: value + error }),
})

const byValue = <T>(rows: readonly T[], of: (row: T) => string | number): Map<string | number, T[]> => {
  const groups = new Map<string | number, T[]>()
  for (const row of rows) groups.set(of(row), [...(groups.get(of(row)) ?? []), row])
  return groups
}

/** A chart of rows, drawn when it is called. */
export function chart<R extends Drawn>(rows: readonly R[], options: RowChart<R>): () => Figure {
  const {
    x,
    y,
    series,
    seriesName,
    estimate = meanAcross,
    marks = 'line',
    theory = [],
    more = [],
    ...text
  } = options
  return () => {
    const [xOf, yOf] = [read(x), read(y)]
    const groups = [...byValue(rows, series ? read(series) : () => '')]
    const lines = groups.flatMap(([value, own], hue): LineSeries[] => {
      const at = [...byValue(own, xOf)].sort(([a], [b]) => Number(a) - Number(b))
      const name = series ? (seriesName?.(value) ?? String(value)) : ''
      return [
        {
          ...{ name, hue, dots: marks === 'dots', scatter: marks === 'points' },
          points: at.map(([place, there]) => pointOf(Number(place), estimate(there, yOf))),
        },
        ...theory
          .filter((line) => line.name === null)
          .map((line) => ({
            ...{ name: '', hue, dashed: true },
            points: (line.at ?? at.map(([place]) => Number(place))).map((place) => ({
              x: place,
              y: line.y(place, own),
            })),
          })),
      ]
    })
    const all = [...new Set(rows.map(xOf))].sort((a, b) => a - b)
    const shared = theory.flatMap((line, index): LineSeries[] =>
      line.name === null
        ? []
        : [
            {
              ...{ name: line.name, hue: groups.length + index, dashed: true },
              points: (line.at ?? all).map((place) => ({ x: place, y: line.y(place, rows) })),
            },
          ],
    )
    return lineChart({ ...text, series: [...lines, ...shared, ...more] })
  }
}

/** `0.983 ± 0.012`, as reports show estimates. */
export const shownEstimate = ({ value, error }: Estimate): string =>
  formatMeasured(Number.isFinite(value) ? value : null, error)

const inWhole = (x: number): string => Math.round(x).toLocaleString('en-US')

/** `1,003 ± 40`, an estimate of a number of things; `–` where there is none. */
export const shownWhole = ({ value, error }: Estimate): string => {
  if (!Number.isFinite(value)) return '–'
  return error === null || error === 0 ? inWhole(value) : `${inWhole(value)} ± ${inWhole(error)}`
}

/** A table of rows: a line for each group of equal values in `by`, then one cell for each column. */
export function table<R extends object, K extends keyof R & string>(
  rows: readonly R[],
  options: {
    readonly title: string
    readonly by: readonly K[]
    readonly columns: Readonly<
      Record<string, (rows: readonly R[], key: Pick<R, K>) => Estimate | number | string>
    >
  },
): ReportTable {
  const { title, by, columns } = options
  return {
    title,
    columns: [...by, ...Object.keys(columns)],
    rows: groupBy(rows, ...by).map(({ key, rows: own }) => [
      ...by.map((name) => (typeof key[name] === 'number' ? (key[name] as number) : String(key[name]))),
      ...Object.values(columns).map((cell) => {
        const found = cell(own, key)
        return typeof found === 'object' ? shownEstimate(found) : found
      }),
    ]),
  }
}
