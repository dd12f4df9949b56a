/** @file Training curves that people log, from tables with the columns P, step, validationLoss. */
import { didYouMean, fail, formatNumber } from '../../base/index.ts'
import { parseCsv } from './csv.ts'

/** What was logged at one step of a training. */
interface LoggedStep {
  readonly step: number
  /** null where it was not measured. */
  readonly validationLoss: number | null
  /** Share of samples that are copies of training data, above chance; null where it was not measured. */
  readonly copies: number | null
}

/** One training: on P examples, from one seed. */
export interface TrainingCurve {
  readonly P: number
  /** Tells trainings with the same P apart. */
  readonly seed: string
  /** By step, each once. */
  readonly steps: readonly LoggedStep[]
}

/** One row as it was read. */
export interface CurveRow extends LoggedStep {
  readonly P: number
  readonly seed: string
}

const required = ['P', 'step', 'validationLoss'] as const
type Column = (typeof required)[number] | 'copies'

/** What a column may hold, in words and as a check. */
const allowed: Record<Column, readonly [expected: string, fits: (value: number) => boolean]> = {
  P: ['a number above 0 (training examples)', (value) => value > 0],
  step: ['a number, 0 or more', (value) => value >= 0],
  validationLoss: ['a finite number (below 1e100), or an empty cell', (value) => Math.abs(value) < 1e100],
  copies: ['a share above chance, at most 1, or an empty cell', (value) => value >= -1 && value <= 1],
}

/** A cell as a number; null where it is empty and may be. Throws TL_BAD_FILE with place, value and expectation. */
export function numberIn(word: string, column: Column, place: string): number | null {
  const [expected, fits] = allowed[column]
  if (word === '' && (column === 'validationLoss' || column === 'copies')) return null
  const value = Number(word)
  if (word === '' || !Number.isFinite(value) || !fits(value))
    fail(
      'TL_BAD_FILE',
      `${place}: ${column}: expected ${expected}, got ${word === '' ? 'an empty cell' : `"${word}"`}; correct it or remove the row`,
    )
  return value
}

/** Where each column stands. Throws TL_BAD_FILE for a missing or a double one. */
function placesOf(header: readonly string[], label: string): Record<string, number> {
  const twice = [...required, 'copies', 'seed'].find(
    (name) => header.indexOf(name) !== header.lastIndexOf(name),
  )
  if (twice) fail('TL_BAD_FILE', `${label}: two columns are named ${twice}; rename or remove one`)
  const missing = required.filter((name) => !header.includes(name))
  if (missing.length > 0)
    fail(
      'TL_BAD_FILE',
      `${label}: no column ${missing.join(', ')}; its first line must name the columns P, step and validationLoss, with commas between: rename "${header.join(',').slice(0, 200)}": ${didYouMean(missing[0]!, header)}`,
    )
  return Object.fromEntries(header.map((name, place) => [name, place]))
}

/**
 * Rows of a CSV text: columns P, step, validationLoss, and where there are any copies and seed, in any order; others are ignored.
 * Rows without a seed get `ownSeed`. Throws TL_BAD_FILE naming `label` and the line of what is wrong.
 */
export function curveRowsOf(text: string, label: string, ownSeed = label): CurveRow[] {
  const [header, ...rows] = parseCsv(text, label)
  if (!header) return fail('TL_BAD_FILE', `${label}: empty; expected a header P,step,validationLoss and rows`)
  const places = placesOf(header.cells, label)
  if (rows.length === 0)
    fail('TL_BAD_FILE', `${label}: a header and no rows; expected one row for each logged step`)
  return rows.map(({ line, cells }) => {
    const place = `${label}, line ${line}`
    if (cells.length !== header.cells.length)
      fail(
        'TL_BAD_FILE',
        `${place}: expected ${header.cells.length} cells as in the header, got ${cells.length}`,
      )
    const cell = (name: string): string => cells[places[name] ?? -1] ?? ''
    return {
      P: numberIn(cell('P'), 'P', place)!,
      step: numberIn(cell('step'), 'step', place)!,
      validationLoss: numberIn(cell('validationLoss'), 'validationLoss', place),
      copies: numberIn(cell('copies'), 'copies', place),
      seed: cell('seed') || ownSeed,
    }
  })
}

const meanKnown = (values: readonly (number | null)[]): number | null => {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length
}

/**
 * The trainings in some rows, in any order: sorted by P, seed and step. Step 0 is before training and left out. A step that is
 * logged more than once counts with its mean, and a note says so.
 */
export function gatherCurves(rows: readonly CurveRow[]): {
  readonly curves: TrainingCurve[]
  readonly notes: string[]
} {
  const trainings = new Map<string, Map<number, CurveRow[]>>()
  for (const row of rows) {
    if (row.step === 0) continue
    const name = JSON.stringify([row.P, row.seed])
    const steps = trainings.get(name) ?? new Map<number, CurveRow[]>()
    trainings.set(name, steps)
    steps.set(row.step, [...(steps.get(row.step) ?? []), row])
  }
  const notes: string[] = []
  const curves = [...trainings.values()].map((steps): TrainingCurve => {
    const { P, seed } = [...steps.values()][0]![0]!
    const repeated = [...steps.values()].filter((same) => same.length > 1).length
    if (repeated > 0)
      notes.push(
        `P=${formatNumber(P)}: ${repeated} of ${steps.size} steps are logged more than once; their mean counts (a column seed tells trainings apart)`,
      )
    return {
      ...{ P, seed },
      steps: [...steps]
        .sort(([a], [b]) => a - b)
        .map(([step, same]) => ({
          step,
          // in the order of their size, so that the order of rows changes no bit
          validationLoss: meanKnown(
            same.map((row) => row.validationLoss).sort((a, b) => Number(a) - Number(b)),
          ),
          copies: meanKnown(same.map((row) => row.copies).sort((a, b) => Number(a) - Number(b))),
        })),
    }
  })
  const order = (a: string, b: string): number => Number(a > b) - Number(a < b)
  return {
    curves: curves.sort((a, b) => a.P - b.P || order(a.seed, b.seed)),
    notes: notes.sort(order),
  }
}
