/** @file A finished run in words: claims put to the test, key numbers, the table of thresholds. */
import { fixed, plusMinus } from '../../base/index.ts'
import type { Shape } from '../../grammar/index.ts'
import type { Conclusion, ReportTable, RunView, Verdict } from '../../lab/index.ts'
import type { Config } from './config.ts'
import { chanceOf, learned } from './curves.ts'
import { lazyContrast, type Result } from './result.ts'
import type { PowerLaw, Threshold } from './statistics.ts'

export type View = RunView<Config, Result>

export const settingName = ({ m, L }: Shape): string => `m = ${m}, L = ${L}`

const number = (value: number | null | undefined, digits = 2): string => fixed(value ?? null, digits)

const withError = (value: number, error: number | null, digits = 2): string => plusMinus(value, error, digits)

const thresholdText = ({ value, logError }: Threshold): string => {
  if (value === null) return '–'
  const rounded = Math.round(value).toLocaleString('en')
  return logError === null ? rounded : `${rounded} ± ${Math.round(value * logError).toLocaleString('en')}`
}

/** How far a slope may be from the law's, and how many settings it takes to say so. */
const slopeTolerance = 0.15
const settingsNeeded = 6

const slopeVerdict = (claim: string, law: PowerLaw, needed: number): Verdict => ({
  claim: law.count < needed ? `${claim} (only ${law.count} of at least ${needed} settings)` : claim,
  measured: law.slope,
  error: law.error,
  predicted: 1,
  pass: law.count >= needed && Math.abs(law.slope - 1) <= slopeTolerance,
  control: false,
})

function cnnVerdicts({ cnn }: Result): Verdict[] {
  if (!cnn?.law) return []
  const { law, collapse, sensitivityCollapse, invarianceRatio } = cnn
  return [
    slopeVerdict('deep CNN: slope of log P* against log n_c·m^L is 1.0 ± 0.15', law, settingsNeeded),
    ...(collapse
      ? [
          {
            claim: `error curves collapse on P/(n_c·m^L): they lie apart by a factor ${number(collapse.before)} in P before, at most 1.5 after`,
            measured: collapse.after,
            error: null,
            predicted: 1,
            pass: collapse.after <= 1.5 && collapse.after < Math.sqrt(collapse.before),
            control: false,
          },
        ]
      : []),
    ...(invarianceRatio
      ? [
          {
            claim: 'S_{2,1} halves at the same P as the error, within a factor 2',
            measured: invarianceRatio.value,
            error: invarianceRatio.error > 0 ? invarianceRatio.error : null,
            predicted: 1,
            pass: invarianceRatio.value > 0.5 && invarianceRatio.value < 2,
            control: false,
          },
        ]
      : []),
    ...(sensitivityCollapse
      ? [
          {
            claim: `S_{2,1} collapses on P/(n_c·m^L): a factor ${number(sensitivityCollapse.before)} before, at most 1.5 after`,
            measured: sensitivityCollapse.after,
            error: null,
            predicted: 1,
            pass:
              sensitivityCollapse.after <= 1.5 &&
              sensitivityCollapse.after < Math.sqrt(sensitivityCollapse.before),
            control: false,
          },
        ]
      : []),
  ]
}

/** Sizes it takes to speak of a slope against the number of all strings. */
const sizesNeeded = 4

/** `prefactor`: the P* of deep networks in units of n_c·m^L. */
function shallowVerdicts({ curves, law }: NonNullable<Result['shallow']>, prefactor: number): Verdict[] {
  const found = curves.flatMap(({ shape, scale, points }) => {
    const at = points.find(({ P }) => P >= prefactor * scale)
    return at ? [at.error.value / chanceOf(shape)] : []
  })
  const verdicts: Verdict[] = []
  if (found.length > 0)
    verdicts.push({
      claim: `one hidden layer: from ${number(prefactor, 1)}·n_c·m^L strings it errs at more than ${learned.deep} of chance, in each of ${found.length} settings; mean share of chance`,
      measured: found.reduce((a, b) => a + b, 0) / found.length,
      error: null,
      predicted: null,
      pass: found.every((share) => share > learned.deep),
      control: true,
    })
  if (law && law.count >= sizesNeeded) {
    const claim =
      'one hidden layer: slope of log P (error 0.7 of chance) against the log of all strings is 1.0 ± 0.15'
    verdicts.push({ ...slopeVerdict(claim, law, sizesNeeded), control: true })
  }
  return verdicts
}

