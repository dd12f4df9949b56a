/**
 * @file When does a diffusion model begin to memorize? At a time proportional to the number of its data; before it, it has learned
 * the rules that so many data can teach. (Favero, Sclocchi and Wyart 2025, arXiv 2505.16959)
 */
import { fixed } from '../base/index.ts'
import {
  type Claim,
  claim,
  defineStudy,
  type Findings,
  groupBy,
  overReplicas,
  shownEstimate,
} from '../lab/index.ts'
import { type Cell, cellsOf, checkCells, mostSteps } from './memorization/cells.ts'
import { chartsOf, type Parts, tablesOf } from './memorization/charts.ts'
import { type Config, config, presets } from './memorization/config.ts'
import { type CurveRow, grammarsOf, type KernelRow, measure, type Row } from './memorization/measure.ts'
import { type PrototypeFound, prototypeClaims, prototypeWords } from './memorization/prototypeFindings.ts'
import { affordable, type Found, kernelExponent, learnedShare, onsets } from './memorization/times.ts'
import { earlyClaims, exponentClaims, lawsOf } from './onset/findings.ts'
import { type FoundHalves, halvesClaims } from './onset/halves.ts'
import { bestLook, copyTime, onsetKinds, powerLaw, validationTime } from './onset/times.ts'

function partsOf(rows: readonly Found[], { m, width }: Config): Parts {
  const of = <K extends Row['of']>(kind: K) => rows.filter((row) => row.of === kind) as unknown
  const curves = of('curve') as Found<CurveRow>[]
  const isOwn = (row: Found<CurveRow>): boolean => row.m === m && row.width === width
  return {
    curves: curves.filter(isOwn),
    others: curves.filter((row) => !isOwn(row)),
    halves: of('halves') as FoundHalves[],
    kernel: of('kernel') as Found<KernelRow>[],
    prototypes: of('prototype') as PrototypeFound[],
  }
}

/** Half of a level is learned, or nothing of it. */
const learned = 0.5
const unlearned = 0.05

function curveClaims(curves: readonly Found<CurveRow>[]): Claim[] {
  const best = groupBy(curves, 'P', 'seed', 'replica').map(({ rows: looks }) => bestLook(looks))
  const heights = Array.from({ length: curves[0]!.validity.length }, (_, i) => i + 1)
  const levels = heights.flatMap((height) => {
    const needed = affordable(curves[0]!, height)
    const [rich, poor] = [best.filter(({ P }) => P >= 2 * needed), best.filter(({ P }) => P <= needed / 8)]
    const shareOf = (own: readonly Found<CurveRow>[]) =>
      overReplicas(
        own,
        (looks) => looks.reduce((sum, look) => sum + learnedShare(look, height), 0) / looks.length,
      )
    return [
      ...(rich.length > 0
        ? [
            claim(
              `level ${height} at the least validation loss, P ≥ 2 P*_${height} = ${fixed(2 * needed, 0)}`,
              shareOf(rich),
            ).atLeast(learned),
          ]
        : []),
      ...(poor.length > 0
        ? [
            claim(
              `level ${height} at the least validation loss, P ≤ P*_${height}/8 = ${fixed(needed / 8, 0)}`,
              shareOf(poor),
            ).atMost(unlearned),
          ]
        : []),
    ]
  })
  return [
    ...exponentClaims(lawsOf(curves, onsetKinds(onsets))),
    ...earlyClaims(curves, onsets[0], 0.005),
    ...levels,
  ]
}

function claimsOf({ curves, halves, kernel, prototypes }: Parts): Claim[] {
  return [
    ...(curves.length > 0 ? curveClaims(curves) : []),
    ...halvesClaims(halves, { data: 'strings', what: 'tokens alike' }),
    ...(new Set(kernel.map(({ P }) => P)).size >= 3
      ? [
          claim(
            'kernel regression: exponent in P of the time to fit random labels',
            kernelExponent(kernel, 'random'),
          ).equals(1, { by: 0.1 }),
          claim(
            'kernel regression: exponent in P of the time to fit a smooth label',
            kernelExponent(kernel, 'smooth'),
          ).equals(0, { by: 0.1 }),
        ]
      : []),
    ...prototypeClaims(prototypes),
  ]
}

