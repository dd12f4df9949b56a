/**
 * @file The training loop. Order of data, dropout and schedules are functions of the step's number, so that the state in a
 * checkpoint is all there is to remember: a run that was cut goes on to the same bits.
 */
import { didYouMean, fail } from '../../base/index.ts'
import { type CompileOptions, compileStep, leaves, random, showSpec, tensor } from '../../tensor/index.ts'
import type { Key, Parameters } from '../layer.ts'
import { constant } from '../optimizers/schedules.ts'
import { copyParameters, partition } from '../parameters.ts'
import { type Feed, makeFeed } from './batches.ts'
import {
  type Counters,
  type Fingerprint,
  loadTraining,
  type SavedTraining,
  saveTraining,
} from './checkpoint.ts'
import { overTable } from './evaluate.ts'
import { firstNonFinite, reportNonFinite } from './guard.ts'
import type { Batch, Evaluation, MetricsLine, TrainOptions, TrainResult } from './options.ts'
import { progressMeter } from './progress.ts'
import { makeStep, type TrainState } from './step.ts'

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)

/** Intervals and lengths in steps, checked. */
function plan<P extends Parameters, B extends Batch>(options: TrainOptions<P, B>, feed: Feed<B>) {
  const { steps, epochs, stepsPerCall: slots = 1 } = options
  if ((steps === undefined) === (epochs === undefined))
    fail('TL_BAD_ARGUMENT', `train: expected either steps or epochs, got steps ${steps}, epochs ${epochs}`)
  if (epochs !== undefined && feed.size === undefined)
    fail('TL_BAD_ARGUMENT', 'epochs: endless data have none (give steps)')
  const upToSlots = (n: number): number => Math.ceil(Math.max(1, n) / slots) * slots
  const perEpoch = feed.size === undefined ? undefined : feed.size / feed.batchSize
  const total = steps ?? upToSlots(epochs! * perEpoch!)
  if (!Number.isSafeInteger(total) || total < 0)
    fail(
      'TL_BAD_ARGUMENT',
      `${steps === undefined ? 'epochs' : 'steps'}: expected a number >= 0, got ${steps ?? epochs}`,
    )
  const evaluations = [options.evaluate ?? []].flat() as Evaluation<P, B>[]
  const intervals = {
    logEvery: options.logEvery ?? upToSlots(Math.round(total / 100)),
    checkpointEvery: options.checkpoint?.every ?? upToSlots(total),
    evaluateEvery: evaluations.map(({ every }) => every ?? upToSlots(Math.round(perEpoch ?? total / 10))),
  }
  for (const [name, n] of Object.entries({ ...intervals, steps: total }).flatMap(([key, v]) =>
    [v].flat().map((w) => [key, w] as const),
  ))
    if (name !== 'steps' && (!Number.isSafeInteger(n) || n < 1))
      fail('TL_BAD_ARGUMENT', `${name}: expected a whole number of steps >= 1, got ${n}`)
    else if (n % slots !== 0)
      fail('TL_BAD_ARGUMENT', `${name}: ${n} is not a multiple of stepsPerCall ${slots}`)
  return { total, slots, perEpoch, evaluations, ...intervals }
}

/** Let timers and signals in: the runtime works on this thread. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Minimize a loss. Throws TL_NOT_FINITE when the loss becomes NaN or infinite, TL_INTERRUPTED on the signal (the step is
 * finished and the checkpoint written first), TL_BAD_CONFIG when a checkpoint belongs to another run.
 */
