/** @file A training run at work: its state as one object, and what happens to it between two calls of the runtime. */
import { breathe, didYouMean, fail } from '../../base/index.ts'
import { type CompileOptions, random, type Tensor, tensor } from '../../tensor/index.ts'
import type { Key, Parameters } from '../layer.ts'
import { copyParameters } from '../parameters.ts'
import type { Feed } from './batches.ts'
import { type Counters, type Fingerprint, saveTraining } from './checkpoint.ts'
import type { TableFunction } from './evaluate.ts'
import { firstNonFinite, reportNonFinite } from './guard.ts'
import type { Batch, MetricsLine, TrainOptions } from './options.ts'
import type { Plan } from './plan.ts'
import type { progressMeter } from './progress.ts'
import type { makeStep, TrainState } from './step.ts'

/** Everything a run is made of; `counters`, `best`, `sides` and `calls` change as it goes. */
export interface Run<P extends Parameters, B extends Batch> {
  readonly options: TrainOptions<P, B>
  readonly runtime: CompileOptions
  readonly feed: Feed<B>
  readonly plan: Plan<P, B>
  readonly step: ReturnType<typeof makeStep<P, B>>
  /** The compiled step and its state. */
  readonly program: {
    readonly state: TrainState
    readonly step: (inputs: Feed<B>['inputs'], scalars: Tensor, keys: Tensor) => Promise<Tensor>
  }
  readonly tables: readonly TableFunction<P, B>[]
  readonly fingerprint: Fingerprint
  readonly meter: ReturnType<typeof progressMeter>
  /** Inputs of a call beside the batch: rates and the like [slots, …], a key of each step [slots, 2]. */
  readonly scalars: Tensor
  readonly keys: Tensor
  readonly forSteps: Key
  readonly rate: (step: number) => number
  /** All parameters, the frozen ones among them. */
  readonly join: (trainable: Parameters) => P
  counters: Counters
  best: Parameters | undefined
  /** The state lives in two buffers in turn: two sets of views serve all steps. */
  readonly sides: TrainState[]
  calls: number
}

/** Views of the state as it is now. */
const currentState = <P extends Parameters, B extends Batch>(run: Run<P, B>): TrainState => {
  run.sides[run.calls % 2] ??= run.program.state
  return run.sides[run.calls % 2]!
}

/** Write the checkpoint, if there is to be one. Throws TL_NOT_FINITE rather than keep a broken state. */
function save<P extends Parameters, B extends Batch>(run: Run<P, B>): void {
  const { checkpoint } = run.options
  if (!checkpoint) return
  const { counters, rate } = run
  const { trainable, optimizer, average } = currentState(run)
  const bad = firstNonFinite(currentState(run))
  if (bad)
    fail(
      'TL_NOT_FINITE',
      `training stopped after step ${counters.step}: ${bad} is not finite (no checkpoint was written; lower the learning rate, now ${rate(counters.step - 1).toPrecision(3)})`,
    )
  const marks = [0, Math.floor(counters.step / 2), counters.step - 1].filter(
    (at) => at >= 0 && at < counters.step,
  )
  saveTraining(checkpoint.path, {
    fingerprint: run.fingerprint,
    rates: Object.fromEntries(marks.map((at) => [at, rate(at)])),
    counters,
    trees: {
      parameters: run.join(trainable),
      optimizer,
      ...(average && { average }),
      ...(run.best && { best: run.best }),
    },
  })
}

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)

/** Means of the evaluations that are due, by metric. */
async function evaluate<P extends Parameters, B extends Batch>(
  run: Run<P, B>,
  isDue: (index: number) => boolean,
): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  const { trainable, average } = currentState(run)
  for (const [i, { name = 'validation', data }] of run.plan.evaluations.entries()) {
    if (!isDue(i)) continue
    const means = await run.tables[i]!.means(run.join(average ?? trainable), data)
    for (const [metric, value] of Object.entries(means)) found[name + capital(metric)] = value
  }
  return found
}

/** Keep the parameters when the watched metric is better than ever; end the run when it has not been for too long. */
function watch<P extends Parameters, B extends Batch>(run: Run<P, B>, line: MetricsLine): void {
  const { counters } = run
  const { metric, goal = 'min', minDelta = 0, patience = Number.POSITIVE_INFINITY } = run.options.best!
  const value = line[metric]
  if (value === undefined)
    fail(
      'TL_BAD_ARGUMENT',
      `best.metric: unknown metric "${metric}", ${didYouMean(metric, Object.keys(line))}`,
    )
  const old = counters.best?.value ?? (goal === 'min' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY)
  if ((goal === 'min' ? old - value : value - old) > minDelta) {
    const { trainable, average } = currentState(run)
    run.best = copyParameters(average ?? trainable)
    counters.best = { step: counters.step, value }
    counters.stale = 0
  } else if (++counters.stale >= patience) counters.reason = 'patience'
}

