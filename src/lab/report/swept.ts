/** @file What the runs of a sweep measured against every field in which they differ: seeds as error bars, theory beside. */
import type { AnyExperiment, BaseConfig, RunGroup } from '../experiment.ts'
import { type Scale, tickTexts } from '../figures/axes.ts'
import { type Figure, type LineChart, type LineSeries, lineChart, smallMultiples } from '../figures/index.ts'
import { overSeeds, varyingFields } from '../groups.ts'

/** Lines of one chart; more become panels. */
const mostLines = 6
/** Panels of one figure. */
const mostPanels = 9

/** A field in which groups differ. */
interface Field {
  readonly path: string
  /** Of each group. */
  readonly values: readonly unknown[]
  /** The last word of the path, where no other field has it. */
  readonly word: string
}

/** One result over seeds, for each group. */
interface Measured {
  readonly value: number | null
  readonly error: number | null
  readonly theory: number | null
  readonly seeds: number
}

type Groups = readonly RunGroup<BaseConfig>[]

const text = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))

const positive = (values: readonly number[]): boolean => values.every((value) => value > 0)

/** A logarithmic axis for what spans more than a decade. */
const scaleOf = (values: readonly number[]): Scale =>
  values.length > 0 && positive(values) && Math.max(...values) > 10 * Math.min(...values) ? 'log' : 'linear'

/** `NAMETheory` is the theory of `NAME`, `NAMEError` its standard error in one run: they are drawn with it, not by themselves. */
export function resultNames(groups: Groups): string[] {
  const names = new Set(groups.flatMap(({ runs }) => runs.flatMap(({ result }) => Object.keys(result))))
  const isTwin = (name: string): boolean => {
    const [, base] = name.match(/^(.+?)(?:Theory|Error)$/) ?? []
    return base !== undefined && names.has(base)
  }
  return [...names].filter(
    (name) =>
      !isTwin(name) && groups.some(({ runs }) => runs.some(({ result }) => typeof result[name] === 'number')),
  )
}

function measuredOf(groups: Groups, name: string): Measured[] {
  return groups.map(({ runs }) => {
    const of = (key: string) => overSeeds(runs.map(({ result }) => result[key] as number | null))
    const { mean, error, count } = of(name)
    const theory = of(`${name}Theory`)
    const within = of(`${name}Error`)
    return {
      value: count > 0 ? mean : null,
      error: error ?? (within.count > 0 ? within.mean : null),
      theory: theory.count > 0 ? theory.mean : null,
      seeds: count,
    }
  })
}

function fieldsOf(experiment: AnyExperiment, groups: Groups): Field[] {
  const varying = varyingFields(
    experiment,
    groups.map(({ config }) => config),
  )
  const last = (path: string): string => path.split('.').at(-1)!
  return varying.map((field) => ({
    ...field,
    word:
      varying.filter(({ path }) => last(path) === last(field.path)).length > 1
        ? field.path
        : last(field.path),
  }))
}

/** Groups that agree in some fields, each with the words that say in what. */
function partsBy(fields: readonly Field[], among: readonly number[]): { label: string; members: number[] }[] {
  const parts = new Map<string, number[]>()
  for (const group of among) {
    const label = fields.map(({ word, values }) => `${word} = ${text(values[group])}`).join(', ')
    parts.set(label, [...(parts.get(label) ?? []), group])
  }
  return [...parts].map(([label, members]) => ({ label, members }))
}

/** The other fields that make lines and those that make panels, when `x` runs along the axis. */
function sides(x: Field, fields: readonly Field[]): { lines: Field[]; panels: Field[] } {
  // a field that changes only with x, as in a zipped list, tells no points apart
  const others = fields.filter(
    (field) =>
      field !== x &&
      field.values.some((value, i) =>
        field.values.some(
          (other, j) => text(x.values[i]) === text(x.values[j]) && text(value) !== text(other),
        ),
      ),
  )
  const every = x.values.map((_, group) => group)
  if (partsBy(others, every).length <= mostLines) return { lines: others, panels: [] }
  const sizeOf = ({ values }: Field): number => new Set(values.map(text)).size
  const bySize = others.toSorted((a, b) => sizeOf(b) - sizeOf(a))
  const chosen = bySize.find((field) => sizeOf(field) <= mostLines) ?? bySize.at(-1)!
  return { lines: [chosen], panels: others.filter((field) => field !== chosen) }
}

/** Where groups stand along a field: numbers by their size, anything else one after another. */
function axisOf({
  values,
}: Field): Pick<LineChart, 'xScale' | 'xTicks' | 'xDomain'> & { at: number[]; ordered: boolean } {
  if (values.every((value) => typeof value === 'number')) {
    const numbers = values as number[]
    const distinct = [...new Set(numbers)].sort((a, b) => a - b)
    // few settings are ticked where they are: between them nothing was measured
    const labels = tickTexts(distinct)
    const xTicks = distinct.map((value, i) => ({ value, label: labels[i]! }))
    return {
      at: [...numbers],
      ordered: true,
      xScale: scaleOf(numbers),
      ...(distinct.length <= 8 && { xTicks }),
    }
  }
  const words = [...new Set(values.map(text))]
  return {
    at: values.map((value) => words.indexOf(text(value))),
    ordered: false,
    xTicks: words.map((label, value) => ({ value, label })),
    xDomain: [-0.4, words.length - 0.6],
  }
}

