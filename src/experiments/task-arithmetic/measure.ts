/** @file One replica from one start: vectors, single tasks, addition, negation, maps of disentanglement, and the kernel. */
import type { Bench } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'
import { fineTune } from '../tasks/fineTune.ts'
import { openMeasures, scoreOf } from '../tasks/measure.ts'
import { taskVector } from '../tasks/vectors.ts'
import { type Config, openFamily } from './config.ts'
import { measureKernel } from './kernel.ts'
import { measureMaps } from './maps.ts'
import { penaltiesOf } from './penalty.ts'
import { alongOf } from './regimes.ts'
import { type Cell, controlName, type Regime, type Row } from './rows.ts'
import { regimesOf, type Site, trainingOf, vectorName, vectorOf } from './site.ts'
import { openVectors } from './vectorFiles.ts'

const coefficients = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.round((i / (count - 1)) * 1e6) / 1e6)

const meanOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length

/** Fine-tune every task in each regime; what is in the folder already is not done again. */
async function tuneAll(
  site: Site,
  { threads, signal, progress }: Pick<Bench<Config, void>, 'threads' | 'signal' | 'progress'>,
): Promise<void> {
  const { family, rates, config, start, vectors, key } = site
  const { steps, batchSize } = config
  const trainings = new Set(regimesOf(config).map(trainingOf))
  const penaltyOf = penaltiesOf(site, { threads, signal })
  const jobs = [...trainings].flatMap((training) => family.tasks.map((task, i) => ({ training, task, i })))
  for (const [n, { training, task, i }] of jobs.entries()) {
    const at = (share: number): void =>
      progress((0.7 * (n + share)) / jobs.length, `${task.name}, ${training}`)
    at(0)
    await vectors.get(vectorName(training, task.name), async () => {
      // all regimes see the same examples in the same order
      const way = training === 'nonlinear' ? 'nonlinear' : 'linear'
      const options = { training: way, start, steps, batchSize, learningRate: rates[way] } as const
      const penalty = training === 'tak' ? await penaltyOf(i) : undefined
      const own = { ...options, penalty, key: random.foldIn(key, i), threads, signal, progress: at }
      return taskVector(await fineTune(family, task, own), start)
    })
  }
}

/** Accuracy of every task with its own vector, by split. */
type Singles = Map<string, { readonly validation: number; readonly test: number }>

async function measureSingles(site: Site, regime: Regime): Promise<Singles> {
  const { family, measures, start } = site
  const found: Singles = new Map()
  for (const task of family.tasks) {
    const along = alongOf(regime, measures, start, [await vectorOf(site, regime, task.name)])
    const at = async (split: 'validation' | 'test') =>
      (await measures.read(task, await along(task, split, [1]))).accuracy
    found.set(task.name, { validation: await at('validation'), test: await at('test') })
  }
  return found
}

/** Over what the task's own vector reaches; a task that even that does not solve at all counts as 1 when nothing is lost. */
const over = (accuracy: number, own: number): number => (own > 0 ? accuracy / own : 1)

/** The sum of all vectors: α on validation, once on test. */
async function measureAddition(site: Site, regime: Regime, singles: Singles): Promise<Row[]> {
  const { family, measures, start, vectors, config } = site
  const sum = vectors.sum(family.tasks.map(({ name }) => vectorName(trainingOf(regime), name)))
  const along = alongOf(regime, measures, start, [sum])
  const at = async (split: 'validation' | 'test', alpha: number) => {
    const found: { task: string; accuracy: number; normalized: number }[] = []
    for (const task of family.tasks) {
      const { accuracy } = await measures.read(task, await along(task, split, [alpha]))
      found.push({ task: task.name, accuracy, normalized: over(accuracy, singles.get(task.name)![split]) })
    }
    return found
  }
  const rows: Row[] = []
  let best = { alpha: 0, normalized: -1 }
  for (const alpha of coefficients(config.alphas)) {
    const found = await at('validation', alpha)
    const normalized = meanOf(found.map((one) => one.normalized))
    rows.push({
      part: 'addition',
      regime,
      alpha,
      accuracy: meanOf(found.map((one) => one.accuracy)),
      normalized,
    })
    if (normalized > best.normalized) best = { alpha, normalized }
  }
  const added = (await at('test', best.alpha)).map(
    (one): Row => ({ part: 'added', regime, alpha: best.alpha, ...one }),
  )
  return [...rows, ...added]
}

