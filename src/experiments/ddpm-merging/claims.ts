/** @file What the measured losses say, and which claims they bear out. */
import { percent } from '../../base/index.ts'
import { type Claim, claim, control, type Estimate, exact, type Findings, shown } from '../../lab/index.ts'
import {
  barrierOf,
  besideQuadratic,
  bestCompromise,
  bestGain,
  cubicAtMean,
  layerWise,
  lossOf,
  type Measured,
  ofKind,
  onLine,
  worstTenth,
} from './analyse.ts'
import { type TaskName, tasks, titleOf } from './losses.ts'
import { distanceIn, overReferences, type Rows } from './rows.ts'

function barrierClaims(list: readonly Measured[], task: TaskName): Claim[] {
  const { measured, predicted } = besideQuadratic(list, task)
  return [
    claim(
      `${titleOf[task]}: a barrier stands between the two models: loss at the mean minus the mean of the ends`,
      barrierOf(list, task),
    ).atLeast(0),
    claim(
      `${titleOf[task]}: loss at the mean as its own model's second-order expansion predicts`,
      measured,
    ).equals(predicted, { share: 0.25 }),
  ]
}

/** Gains of schedules that grow with depth, and of the reversed ones, which must have none. */
function gainClaims(list: readonly Measured[], task: TaskName): Claim[] {
  const other = titleOf[task === 'mnist' ? 'fashion' : 'mnist']
  const [growing, falling] = (['growing', 'falling'] as const).map((kind) =>
    bestGain(list, ofKind(list, 'depth', kind), task),
  )
  const where = `at equal ${other} loss: gain of the best on images it was not chosen on`
  return [
    ...(growing
      ? [
          claim(
            `LiNeS (factors that grow with depth) gives a lower ${titleOf[task]} loss than uniform scaling ${where}`,
            growing.gain,
          ).atLeast(0),
        ]
      : []),
    ...(falling
      ? [
          control(
            `reversed schedules (factors that fall with depth) give no lower ${titleOf[task]} loss ${where}`,
            falling.gain,
          ).atMost(0),
        ]
      : []),
  ]
}

/** The task vectors from the mean cancel: by how much methods that scale their sum miss the losses of the mean at most. */
function largestMiss(list: readonly Measured[]): number {
  const middle = onLine(list, 0)
  return Math.max(
    ...list
      .filter(({ name }) => name === 'model_stock' || name === 'consensus')
      .flatMap((one) => tasks.map((task) => Math.abs(lossOf(one, task).value - lossOf(middle, task).value))),
  )
}

export const claimsOf = (list: readonly Measured[], rows: Rows): Claim[] => [
  claim(
    'noise-prediction errors of both models on their own test images over those of PyTorch, geometric mean over times',
    overReferences(rows),
  ).equals(1, { share: 0.05 }),
  claim(
    'one initialization: weights that the loss cannot see (te1, which adds a constant that a LayerNorm removes) are the same in both models, distance; about 1.4 when independent',
    exact(distanceIn(rows, 'te1')),
  ).vanishes({ below: 0.05 }),
  control(
    'one initialization: weights that the loss does see (down1) are far apart, distance',
    exact(distanceIn(rows, 'down1')),
  ).atLeast(0.5),
  ...tasks.flatMap((task) => barrierClaims(list, task)),
  claim(
    'task vectors from the mean sum to zero: model_stock and consensus have the losses of the mean, largest difference',
    exact(largestMiss(list)),
  ).vanishes({ below: 1e-4 }),
  ...tasks.flatMap((task) => gainClaims(list, task)),
]

const pairText = (one: Measured): string =>
  tasks.map((task) => `${shown(lossOf(one, task), 4)} on ${titleOf[task]}`).join(' and ')

const both = (estimates: readonly Estimate[]): string => estimates.map((one) => shown(one, 3)).join(' and ')

/** Headline, paragraph and key numbers. */
export function mergingFindings(
  list: readonly Measured[],
  rows: Rows,
): Pick<Findings, 'headline' | 'paragraph' | 'numbers' | 'result'> {
  const [mnist, middle, fashion] = [onLine(list, 1), onLine(list, 0), onLine(list, -1)]
  const barriers = tasks.map((task) => barrierOf(list, task))
  const lines = bestCompromise(layerWise(list))!
  const best = bestCompromise(list)!
  const [onMnist, onFashion] = [worstTenth(list, 'mnist'), worstTenth(list, 'fashion')]
  const range = (tenth: number): string => `t ${100 * tenth} to ${100 * tenth + 99}`
  return {
    headline: `barrier at the mean ${barriers.map((b, i) => `${shown(b, 3)} (${titleOf[tasks[i]!]})`).join(', ')}; best mean loss: ${best.name}`,
    paragraph:
      `The model trained on MNIST has a loss of ${pairText(mnist)}, the one trained on Fashion-MNIST ${pairText(fashion)}; ` +
      `their mean ${pairText(middle)}. The cubic with the values and slopes of both ends would have ` +
      `${both(tasks.map((task) => cubicAtMean(list, task)))} there. ` +
      `The mean loses most at ${range(onMnist.tenth)} on MNIST (${percent(onMnist.share, 0)} of what it loses) and at ` +
      `${range(onFashion.tenth)} on Fashion-MNIST (${percent(onFashion.share, 0)}). ` +
      `Of the layer-wise scalings the best compromise is ${lines.name}: ${pairText(lines)}. ` +
      'The real base, the initialization, is not available; the mean takes its place, so the two task vectors are each other’s negative, and every uniform combination of them lies on one line.',
    numbers: [
      { label: 'MNIST model', value: pairText(mnist) },
      { label: 'Fashion-MNIST model', value: pairText(fashion) },
      { label: 'the mean', value: pairText(middle) },
      { label: 'best LiNeS', value: pairText(lines), note: lines.name },
    ],
    result: {
      barrierOnMnist: barriers[0]!.value,
      barrierOnFashion: barriers[1]!.value,
      meanOnMnist: lossOf(middle, 'mnist').value,
      meanOnFashion: lossOf(middle, 'fashion').value,
      overPyTorch: overReferences(rows).value,
      best: best.name,
      bestLines: lines.name,
    },
  }
}