function contrastVerdicts({ correlations, shallow, lazy, cnn, control }: Result): Verdict[] {
  const verdicts: Verdict[] = []
  if (correlations?.law) {
    const { law } = correlations
    const claim = 'without training: tuple–class correlations exceed their sampling noise at P ∝ n_c·m^L'
    verdicts.push(slopeVerdict(claim, law, Math.min(settingsNeeded, correlations.curves.length)))
  }
  if (shallow) verdicts.push(...shallowVerdicts(shallow, cnn?.law?.prefactor ?? 4))
  const contrasts = (lazy?.curves ?? []).flatMap((curve) => {
    const deep = cnn?.curves.find(({ shape }) => shape.m === curve.shape.m && shape.L === curve.shape.L)
    const found = lazyContrast(curve, deep)
    return found ? [{ ...found, chance: chanceOf(curve.shape) }] : []
  })
  if (contrasts.length > 0) {
    const shares = contrasts.map((contrast) => contrast.lazy.value / contrast.chance)
    verdicts.push({
      claim: `lazy limit (tangent kernel of the CNN): where the CNN errs at less than ${learned.deep} of chance, it errs at more, in each of ${contrasts.length} settings; mean share of chance`,
      measured: shares.reduce((a, b) => a + b, 0) / shares.length,
      error: null,
      predicted: null,
      pass: shares.every((share) => share > learned.deep),
      control: true,
    })
  }
  for (const { random, uncorrelated } of control ?? []) {
    const [last, other] = [random.points.at(-1)!, uncorrelated.points.at(-1)!]
    const chance = chanceOf(random.shape)
    verdicts.push({
      claim: `uncorrelated rules (v = m = n_c = ${random.shape.v}, L = ${random.shape.L}): error over chance at P = ${number(other.P / random.scale, 1)}·n_c·m^L, where random rules are learned to ${number(last.error.value / chance)}`,
      measured: other.error.value / chance,
      error: other.errors.length > 1 ? other.error.error / chance : null,
      predicted: 1,
      pass: other.error.value > 0.9 * chance && last.error.value < learned.deep * chance,
      control: true,
    })
  }
  return verdicts
}

