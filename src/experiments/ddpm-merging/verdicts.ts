/** @file What the measured losses say, and which claims they bear out. */
import {
  type Conclusion,
  type Estimate,
  geometricMean,
  type RunView,
  shown,
  type Verdict,
} from '../../lab/index.ts'
import type { MergingConfig, MergingResult } from '../ddpm-merging.ts'
import {
  barrierOf,
  bestCompromise,
  bestGain,
  cubicAtMean,
  isUniform,
  lossOf,
  type Measured,
  ofKind,
  onLine,
  quadraticAt,
} from './analyse.ts'
import { type TaskName, tasks } from './work.ts'

export type View = RunView<MergingConfig, MergingResult>

export const measuredOf = (run: View): Measured[] => run.read('losses.json') as unknown as Measured[]

export const titleOf: Readonly<Record<TaskName, string>> = { mnist: 'MNIST', fashion: 'Fashion-MNIST' }

/** Errors of the two checkpoints on 500 of their own test images, by PyTorch (test/fixtures/measure_ddpm.py). */
export const references: Readonly<Record<TaskName, readonly { t: number; error: number }[]>> = {
  mnist: [
    { t: 100, error: 0.0683 },
    { t: 300, error: 0.0327 },
    { t: 600, error: 0.0084 },
    { t: 900, error: 0.0028 },
  ],
  fashion: [
    { t: 20, error: 0.3255 },
    { t: 100, error: 0.1324 },
    { t: 300, error: 0.042 },
    { t: 600, error: 0.0091 },
    { t: 900, error: 0.0037 },
  ],
}

export const referenceAt = (task: TaskName, t: number): number =>
  references[task].find((one) => one.t === t)!.error

const isAbove = ({ value, error }: Estimate, times: number): boolean => value > times * (error ?? 0)

const verdict = (
  claim: string,
  { value, error }: Estimate,
  predicted: number | null,
  pass: boolean,
  control = false,
): Verdict => ({ claim, measured: value, error, predicted, pass, control })

const exactly = (value: number): Estimate => ({ value, error: null })

function referenceVerdict({ times }: MergingResult): Verdict {
  const ratio = geometricMean(
    tasks.flatMap((task) => times[task].map(({ t, value }) => value / referenceAt(task, t))),
  )
  return verdict(
    'noise-prediction errors of both models on their own test images over those of PyTorch, geometric mean over times (within 5 % or 3 errors)',
    ratio,
    1,
    Math.abs(ratio.value - 1) <= Math.max(0.05, 3 * (ratio.error ?? 0)),
  )
}

function initializationVerdicts({ distances }: MergingResult): Verdict[] {
  return [
    verdict(
      'one initialization: weights that the loss cannot see (te1, which adds a constant that a LayerNorm removes) are the same in both models (distance below 0.05; about 1.4 when independent)',
      exactly(distances.te1),
      0,
      distances.te1 < 0.05,
    ),
    verdict(
      'one initialization, control: weights that the loss does see (down1) are far apart (distance above 0.5)',
      exactly(distances.down1),
      null,
      distances.down1 > 0.5,
      true,
    ),
  ]
}

function barrierVerdicts(list: readonly Measured[], task: TaskName): Verdict[] {
  const barrier = barrierOf(list, task)
  const atMean = lossOf(onLine(list, 0), task)
  const quadratic = quadraticAt(list, task, 1)
  return [
    verdict(
      `${titleOf[task]}: a barrier stands between the two models: loss at the mean minus the mean of the ends (above 3 errors)`,
      barrier,
      null,
      isAbove(barrier, 3),
    ),
    verdict(
      `${titleOf[task]}: loss at the mean as its own model's second-order expansion predicts (within 25 %)`,
      atMean,
      quadratic.value,
      Math.abs(atMean.value / quadratic.value - 1) <= 0.25,
    ),
  ]
}

/** Gains of schedules that grow with depth, and of the reversed ones, which must have none. */
function gainVerdicts(list: readonly Measured[], task: TaskName): Verdict[] {
  const other = task === 'mnist' ? 'fashion' : 'mnist'
  return (['growing', 'falling'] as const).flatMap((kind) => {
    const found = bestGain(list, ofKind(list, 'depth', kind), task)
    if (!found) return []
    const does = isAbove(found.gain, 2)
    const what =
      kind === 'growing'
        ? `LiNeS (factors that grow with depth) gives a lower ${titleOf[task]} loss than uniform scaling at equal ${titleOf[other]} loss`
        : `reversed schedules (factors that fall with depth) give no lower ${titleOf[task]} loss at equal ${titleOf[other]} loss`
    return verdict(
      `${what}: gain of the best on images it was not chosen on (${kind === 'growing' ? 'above' : 'below'} 2 errors; ${found.chosen.name})`,
      found.gain,
      null,
      kind === 'growing' ? does : !does,
      kind === 'falling',
    )
  })
}