/** Each task's vector taken away: the least accuracy whose control is kept, chosen on validation, once on test. */
async function measureNegation(site: Site, regime: Regime): Promise<Row[]> {
  const { family, measures, start, config } = site
  const { control } = family
  const rows: Row[] = []
  for (const task of family.tasks) {
    const along = alongOf(regime, measures, start, [await vectorOf(site, regime, task.name)])
    const scoreAt = async (split: 'validation' | 'test', alpha: number) =>
      scoreOf(await measures.read(control, await along(control, split, [-alpha])), control.score)
    const at = async (split: 'validation' | 'test', alpha: number, before: number) => ({
      accuracy: (await measures.read(task, await along(task, split, [-alpha]))).accuracy,
      kept: before > 0 ? (await scoreAt(split, alpha)) / before : 1,
    })
    const before = { validation: await scoreAt('validation', 0), test: await scoreAt('test', 0) }
    let best = { alpha: 0, accuracy: Number.POSITIVE_INFINITY }
    for (const alpha of coefficients(config.alphas)) {
      const found = await at('validation', alpha, before.validation)
      rows.push({ part: 'negation', regime, task: task.name, alpha, ...found })
      if (found.kept >= config.kept && found.accuracy < best.accuracy)
        best = { alpha, accuracy: found.accuracy }
    }
    const chosen = await at('test', best.alpha, before.test)
    rows.push({ part: 'forgotten', regime, task: task.name, alpha: best.alpha, ...chosen })
  }
  return rows
}

async function measureZero({ family: { tasks, control }, measures, start }: Site): Promise<Row[]> {
  const rows: Row[] = []
  for (const task of tasks) {
    const { accuracy } = await measures.read(task, await measures.features(start, task, 'test'))
    rows.push({ part: 'zero', task: task.name, accuracy })
  }
  const reading = await measures.read(control, await measures.features(start, control, 'test'))
  return [...rows, { part: 'zero', task: controlName, accuracy: scoreOf(reading, control.score) }]
}

/** All rows of a replica from a start. Vectors are kept in its folder, so that a run that was cut goes on with them. */
export async function measureStart(
  { start: from }: Cell,
  { key, config, threads, signal, progress, folder }: Bench<Config, void, unknown>,
): Promise<Row[]> {
  const [forFamily, forTuning, forStart] = random.split(key, 3) as [random.Key, random.Key, random.Key]
  progress(0, 'the family')
  const opened = await openFamily(config, forFamily, { threads, signal })
  const { family, callSize } = opened
  const measures = openMeasures(family, { batchSize: callSize, threads, signal })
  try {
    const start = from === 'random' ? family.random(forStart) : family.pretrained
    const vectors = openVectors(folder, start)
    const site: Site = { ...opened, config, start, measures, vectors, key: forTuning }
    await tuneAll(site, { threads, signal, progress })
    const rows = await measureZero(site)
    const asked = regimesOf(config)
    for (const [r, regime] of asked.entries()) {
      progress(0.7 + (0.2 * r) / asked.length, regime)
      const singles = await measureSingles(site, regime)
      for (const [task, { test }] of singles) rows.push({ part: 'single', regime, task, accuracy: test })
      rows.push(...(await measureAddition(site, regime, singles)))
      if (config.negation && from === 'pretrained') rows.push(...(await measureNegation(site, regime)))
    }
    progress(0.9, 'maps')
    rows.push(...(await measureMaps(site, signal)))
    progress(0.96, 'kernel')
    rows.push(...(await measureKernel(site, signal)))
    return rows
  } finally {
    measures.dispose()
    family.close?.()
  }
}