export function summary({ result, config }: View): Conclusion {
  const { cnn, shallow, correlations } = result
  const law = cnn?.law
  const single = cnn?.curves.flatMap(({ points, scale, shape }) =>
    points.map((point) => ({ point, scale, shape })),
  )
  const last = single?.at(-1)
  let headline = correlations?.law
    ? `correlations exceed their noise at P = ${number(correlations.law.prefactor)}·n_c·m^L`
    : 'no learning curve was asked for'
  if (law) headline = `slope of log P* against log n_c·m^L: ${withError(law.slope, law.error)}`
  else if (last)
    headline = `test error ${withError(last.point.error.value, last.point.error.error, 4)} with P = ${last.point.P} (${settingName(last.shape)})`
  const sentences = [
    cnn &&
      `Hierarchical CNNs of width ${config.width} were trained on strings of ${cnn.curves.length} kinds of grammars (v = n_c = ${config.v}), ${config.grammars} of each kind.`,
    law &&
      `They learn the task – test error below a tenth of chance – from P* = ${number(law.prefactor, 1)} · n_c·m^L strings; the exponent found is ${withError(law.slope, law.error)} where the theory says 1 (its prefactor is of order one).`,
    cnn?.collapse &&
      `Before rescaling, the error curves lie apart by a factor of ${number(cnn.collapse.before)} in P; on P/(n_c·m^L) by ${number(cnn.collapse.after)}.`,
    cnn?.invarianceRatio &&
      `The second layer becomes invariant to exchanged synonyms at ${number(cnn.invarianceRatio.value)} times the P at which the error falls below half of chance.`,
    correlations?.law &&
      `With no training at all, correlations between tuples and classes rise above their sampling noise at P = ${number(correlations.law.prefactor)} · n_c·m^L.`,
    shallow?.law &&
      `A network with one hidden layer needs a fixed share of all strings instead: slope ${withError(shallow.law.slope, shallow.law.error)} against their number.`,
  ]
  return {
    headline,
    paragraph: sentences.filter((sentence) => typeof sentence === 'string').join(' ') || headline,
    numbers: [
      ...(law
        ? [
            { label: 'slope of log P*', value: withError(law.slope, law.error), note: 'theory 1' },
            {
              label: 'P* / (n_c·m^L)',
              value: number(law.prefactor),
              note: 'theory: of order 1',
            },
          ]
        : []),
      ...(cnn?.invarianceLaw
        ? [
            {
              label: 'slope of the P at which S_{2,1} halves',
              value: withError(cnn.invarianceLaw.slope, cnn.invarianceLaw.error),
              note: 'theory 1',
            },
          ]
        : []),
      ...(cnn?.collapse
        ? [
            {
              label: 'spread of the error curves',
              value: `${number(cnn.collapse.before)} → ${number(cnn.collapse.after)}`,
              note: 'factor in P, before and after rescaling',
            },
          ]
        : []),
    ],
    verdicts: [...cnnVerdicts(result), ...contrastVerdicts(result)],
  }
}

export function tables([run]: readonly View[]): readonly ReportTable[] {
  const { cnn, correlations, lazy, shallow } = run!.result
  const found: ReportTable[] = []
  if (cnn)
    found.push({
      title: 'How much data each grammar takes',
      columns: [
        'grammars',
        'n_c·m^L',
        'all strings',
        'P*',
        'P* / n_c·m^L',
        'S_{2,1} = 1/2 at',
        'error half of chance at',
        'lazy P*',
      ],
      rows: cnn.curves.map(({ shape, scale, strings, threshold, invariance, halfError }) => {
        const is = (other: { shape: Shape }): boolean =>
          other.shape.m === shape.m && other.shape.L === shape.L
        const kernel = lazy?.curves.find(is)
        return [
          settingName(shape),
          scale,
          strings.toLocaleString('en'),
          thresholdText(threshold),
          threshold.value === null ? '–' : number(threshold.value / scale),
          thresholdText(invariance),
          thresholdText(halfError),
          kernel ? lazyText(kernel.threshold, kernel.points.at(-1)!.P) : '–',
        ]
      }),
    })
  if (correlations)
    found.push({
      title: 'Correlations of tuples and classes, without training',
      columns: ['grammars', 'n_c·m^L', 'signal²', 'v/m^(L−1)', 'signal = noise at P', 'over n_c·m^L'],
      rows: correlations.curves.map(({ shape, scale, signal, crossing }) => [
        `v = n_c = ${shape.v}, ${settingName(shape)}`,
        scale,
        withError(signal.value, signal.error, 3),
        number(shape.v / shape.m ** (shape.L - 1), 3),
        thresholdText(crossing),
        crossing.value === null ? '–' : number(crossing.value / scale),
      ]),
    })
  if (shallow)
    found.push({
      title: 'One hidden layer',
      columns: ['grammars', 'all strings', 'P (error 0.7 of chance)', 'share of all strings'],
      rows: shallow.curves.map(({ shape, strings, threshold }) => [
        `v = m = n_c = ${shape.v}, L = 2`,
        strings.toLocaleString('en'),
        thresholdText(threshold),
        threshold.value === null ? '–' : number(threshold.value / strings),
      ]),
    })
  return found
}

const lazyText = (threshold: Threshold, largest: number): string =>
  threshold.value === null ? `> ${largest.toLocaleString('en')}` : thresholdText(threshold)
