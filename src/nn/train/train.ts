/**
 * @file The training loop. Order of data, dropout and schedules are functions of the step's number, so that the state in a
 * checkpoint is all there is to remember: a run that was cut goes on to the same bits.
 */
import { type CompileOptions, compileStep, leaves, random, showSpec, tensor } from '../../tensor/index.ts'
import type { Parameters } from '../layer.ts'
import { constant } from '../optimizers/schedules.ts'
import { partition } from '../parameters.ts'
import { type Feed, makeFeed } from './batches.ts'
import { type Counters, type Fingerprint, loadTraining, type SavedTraining } from './checkpoint.ts'
import { overTable } from './evaluate.ts'
import type { Batch, TrainOptions, TrainResult } from './options.ts'
import { planOf } from './plan.ts'
import { progressMeter } from './progress.ts'
import { type Run, runToEnd } from './run.ts'
import { makeStep, type TrainState } from './step.ts'

/**
 * Minimize a loss. Throws TL_NOT_FINITE when the loss becomes NaN or infinite, TL_INTERRUPTED on the signal (the step is
 * finished and the checkpoint written first), TL_BAD_CONFIG when a checkpoint belongs to another run.
 */
export async function train<P extends Parameters, B extends Batch>(
  options: TrainOptions<P, B>,
): Promise<TrainResult<P>> {
  const { seed = 0, checkpoint } = options
  const [forData, forSteps] = random.split(random.key(seed))
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
  const plan = planOf(options, feed)
  const { learningRate } = options
  const schedule = typeof learningRate === 'number' ? constant(learningRate) : learningRate
  const rate = (at: number): number => schedule(at, plan.total)
  const fingerprint = fingerprintOf(options, feed, halves.chosen)
  const saved = options.resume && checkpoint ? loadTraining(checkpoint.path, fingerprint, rate) : undefined
  const { counters, state, best } = restored(saved, step.initial(halves.chosen))
  if (saved) options.onResume?.(counters.step)

  const { slots } = plan
  const runtime: CompileOptions = {
    ...(options.threads !== undefined && { threads: options.threads }),
    ...(options.backend !== undefined && { backend: options.backend }),
  }
  const scalarCount = step.scalars(0, 0).length
  const program = await compileStep(
    step.run,
    state,
    [feed.specs, { shape: [scalarCount], dtype: step.dtype }, { shape: [2], dtype: 'u32' }],
    { name: 'training step', stepsPerCall: slots, ...runtime },
  )
  const tables = plan.evaluations.map(({ measure, batchSize }) =>
    overTable(measure, { batchSize: batchSize ?? feed.batchSize, ...runtime }),
  )
  const scalars = tensor(new (step.dtype === 'f64' ? Float64Array : Float32Array)(slots * scalarCount), {
    shape: slots === 1 ? [scalarCount] : [slots, scalarCount],
  })
  const keys = tensor(new Uint32Array(2 * slots), { shape: slots === 1 ? [2] : [slots, 2] })
  const meter = progressMeter(options.onProgress, { ...plan, batchSize: feed.batchSize })
  const run: Run<P, B> = {
    ...{ options, runtime, feed, plan, step, program, tables, fingerprint, meter, scalars, keys, forSteps },
    ...{ rate, join, counters, best, sides: [], calls: 0 },
  }
  try {
    await runToEnd(run)
    const { trainable, average } = program.copyState()
    return {
      parameters: join(trainable),
      ...(average && { average: join(average) }),
      ...(run.best && counters.best && { best: { ...counters.best, parameters: join(run.best) } }),
      step: counters.step,
      reason: counters.reason ?? 'steps',
      metrics: counters.metrics,
    }
  } finally {
    program.dispose()
    for (const table of tables) table.dispose()
  }
}

/** What a checkpoint must have been made with to be gone on from. */
const fingerprintOf = <P extends Parameters, B extends Batch>(
  { seed = 0, optimizer, clipNorm, averageDecay, config }: TrainOptions<P, B>,
  feed: Feed<B>,
  trainable: Parameters,
): Fingerprint => ({
  seed,
  batchSize: feed.batchSize,
  examples: feed.size ?? 'endless',
  optimizer: { name: optimizer.name, ...optimizer.settings },
  parameters: leaves(trainable).map(showSpec).join(' '),
  clipNorm: clipNorm ?? null,
  averageDecay: typeof averageDecay === 'function' ? 'by step' : (averageDecay ?? null),
  config: config ?? null,
})

/** Where a run begins: at nothing, or at the state of a checkpoint, in trees like those of a new run. */
function restored(
  saved: SavedTraining | undefined,
  like: TrainState,
): { counters: Counters; state: TrainState; best: Parameters | undefined } {
  if (!saved) {
    const none = { sums: [], summed: 0, metrics: {}, best: undefined, stale: 0, reason: undefined }
    return { counters: { step: 0, ...none }, state: like, best: undefined }
  }
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