export async function train<P extends Parameters, B extends Batch>(
  options: TrainOptions<P, B>,
): Promise<TrainResult<P>> {
  const { seed = 0, optimizer, checkpoint, signal, best: watched } = options
  const runtime: CompileOptions = {
    ...(options.threads !== undefined && { threads: options.threads }),
    ...(options.backend !== undefined && { backend: options.backend }),
  }
  const schedule =
    typeof options.learningRate === 'number' ? constant(options.learningRate) : options.learningRate
  const [forData, forSteps] = random.split(random.key(seed)) as [Key, Key]
  const halves = partition(options.parameters, (name) => !(options.isFrozen?.(name) ?? false))
  const join = (trainable: Parameters): P => halves.join(trainable, halves.others)
  const step = makeStep(options, halves.chosen, join)

  const feed = await makeFeed<B>({
    data: options.data,
    batchSize: options.batchSize,
    key: forData,
    shuffle: options.shuffle ?? true,
    slots: options.stepsPerCall ?? 1,
    firstStep: 0,
    augment: options.augment,
  })
  const { total, slots, perEpoch, evaluations, ...every } = plan(options, feed)
  const rate = (at: number): number => schedule(at, total)

  let state = step.initial(halves.chosen)
  let best: Parameters | undefined
  let counters: Counters = {
    step: 0,
    sums: [],
    summed: 0,
    metrics: {},
    best: undefined,
    stale: 0,
    reason: undefined,
  }
  const fingerprint: Fingerprint = {
    seed,
    batchSize: feed.batchSize,
    examples: feed.size ?? 'endless',
    optimizer: { name: optimizer.name, ...optimizer.settings },
    parameters: leaves(halves.chosen).map(showSpec).join(' '),
    clipNorm: options.clipNorm ?? null,
    averageDecay: options.averageDecay ?? null,
    config: options.config ?? null,
  }
  const saved = options.resume && checkpoint ? loadTraining(checkpoint.path, fingerprint, rate) : undefined
  if (saved) {
    ;({ counters, state, best } = restored(saved, state))
    options.onResume?.(counters.step)
  }

  const scalarCount = step.scalars(0, 0).length
  const scalars = tensor(new (step.dtype === 'f64' ? Float64Array : Float32Array)(slots * scalarCount), {
    shape: slots === 1 ? [scalarCount] : [slots, scalarCount],
  })
  const keys = tensor(new Uint32Array(2 * slots), { shape: slots === 1 ? [2] : [slots, 2] })
  const program = await compileStep(
    step.run,
    state,
    [feed.specs, { shape: [scalarCount], dtype: step.dtype }, { shape: [2], dtype: 'u32' }],
    { name: 'training step', stepsPerCall: slots, ...runtime },
  )
  const tables = evaluations.map(({ measure, batchSize }) =>
    overTable(measure, { batchSize: batchSize ?? feed.batchSize, ...runtime }),
  )
  // the state lives in two buffers in turn: two sets of views serve all steps
  const sides: TrainState[] = []
  let calls = 0
  const current = (): TrainState => (sides[calls % 2] ??= program.state)

  const save = (): void => {
    if (!checkpoint) return
    const { trainable, optimizer: moments, average } = current()
    const bad = firstNonFinite(current())
    if (bad)
      fail(
        'TL_NOT_FINITE',
        `training stopped after step ${counters.step}: ${bad} is not finite (no checkpoint was written; lower the learning rate, now ${rate(counters.step - 1).toPrecision(3)})`,
      )
    const marks = [0, Math.floor(counters.step / 2), counters.step - 1].filter(
      (at) => at >= 0 && at < counters.step,
    )
    saveTraining(checkpoint.path, {
      fingerprint,
      rates: Object.fromEntries(marks.map((at) => [at, rate(at)])),
      counters,
      trees: {
        parameters: join(trainable),
        optimizer: moments,
        ...(average && { average }),
        ...(best && { best }),
      },
    })
  }

  const measure = async (due: (index: number) => boolean): Promise<Record<string, number>> => {
    const found: Record<string, number> = {}
    const { trainable, average } = current()
    for (const [i, { name = 'validation', data }] of evaluations.entries()) {
      if (!due(i)) continue
      const means = await tables[i]!.means(join(average ?? trainable), data)
      for (const [metric, value] of Object.entries(means)) found[name + capital(metric)] = value
    }
    return found
  }

  const watchedTable =
    watched && evaluations.findIndex(({ name = 'validation' }) => watched.metric.startsWith(name))
  if (watchedTable === -1)
    fail(
      'TL_BAD_ARGUMENT',
      `best.metric: "${watched!.metric}" belongs to no evaluation (their names: ${evaluations.map(({ name = 'validation' }) => name).join(', ') || 'none'})`,
    )
  const watch = (line: MetricsLine): void => {
    const { metric, goal = 'min', minDelta = 0, patience = Number.POSITIVE_INFINITY } = watched!
    const value = line[metric]
    if (value === undefined)
      fail(
        'TL_BAD_ARGUMENT',
        `best.metric: unknown metric "${metric}", ${didYouMean(metric, Object.keys(line))}`,
      )
    const old = counters.best?.value ?? (goal === 'min' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY)
    if ((goal === 'min' ? old - value : value - old) > minDelta) {
      const { trainable, average } = current()
      best = copyParameters(average ?? trainable)
      counters.best = { step: counters.step, value }
      counters.stale = 0
    } else if (++counters.stale >= patience) counters.reason = 'patience'
  }

  /** Everything that happens between two calls of the runtime. */
  const rest = async (lastRate: number): Promise<void> => {
    const done = counters.step
    const isLast = done >= total
    const isLogged = isLast || done % every.logEvery === 0
    const due = (i: number): boolean => isLast || done % every.evaluateEvery[i]! === 0
    const evaluated = evaluations.some((_, i) => due(i))
    if (isLogged || evaluated) {
      const means = isLogged ? reportMeans() : {}
      const line: MetricsLine = {
        step: done,
        ...(perEpoch && { epoch: done / perEpoch }),
        ...(isLogged && { learningRate: lastRate }),
        ...means,
        ...(evaluated && (await measure(due))),
      }
      const { step: _, ...values } = line
      Object.assign(counters.metrics, values)
      options.onMetrics?.(line)
      if (watchedTable !== undefined && due(watchedTable)) watch(line)
      if (!counters.reason && options.stopWhen?.(line)) counters.reason = 'stopWhen'
    }
    if (isLast) counters.reason ??= 'steps'
    if (counters.reason || done % every.checkpointEvery === 0) save()
  }
  const reportMeans = (): Record<string, number> => {
    if (counters.summed === 0) return {}
    const means = step.reported().map((name, i) => [name, counters.sums[i]! / counters.summed])
    counters.sums = []
    counters.summed = 0
    return Object.fromEntries(means)
  }

  const meter = progressMeter(options.onProgress, { total, batchSize: feed.batchSize, perEpoch })
  try {
    if (counters.reason === 'steps' && counters.step < total) counters.reason = undefined
    meter.update(counters, true)
    let breathed = performance.now()
    while (!counters.reason && counters.step < total) {
      if (signal?.aborted) {
        save()
        fail(
          'TL_INTERRUPTED',
          `interrupted after step ${counters.step} of ${total}${checkpoint ? `; the state is in ${checkpoint.path}` : ''}`,
        )
      }
      const first = counters.step
      for (let k = 0; k < slots; k++) {
        const filled = feed.fill(k, first + k)
        if (filled) await filled
        ;(scalars.data as Float64Array).set(step.scalars(first + k, rate(first + k)), k * scalarCount)
        ;(keys.data as Uint32Array).set(random.foldIn(forSteps, first + k), 2 * k)
      }
      const before = current()
      const report = await program.step(feed.inputs, scalars, keys)
      calls++
      const values = report.data as Float32Array
      const width = values.length / slots
      for (let k = 0; k < slots; k++) {
        if (!Number.isFinite(values[k * width]))
          await reportNonFinite(
            {
              step: first + k,
              loss: values[k * width]!,
              learningRate: rate(first + k),
              batch: feed.slot(k),
              key: tensor((keys.data as Uint32Array).slice(2 * k, 2 * k + 2)),
              before,
              after: current(),
              objective: step.objective,
            },
            runtime,
          )
        for (let i = 0; i < width; i++) counters.sums[i] = (counters.sums[i] ?? 0) + values[k * width + i]!
        meter.add(values[k * width]!)
      }
      counters.summed += slots
      counters.step = first + slots
      await rest(rate(counters.step - 1))
      meter.update(counters, counters.step >= total)
      if (performance.now() - breathed > 50) {
        await breathe()
        breathed = performance.now()
      }
    }
    const { trainable, average } = program.copyState()
    return {
      parameters: join(trainable),
      ...(average && { average: join(average) }),
      ...(best && counters.best && { best: { ...counters.best, parameters: join(best) } }),
      step: counters.step,
      reason: counters.reason ?? 'steps',
      metrics: counters.metrics,
    }
  } finally {
    program.dispose()
    for (const table of tables) table.dispose()
  }
}

/** The state of a checkpoint, in trees like those of a new run. */
function restored(
  saved: SavedTraining,
  like: TrainState,
): { counters: Counters; state: TrainState; best: Parameters | undefined } {
  const { trainable, optimizer, average } = like
  return {
    counters: saved.counters,
    state: {
      trainable: saved.tree('parameters', trainable),
      optimizer: saved.tree('optimizer', optimizer),
      ...(average && { average: saved.tree('average', average) }),
    },
    best: saved.has('best') ? saved.tree('best', trainable) : undefined,
  }
}