/** Means of what the steps since the last report said. */
function takeMeans<P extends Parameters, B extends Batch>({
  counters,
  step,
}: Run<P, B>): Record<string, number> {
  if (counters.summed === 0) return {}
  const means = step.reported().map((name, i) => [name, counters.sums[i]! / counters.summed])
  counters.sums = []
  counters.summed = 0
  return Object.fromEntries(means)
}

/** Report, evaluate, watch, stop and save, where it is time. */
async function afterCall<P extends Parameters, B extends Batch>(run: Run<P, B>): Promise<void> {
  const { options, plan, counters } = run
  const done = counters.step
  const isLast = done >= plan.total
  const isLogged = isLast || done % plan.logEvery === 0
  const isDue = (i: number): boolean => isLast || done % plan.evaluateEvery[i]! === 0
  const isEvaluated = plan.evaluations.some((_, i) => isDue(i))
  if (isLogged || isEvaluated) {
    const means = isLogged ? takeMeans(run) : {}
    const line: MetricsLine = {
      step: done,
      ...(plan.perEpoch && { epoch: done / plan.perEpoch }),
      ...(isLogged && { learningRate: run.rate(done - 1) }),
      ...means,
      ...(isEvaluated && (await evaluate(run, isDue))),
    }
    const { step: _, ...values } = line
    Object.assign(counters.metrics, values)
    options.onMetrics?.(line)
    if (plan.watched !== undefined && isDue(plan.watched)) watch(run, line)
    if (!counters.reason && options.stopWhen?.(line)) counters.reason = 'stopWhen'
  }
  if (plan.snapshots.has(done)) {
    const { trainable, average } = currentState(run)
    const goesOn = await options.snapshots!.use(run.join(copyParameters(average ?? trainable)), done)
    if (!goesOn) counters.reason ??= 'stopWhen'
  }
  if (isLast) counters.reason ??= 'steps'
  if (counters.reason || done % plan.checkpointEvery === 0) save(run)
}

/** Batches, rates and keys of the next call. */
async function fillCall<P extends Parameters, B extends Batch>(run: Run<P, B>): Promise<void> {
  const { feed, step, rate, scalars, keys, plan, counters } = run
  const width = (scalars.data as Float64Array).length / plan.slots
  for (let k = 0; k < plan.slots; k++) {
    const at = counters.step + k
    const filled = feed.fill(k, at)
    if (filled) await filled
    ;(scalars.data as Float64Array).set(step.scalars(at, rate(at)), k * width)
    ;(keys.data as Uint32Array).set(random.foldIn(run.forSteps, at), 2 * k)
  }
}

/** One call of the runtime, `plan.slots` steps. Throws TL_NOT_FINITE, with what went wrong first, when a loss is not finite. */
async function oneCall<P extends Parameters, B extends Batch>(run: Run<P, B>): Promise<void> {
  const { feed, step, keys, plan, counters } = run
  const first = counters.step
  await fillCall(run)
  const before = currentState(run)
  const report = await run.program.step(feed.inputs, run.scalars, keys)
  run.calls++
  const values = report.data as Float32Array
  const width = values.length / plan.slots
  for (let k = 0; k < plan.slots; k++) {
    if (!Number.isFinite(values[k * width]))
      await reportNonFinite(
        {
          step: first + k,
          loss: values[k * width]!,
          learningRate: run.rate(first + k),
          batch: feed.slot(k),
          key: tensor((keys.data as Uint32Array).slice(2 * k, 2 * k + 2)),
          before,
          after: currentState(run),
          objective: step.objective,
        },
        run.runtime,
      )
    for (let i = 0; i < width; i++) counters.sums[i] = (counters.sums[i] ?? 0) + values[k * width + i]!
    run.meter.add(values[k * width]!)
  }
  counters.summed += plan.slots
  counters.step = first + plan.slots
}

/** Call after call until the run is over. Throws TL_INTERRUPTED once the signal is aborted and the state is saved. */
export async function runToEnd<P extends Parameters, B extends Batch>(run: Run<P, B>): Promise<void> {
  const { options, plan, counters, meter } = run
  if (counters.reason === 'steps' && counters.step < plan.total) counters.reason = undefined
  meter.update(counters, true)
  let breathed = performance.now()
  while (!counters.reason && counters.step < plan.total) {
    if (options.signal?.aborted) {
      save(run)
      const where = options.checkpoint ? `; the state is in ${options.checkpoint.path}` : ''
      fail('TL_INTERRUPTED', `interrupted after step ${counters.step} of ${plan.total}${where}`)
    }
    await oneCall(run)
    await afterCall(run)
    meter.update(counters, counters.step >= plan.total)
    if (performance.now() - breathed > 50) {
      // the runtime works on this thread: timers and signals come in here
      await breathe()
      breathed = performance.now()
    }
  }
}