/** The task vectors from the mean cancel: methods that scale their sum give back the mean. */
function cancellationVerdict(list: readonly Measured[]): Verdict {
  const middle = onLine(list, 0)
  const apart = list
    .filter(({ name }) => name === 'model_stock' || name === 'consensus')
    .flatMap((one) => tasks.map((task) => Math.abs(lossOf(one, task).value - lossOf(middle, task).value)))
  const most = Math.max(...apart)
  return verdict(
    'task vectors from the mean sum to zero: model_stock and consensus have the losses of the mean (within 0.0001)',
    exactly(most),
    0,
    most < 1e-4,
  )
}

export const verdictsOf = (run: View): Verdict[] => {
  const list = measuredOf(run)
  return [
    referenceVerdict(run.result),
    ...initializationVerdicts(run.result),
    ...tasks.flatMap((task) => barrierVerdicts(list, task)),
    cancellationVerdict(list),
    ...tasks.flatMap((task) => gainVerdicts(list, task)),
  ]
}

const pairText = (one: Measured): string =>
  tasks.map((task) => `${shown(lossOf(one, task), 4)} on ${titleOf[task]}`).join(' and ')

/** In which tenth of the times the mean loses most over a task's own model, as a share of the whole loss. */
export function worstTenth(list: readonly Measured[], task: TaskName): { tenth: number; share: number } {
  const [own, middle] = [onLine(list, task === 'mnist' ? 1 : -1), onLine(list, 0)]
  const excess = middle.loss[task].bins.map((value, b) => value - own.loss[task].bins[b]!)
  const total = excess.reduce((sum, value) => sum + value, 0)
  const tenth = excess.indexOf(Math.max(...excess))
  return { tenth, share: excess[tenth]! / total }
}

export function concludeMerging(run: View): Conclusion {
  const list = measuredOf(run)
  const [mnist, middle, fashion] = [1, 0, -1].map((lambda) => onLine(list, lambda)) as [
    Measured,
    Measured,
    Measured,
  ]
  const barriers = tasks.map((task) => barrierOf(list, task))
  const lines = bestCompromise(list.filter((one) => one.family === 'depth' && !isUniform(one)))!
  const best = bestCompromise(list)!
  const worst = tasks.map((task) => worstTenth(list, task))
  const cubic = tasks.map((task) => cubicAtMean(list, task))
  const range = (tenth: number): string => `t ${100 * tenth} to ${100 * tenth + 99}`
  return {
    headline: `barrier at the mean ${barriers.map((b, i) => `${shown(b, 3)} (${titleOf[tasks[i]!]})`).join(', ')}; best mean loss: ${best.name}`,
    paragraph:
      `The model trained on MNIST has a loss of ${pairText(mnist)}, the one trained on Fashion-MNIST ${pairText(fashion)}; ` +
      `their mean ${pairText(middle)}. The cubic with the values and slopes of both ends would have ` +
      `${cubic.map((c) => shown(c, 3)).join(' and ')} there. ` +
      `The mean loses most at ${range(worst[0]!.tenth)} on MNIST (${(100 * worst[0]!.share).toFixed(0)} % of what it loses) and at ` +
      `${range(worst[1]!.tenth)} on Fashion-MNIST (${(100 * worst[1]!.share).toFixed(0)} %). ` +
      `Of the layer-wise scalings the best compromise is ${lines.name}: ${pairText(lines)}. ` +
      'The real base, the initialization, is not available; the mean takes its place, so the two task vectors are each other’s negative, and every uniform combination of them lies on one line.',
    numbers: [
      { label: 'MNIST model', value: pairText(mnist) },
      { label: 'Fashion-MNIST model', value: pairText(fashion) },
      { label: 'the mean', value: pairText(middle) },
      { label: 'best LiNeS', value: pairText(lines), note: lines.name },
    ],
    verdicts: verdictsOf(run),
  }
}