function findings(rows: readonly Found[], given: Config): Findings {
  const parts = partsOf(rows, given)
  const { curves } = parts
  const repeated = prototypeWords(parts.prototypes)
  const [first, second] = onsets.map((share) => powerLaw(curves, (looks) => copyTime(looks, share)))
  const validation = powerLaw(curves, validationTime)
  const headline = first
    ? `copies begin at steps ∝ P^b, b = ${shownEstimate(first.exponent)}`
    : ((curves.length === 0 ? repeated : undefined) ??
      `${rows.length} looks at networks of ${new Set(rows.map(({ P }) => P)).size} training sets`)
  const paragraph = [
    `Tree U-Nets of width ${given.width} were trained on P strings of grammars with v = ${given.v}, m = ${given.m}, L = ${given.L}.`,
    first &&
      `Copies rise above chance at a number of steps that grows as P to the power ${shownEstimate(first.exponent)} (2 %)${second ? ` and ${shownEstimate(second.exponent)} (5 %)` : ''}; theory: 1.`,
    validation &&
      `The least validation loss comes earlier and grows with another power, ${shownEstimate(validation.exponent)}: at small P it lies where the network has only learned how often symbols occur, so it is no onset of memory there.`,
    repeated && `${repeated[0]!.toUpperCase()}${repeated.slice(1)}; theory: −1.`,
  ]
    .filter((sentence) => typeof sentence === 'string')
    .join(' ')
  return {
    ...{ headline, paragraph, claims: claimsOf(parts), charts: chartsOf(parts), tables: tablesOf(parts) },
    numbers: [
      ...(first
        ? [{ label: 'exponent of copies of 2 %', value: shownEstimate(first.exponent), note: 'theory 1' }]
        : []),
      ...(second
        ? [{ label: 'exponent of copies of 5 %', value: shownEstimate(second.exponent), note: 'theory 1' }]
        : []),
      ...(validation
        ? [
            {
              label: 'exponent of the least validation loss',
              value: shownEstimate(validation.exponent),
              note: 'no onset at small P',
            },
          ]
        : []),
    ],
    result: {
      exponent: first?.exponent.value ?? null,
      exponentError: first?.exponent.error ?? null,
      exponentTheory: 1,
      validationExponent: validation?.exponent.value ?? null,
    },
  }
}

/** Seconds on a core: the products of a step, forwards and backwards, and what is generated at each look. */
function costOf(cell: Cell, given: Config): number {
  const { part, P, width, L } = cell
  if (part === 'kernel') return 1e-7 * P ** 3
  const products = (2 ** L * width * width * 6) / 1e9
  const step = 3e-4 + 3 * given.batchSize * products * 0.022
  // most runs end when a tenth is copied, at some fifty steps for each string
  const steps = Math.min(mostSteps(cell, given), 500 + 50 * P)
  const looks = given.looks * Math.log2(Math.max(2, steps / 32))
  const look = given.diffusionSteps * given.samples * products * 0.022 + 0.1
  return (part === 'halves' ? 2 : 1) * (0.6 + steps * step + looks * look)
}

export const memorization = defineStudy<Config, Cell, Row>(import.meta.url, {
  name: 'memorization',
  title: 'When diffusion models memorize',
  resultNames: {
    exponent: 'exponent of τ_mem in P',
    validationExponent: 'exponent of the least validation loss in P',
  },
  question: 'When does a diffusion model begin to copy its data, and what has it learned by then?',
  source: 'Favero, Sclocchi and Wyart 2025, arXiv 2505.16959',
  config,
  presets,
  check: checkCells,
  cells: cellsOf,
  replicas: ({ seeds }) => seeds,
  // the same grammar and the same first weights at every P and every width of m
  keyed: ({ v, m, L }) => [v, m, L],
  grammarsOf: (cell, { key, config: given }) => grammarsOf(cell, key, given),
  measure,
  cost: costOf,
  label: ({ part, draws, m, width, P }) =>
    `${part === 'curve' ? 'network' : (draws ?? part)}, m = ${m}, width ${width}, P = ${P}`,
  findings,
})
