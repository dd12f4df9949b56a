/** @file Training curves in run folders: rows of studies or lines of metrics, of one setting. */
import { fail, formatNumber } from '../../base/index.ts'
import type { FinishedRun } from '../runFolder.ts'
import { distinct, groupBy, studyRows } from '../study/rows.ts'
import { type CurveRow, numberIn } from './curves.ts'

type Fields = Readonly<Record<string, unknown>>
const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** One training of a run: its rows, and what else stands in all of them. */
interface Training {
  readonly P: number
  /** The run's seed and the number of the draw. */
  readonly draw: string
  readonly rows: CurveRow[]
  readonly fields: Map<string, string>
  /** Fields that differ between the rows: measured ones. */
  readonly measured: Set<string>
}

/** Columns that are no setting. */
const known = ['P', 'seed', 'replica', 'step', 'trainingLoss', 'validationLoss', 'copies']

/** Fields of a row and of its config that can be a setting, as text. */
function settingsOf(row: Fields, config: Fields): [string, string][] {
  const scalars = Object.entries(row).filter(([, value]) => typeof value !== 'object')
  // a row's own value counts where the config has the name, too
  return Object.entries({ ...config, ...Object.fromEntries(scalars) })
    .filter(([name]) => !known.includes(name))
    .map(([name, value]) => [name, JSON.stringify(value) ?? ''])
}

/** Rows of a run that are points of a curve. */
function pointsIn(run: FinishedRun, config: Fields): readonly Fields[] {
  const measured = ((studyRows(run) ?? []) as readonly unknown[]).filter(isRecord)
  const isPoint = (row: Fields): boolean =>
    'validationLoss' in row && 'step' in row && ('P' in row || 'P' in config)
  const rows = measured.filter(isPoint)
  return rows.length > 0 ? rows : (run.metrics as readonly Fields[]).filter(isPoint)
}

/** The trainings of a run, in order: another begins where P or the draw changes, or the step does not grow. */
function trainingsOf(run: FinishedRun): Training[] {
  const config = run.config as unknown as Fields
  const trainings: Training[] = []
  for (const row of pointsIn(run, config)) {
    const word = (name: string): string => {
      const value = name in row ? row[name] : config[name]
      return value === null || value === undefined ? '' : String(value)
    }
    const number = (name: 'P' | 'step' | 'validationLoss' | 'copies') =>
      numberIn(word(name), name, run.folder)
    const [P, step] = [number('P')!, number('step')!]
    const draw = [word('seed'), word('replica')].filter((part) => part !== '').join('.')
    let last = trainings.at(-1)
    if (last?.P !== P || last.draw !== draw || !(step > last.rows.at(-1)!.step)) {
      last = { P, draw, rows: [], fields: new Map(settingsOf(row, config)), measured: new Set() }
      trainings.push(last)
    }
    for (const [name, value] of settingsOf(row, config))
      if (last.fields.get(name) !== value) last.measured.add(name)
    last.rows.push({
      ...{ P, step, validationLoss: number('validationLoss'), copies: number('copies') },
      // runs that differ in other fields are other trainings
      seed: `${run.hash.slice(0, 12)} ${trainings.length - 1}`,
    })
  }
  return trainings
}

/** Fields by which trainings of the same P and draw differ: a law is of one of their values. */
function settingNames(trainings: readonly Training[]): string[] {
  const measured = new Set(trainings.flatMap((one) => [...one.measured]))
  const names = new Set(trainings.flatMap(({ fields }) => [...fields.keys()]))
  const groups = groupBy(trainings, 'P', 'draw')
  return [...names].filter(
    (name) =>
      !measured.has(name) &&
      groups.some(({ rows }) => new Set(rows.map(({ fields }) => fields.get(name))).size > 1),
  )
}

/**
 * Curves of finished runs: rows that a study measured, else lines of metrics; P may be a field of the config. Where trainings
 * differ in other settings, such as a width, those of the setting with the most P count, and a note names the others.
 * Throws TL_BAD_FILE where no run has any.
 */
export function curveRowsOfRuns(runs: readonly FinishedRun[]): {
  readonly rows: CurveRow[]
  readonly notes: string[]
} {
  const found = runs.map((run) => ({ run, own: trainingsOf(run) }))
  const without = found.filter(({ own }) => own.length === 0).map(({ run }) => run)
  if (without.length === runs.length)
    fail(
      'TL_BAD_FILE',
      `${runs.map(({ folder, experiment }) => `${folder} (${experiment})`).join(', ')}: no rows with P, step and validationLoss; give a run that logs them, or a CSV file with these columns`,
    )
  const trainings = found.flatMap(({ own }) => own)
  const names = settingNames(trainings)
  const settingOf = ({ fields }: Training): string =>
    names.map((name) => `${name}=${fields.get(name) ?? ''}`).join(', ')
  const groups = groupBy(
    trainings.map((training) => ({ setting: settingOf(training), P: training.P, training })),
    'setting',
  )
  const counts = groups.map(({ rows }) => distinct(rows, 'P').length)
  const chosen = groups[counts.indexOf(Math.max(...counts))]!
  const others = groups
    .filter((group) => group !== chosen)
    .map(
      ({ key, rows }) =>
        `${key.setting}: ${rows.length} training${rows.length === 1 ? '' : 's'} (P=${distinct(rows, 'P').map(formatNumber).join(', ')}) left out: the law is of ${chosen.key.setting}`,
    )
  const notes = [
    ...without.map(({ folder }) => `${folder}: left out: no rows with P, step and validationLoss`),
    ...others,
  ]
  return { rows: chosen.rows.flatMap(({ training }) => training.rows), notes }
}
