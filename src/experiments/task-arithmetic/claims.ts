/** @file What the numbers say, and which of the paper's claims they bear out. */
import { type Claim, claim, control, type Findings, shown } from '../../lab/index.ts'
import {
  added,
  alpha,
  area,
  kept,
  left,
  localization,
  meanError,
  normalized,
  overStarts,
  pretrainingGain,
  single,
  width,
} from './analyse.ts'
import type { Config } from './config.ts'
import { type Found, partOf, type Regime, regimesIn, regimeTitles } from './rows.ts'

type Rows = readonly Found[]

export function claimsOf(rows: Rows, { kept: least }: Config): Claim[] {
  const has = (part: Parameters<typeof partOf>[1], start?: 'random') => partOf(rows, part, start).length > 0
  return [
    claim(
      'addition: normalized accuracy, linear minus nonlinear',
      normalized.gain(rows, 'nonlinear', 'linear'),
    ).atLeast(0),
    claim(
      'addition: normalized accuracy, post-hoc linear minus nonlinear',
      normalized.gain(rows, 'nonlinear', 'posthoc'),
    ).atLeast(0),
    claim('addition: accuracy, linear minus nonlinear', added.gain(rows, 'nonlinear', 'linear')).atLeast(0),
    claim(
      'a single task: accuracy, nonlinear minus linear (the nonlinear advantage)',
      single.gain(rows, 'linear', 'nonlinear'),
    ).atLeast(0),
    claim(
      'coefficients that give 95 % of the best accuracy: share of 0 … 1, linear minus nonlinear',
      width.gain(rows, 'nonlinear', 'linear'),
    ).atLeast(0),
    ...(regimesIn(rows).includes('tak')
      ? [
          claim(
            'TAK: normalized accuracy, with the penalty minus without (linear)',
            normalized.gain(rows, 'linear', 'tak'),
          ).atLeast(0),
        ]
      : []),
    ...(has('forgotten')
      ? [
          claim(
            `negation: accuracy that is left, nonlinear minus linear, where ${100 * least} % of the control are kept`,
            left.gain(rows, 'linear', 'nonlinear'),
          ).atLeast(0),
        ]
      : []),
    ...(has('map')
      ? [
          claim(
            'disentanglement: mean of ξ over the maps, nonlinear minus linear',
            meanError.gain(rows, 'linear', 'nonlinear'),
          ).atLeast(0),
          claim(
            'disentanglement: share of the maps with ξ of at most 0.2, linear minus nonlinear',
            area.gain(rows, 'nonlinear', 'linear'),
          ).atLeast(0.01),
        ]
      : []),
    ...(has('energy')
      ? [
          claim(
            'localization: ln of the local energy on a task’s own examples over that on others’, pretrained',
            localization(rows, 'pretrained'),
          ).atLeast(0),
        ]
      : []),
    ...(has('added', 'random')
      ? [
          control(
            'without pretraining vectors add worse: normalized accuracy of the linear regime, pretrained minus random start',
            pretrainingGain(rows, 'linear'),
          ).atLeast(0),
        ]
      : []),
    ...(has('energy', 'random')
      ? [
          control(
            'without pretraining the kernel is less localized: ln of the ratio, pretrained minus random start',
            overStarts(rows, 'energy'),
          ).atLeast(0),
        ]
      : []),
  ]
}

export function arithmeticFindings(
  rows: Rows,
): Pick<Findings, 'headline' | 'paragraph' | 'numbers' | 'result'> {
  const of = (regime: Regime) => ({
    absolute: added.of(rows, regime),
    normalized: normalized.of(rows, regime),
    single: single.of(rows, regime),
    alpha: alpha.of(rows, regime),
  })
  const regimes = regimesIn(rows)
  const found = Object.fromEntries(regimes.map((regime) => [regime, of(regime)])) as Record<
    Regime,
    ReturnType<typeof of>
  >
  const tasks = new Set(partOf(rows, 'added').map(({ task }) => task)).size
  const forgotten = partOf(rows, 'forgotten').length > 0
  const list = regimes
    .map((regime) => `${regimeTitles[regime]} ${shown(found[regime].normalized, 3)}`)
    .join(', ')
  const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)
  return {
    headline: `the sum of ${tasks} task vectors keeps of each task's own accuracy: ${list}`,
    paragraph:
      `One pretrained encoder was fine-tuned on each of ${tasks} tasks, as it is and in its tangent space, with frozen heads. ` +
      `The vectors were added with one coefficient, chosen on validation examples and measured once on test examples: accuracy ${regimes
        .map(
          (regime) =>
            `${shown(found[regime].absolute, 3)} ${regimeTitles[regime]} (of ${shown(found[regime].single, 3)} by own vectors)`,
        )
        .join(', ')}. ` +
      (forgotten
        ? `Taken away, they left ${regimes.map((regime) => `${shown(left.of(rows, regime), 3)} ${regimeTitles[regime]}`).join(', ')} of accuracy on the task, and ${shown(kept.of(rows, 'linear'), 3)} of the control in the linear regime. `
        : '') +
      'In both linear regimes features are a sum of what θ₀ gives and of what each vector adds, so that every coefficient costs no pass through the encoder.',
    numbers: regimes.map((regime) => ({
      label: `normalized, ${regimeTitles[regime]}`,
      value: shown(found[regime].normalized, 3),
      note: `accuracy ${shown(found[regime].absolute, 3)} at α = ${shown(found[regime].alpha, 2)}`,
    })),
    result: Object.fromEntries(
      regimes.flatMap((regime) => [
        [`${regime}Normalized`, finite(found[regime].normalized.value)],
        [`${regime}Accuracy`, finite(found[regime].absolute.value)],
        [`${regime}Single`, finite(found[regime].single.value)],
      ]),
    ),
  }
}