/** Groups that make one line. */
interface Line {
  readonly label: string
  readonly members: readonly number[]
  readonly hue: number
}

function linesOf(
  parts: readonly Line[],
  measured: readonly Measured[],
  { at, ordered }: { readonly at: readonly number[]; readonly ordered: boolean },
): LineSeries[] {
  const count = 1 + Math.max(...parts.map(({ hue }) => hue))
  const hasTheory = measured.some(({ theory }) => theory !== null)
  return parts.flatMap(({ label, members, hue }): LineSeries[] => {
    const sorted = [...members].sort((a, b) => at[a]! - at[b]!)
    // beside each other where they share a place
    const shift = ordered ? 0 : (hue - (count - 1) / 2) * (0.5 / Math.max(4, count))
    const name = label || (hasTheory ? 'measured' : '')
    const points = sorted.map((group) => {
      const { value, error } = measured[group]!
      const bars = value !== null &&
        error !== null &&
        error > 0 && { low: value - error, high: value + error }
      return { x: at[group]! + shift, y: value, ...bars }
    })
    const theory = sorted.map((group) => ({ x: at[group]! + shift, y: measured[group]!.theory }))
    return [
      { name, hue, points, bars: true, dots: ordered, scatter: !ordered },
      ...(hasTheory ? [{ name: label ? '' : 'theory', hue, dashed: true, points: theory }] : []),
    ]
  })
}

/** A line's place among all lines of a figure, whichever of them a panel has: its colour. */
function linesAmong(fields: readonly Field[], members: readonly number[], all: readonly number[]): Line[] {
  const places = partsBy(fields, all).map(({ label }) => label)
  return partsBy(fields, members).map((part) => ({ ...part, hue: places.indexOf(part.label) }))
}

const slug = (words: string): string =>
  words
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')

function captionOf(
  measured: readonly Measured[],
  x: Field,
  fields: { lines: Field[]; panels: Field[] },
  hidden: number,
): string {
  const seeds = Math.max(...measured.map((one) => one.seeds))
  const words = (some: readonly Field[]): string => some.map(({ word }) => word).join(' and ')
  return [
    `Against ${x.path}${fields.lines.length > 0 ? `, a line for each ${words(fields.lines)}` : ''}${fields.panels.length > 0 ? `, a panel for each ${words(fields.panels)}` : ''}.`,
    ...(measured.some(({ error }) => error !== null && error > 0)
      ? [`Bars: one standard error ${seeds > 1 ? `over ${seeds} seeds` : 'within the run'}.`]
      : []),
    ...(measured.some(({ theory }) => theory !== null) ? ['Dashed: theory.'] : []),
    ...(hidden > 0 ? [`${hidden} more panels are in the table of all runs.`] : []),
  ].join(' ')
}

/** One result against one field. */
function sweptFigure(
  name: string,
  label: string,
  x: Field,
  fields: readonly Field[],
  measured: readonly Measured[],
): Figure {
  const beside = sides(x, fields)
  const axis = axisOf(x)
  const values = measured.flatMap(({ value, theory }) => [value, theory]).filter((one) => one !== null)
  const yScale = scaleOf(values)
  const all = x.values.map((_, group) => group)
  const parts = partsBy(beside.panels, all)
  const hidden = Math.max(0, parts.length - mostPanels)
  const about = {
    name: `sweep-${slug(name)}-${slug(x.path)}`,
    title: `${label} against ${x.word}`,
    caption: captionOf(measured, x, beside, hidden),
  }
  const { at: _, ordered: __, ...shared } = axis
  const ends = measured.flatMap(({ value, error }) =>
    value === null
      ? []
      : [value - (error ?? 0), value + (error ?? 0)].filter((end) => yScale === 'linear' || end > 0),
  )
  const yDomain = [Math.min(...ends, ...values), Math.max(...ends, ...values)] as const
  const draw = (members: readonly number[], panel: boolean): Figure =>
    lineChart({
      ...{ ...about, ...shared, yScale, xLabel: x.word, yLabel: label },
      ...(!axis.ordered && { labels: 'beside' as const }),
      ...(panel && yDomain[0] < yDomain[1] && { yDomain }),
      ...(panel ? { width: 300, height: 220 } : { width: 400, height: 260 }),
      series: linesOf(linesAmong(beside.lines, members, all), measured, axis),
    })
  if (parts.length === 1) return draw(parts[0]!.members, false)
  return smallMultiples({
    ...about,
    panels: parts
      .slice(0, mostPanels)
      .map(({ label: panel, members }) => ({ name: panel, figure: draw(members, true) })),
  })
}

/** Every numeric result against every field in which groups differ. Results that are the same in all groups are left out. */
export function sweptFigures(experiment: AnyExperiment, groups: Groups): Figure[] {
  if (groups.length < 2) return []
  const fields = fieldsOf(experiment, groups)
  const taken = new Map<string, number>()
  return resultNames(groups).flatMap((name) => {
    const measured = measuredOf(groups, name)
    if (new Set(measured.flatMap(({ value }) => (value === null ? [] : [value]))).size < 2) return []
    return fields.map((field) => {
      const figure = sweptFigure(name, experiment.resultNames?.[name] ?? name, field, fields, measured)
      // names of results may differ in nothing that a file name shows
      const before = taken.get(figure.name) ?? 0
      taken.set(figure.name, before + 1)
      return before === 0 ? figure : { ...figure, name: `${figure.name}-${before + 1}` }
    })
  })
}
