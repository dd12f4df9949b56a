/** @file The picture of a search: a line over one parameter, a heat map over two, bars of the best candidates otherwise. */

import type { Figure } from '../lab/index.ts'
import type { SearchOutcome, SearchRow } from '../merge/index.ts'

type Lab = typeof import('../lab/index.ts')

const short = (value: number): string => String(Number(value.toPrecision(6)))

/** Values of one parameter, rising; undefined when some are no numbers. */
function numbersOf(rows: readonly SearchRow[], name: string): number[] | undefined {
  const values = [...new Set(rows.map((row) => row.values[name]!))]
  return values.every((value) => typeof value === 'number') ? values.sort((a, b) => a - b) : undefined
}

/** Draw it. */
export function searchFigure(
  lab: Lab,
  outcome: SearchOutcome,
  valuesText: (values: SearchRow['values']) => string,
): Figure {
  const { candidates, parameters, best, direction } = outcome
  const scored = candidates.filter(({ score }) => score !== null)
  const failed = candidates.length - scored.length
  const found = direction === 'maximize' ? 'highest' : 'lowest'
  const text = {
    name: 'search',
    title: `Score over ${parameters.join(' and ')}`,
    caption: `${scored.length} candidates; the ${found} score, ${short(best.score!)}, is at ${valuesText(best.values)}.${failed > 0 ? ` ${failed} failed.` : ''}`,
  }
  const [first, second, ...more] = parameters as [string, ...string[]]
  const x = numbersOf(candidates, first)
  if (second === undefined && x)
    return lab.lineChart({
      ...text,
      xLabel: first,
      yLabel: 'score',
      series: [
        {
          name: '',
          dots: true,
          points: x.map((value) => ({
            x: value,
            y: candidates.find(({ values }) => values[first] === value)!.score,
          })),
        },
      ],
      references: [{ axis: 'x', value: best.values[first] as number, label: short(best.score!) }],
    })
  const y = second === undefined ? undefined : numbersOf(candidates, second)
  if (x && y && more.length === 0) {
    const scores = new Map(
      candidates.map(({ values, score }) => [`${values[first]} ${values[second!]}`, score]),
    )
    return lab.heatMap({
      ...text,
      x,
      y,
      values: y.map((row) => x.map((column) => scores.get(`${column} ${row}`) ?? null)),
      xLabel: first,
      yLabel: second!,
      valueLabel: 'score',
      overlays: [
        {
          name: 'best',
          dots: true,
          points: [{ x: best.values[first] as number, y: best.values[second!] as number }],
        },
      ],
    })
  }
  const sign = direction === 'minimize' ? 1 : -1
  const ranked = scored.toSorted((a, b) => sign * (a.score! - b.score!)).slice(0, 15)
  return lab.barChart({
    ...text,
    bars: ranked.map(({ values, score }) => ({ label: valuesText(values), value: score! })),
    xLabel: 'score',
    format: short,
  })
}

type Merging = typeof import('../merge/index.ts')

/**
 * The picture of a selection: with two measures the trade-off between them, a mark for each candidate; with one the score over
 * the first parameter that is a number. Bars are 95 % intervals over items.
 */
export function selectionFigure(lab: Lab, merging: Merging, outcome: SearchOutcome, method: string): Figure {
  const { candidates, parameters, best } = outcome
  const scored = candidates.filter(({ score }) => score !== null)
  const [first, second] = best.measures!
  const across = parameters.find((name) => (numbersOf(candidates, name)?.length ?? 0) > 1)
  const xOf = (row: SearchRow): number | null =>
    second ? row.measures![1]!.score : ((across === undefined ? null : row.values[across]) as number | null)
  const families = [...new Set(scored.map((row) => merging.familyOf(row, method)))]
  const pointsOf = (family: string) =>
    scored
      .filter((row) => merging.familyOf(row, method) === family)
      .map((row, i) => {
        const { score, items } = row.measures![0]!
        const { low, high } = items ? merging.bootstrapMean(items) : { low: score, high: score }
        return { x: xOf(row) ?? i, y: score, low, high }
      })
  return lab.lineChart({
    name: 'selection',
    title: second ? `${first!.name} against ${second.name}` : `${first!.name} over ${across ?? 'candidates'}`,
    caption: `${scored.length} candidates; bars are 95 % intervals over items. The highest mean of ${first!.name}, ${short(best.score!)}, is at ${valuesIn(best)}.`,
    xLabel: second ? second.name : (across ?? 'candidate'),
    yLabel: first!.name,
    series: families.map((name) => ({ name, points: pointsOf(name), scatter: true })),
  })
}

const valuesIn = ({ values }: SearchRow): string =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ')
