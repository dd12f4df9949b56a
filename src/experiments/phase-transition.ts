/** @file The phase transition in diffusion (Sclocchi et al. 2025): at a critical noise the class is lost at once, leaves one by one. */
import { branchingRatio, pStar, upwardSlope } from '../grammar/index.ts'
import {
  type Claim,
  claim,
  control,
  defineStudy,
  type Findings,
  type ReportTable,
  shownEstimate,
} from '../lab/index.ts'
import {
  type Cell,
  cellsOf,
  costOf,
  grammarsOf,
  measure,
  type Row,
  type Rows,
  suppose,
} from './phase-transition/cells.ts'
import { chartsOf, words } from './phase-transition/charts.ts'
import { type Config, checkConfig, config, presets } from './phase-transition/config.ts'
import { type Estimates, estimate } from './phase-transition/estimates.ts'

function epsilonClaims({ depths, rootGrowth, leafGrowth, rootLeaf, theory }: Estimates['epsilon']): Claim[] {
  const span = `L = ${depths[0]} … ${depths.at(-1)}`
  const crossing = theory!.rootLeaf.at(-1)!.value
  return [
    claim(
      `ε-process: steepening of the class with every level is that of mean field, ${span}`,
      rootGrowth,
    ).equals(theory!.rootGrowth.value, { share: 0.1 }),
    claim(
      `ε-process: leaves stay smooth, their steepening with every level is that of mean field, ${span}`,
      leafGrowth,
    ).equals(theory!.leafGrowth.value, { share: 0.1 }),
    // shallow trees never know their class better than their leaves: nothing crosses, in theory either
    ...(Number.isNaN(crossing)
      ? []
      : [
          claim(
            `ε-process: root and leaf curves cross where mean field says, L = ${depths.at(-1)}`,
            rootLeaf.at(-1)!,
          ).equals(crossing, { by: 0.02 }),
        ]),
  ]
}

const claimsOf = (found: Estimates, { grammar, lost: { m } }: Config): Claim[] => {
  const { thresholds, epsilon, others, diagram, lost, mixture } = found
  const ratio = branchingRatio({ ...grammar, classes: grammar.v, m, L: 1 }).toFixed(2)
  return [
    ...thresholds
      .filter(({ theory }) => !Number.isNaN(theory))
      .map(({ setting: [v, m, s], depths, measured, theory }) =>
        claim(
          `v = ${v}, m = ${m}, s = ${s}: the class is lost at ε* of the closed form, where the curves of L = ${depths.join(' and ')} cross`,
          measured,
        ).equals(theory, { by: 0.01 }),
      ),
    ...epsilonClaims(epsilon),
    ...others.map(({ channel, depths, rootGrowth }) =>
      claim(
        `${words[channel].title}: steepening of the class with every level, L = ${depths[0]} … ${depths.at(-1)}`,
        rootGrowth,
      ).atLeast(1),
    ),
    ...(diagram
      ? [
          claim(
            'phase diagram: the class is recovered below the line of theory, mean distance over columns',
            diagram.distance,
          ).vanishes({ below: 0.02 }),
        ]
      : []),
    ...(lost
      ? [
          claim(
            `s·f = ${ratio}: the noise that costs half of the class shrinks with every level as in mean field`,
            lost.shrink,
          ).equals(lost.shrinkTheory, { by: 0.03 }),
          control(
            `s·f = ${ratio}, no transition: at no noise does a deeper tree know its class better, largest gain`,
            lost.gain,
          ).atMost(0.01),
        ]
      : []),
    control(
      'two-mode Gaussian mixture: its class is never known worse than its coordinates, smallest difference',
      mixture.worst,
    ).atLeast(-0.03),
  ]
}

function tablesOf({ thresholds, epsilon, others }: Estimates): ReportTable[] {
  return [
    {
      title: 'Where the class is lost',
      columns: ['v', 'm', 's', 'depths', 'measured ε*', 'theory'],
      rows: thresholds.map(({ setting, depths, measured, theory }) => [
        ...setting.map(String),
        depths.join(', '),
        shownEstimate(measured),
        Number.isNaN(theory) ? 'none' : theory.toFixed(4),
      ]),
    },
    {
      title: 'ε-process: crossings by depth',
      columns: [
        'L',
        'class curve crosses that of the depth before',
        'class and leaves cross',
        'in mean field',
      ],
      rows: epsilon.depths.map((L, d) => [
        String(L),
        d === 0 ? '–' : shownEstimate(epsilon.successive[d - 1]!),
        shownEstimate(epsilon.rootLeaf[d]!),
        shownEstimate(epsilon.theory!.rootLeaf[d]!),
      ]),
    },
    {
      title: 'Noise processes',
      columns: [
        'noise',
        'depths',
        'class lost at',
        'a leaf by itself there',
        'class and leaves cross at',
        'steeper with every level: class',
        'leaves',
      ],
      rows: [epsilon, ...others].map((one) => [
        words[one.channel].title,
        `${one.depths[0]} … ${one.depths.at(-1)}`,
        shownEstimate(one.transition),
        Number.isNaN(one.observed) ? '–' : one.observed.toFixed(3),
        shownEstimate(one.rootLeaf.at(-1)!),
        shownEstimate(one.rootGrowth),
        shownEstimate(one.leafGrowth),
      ]),
    },
  ]
}

function findings(rows: Rows, config: Config): Findings {
  const found = estimate(rows, config)
  const { epsilon, thresholds, mixture } = found
  const { grammar } = config
  const shape = { ...grammar, classes: grammar.v, L: 1 }
  const point = pStar(shape)
  const magnification = point === undefined ? Number.NaN : upwardSlope(shape, point)
  const own = thresholds[0]!
  const star = own.theory
  const measured = shownEstimate(own.measured)
  const theory = Number.isNaN(star) ? 'no transition in theory' : `theory ${star.toFixed(4)}`
  const isLost = !Number.isNaN(own.measured.value)
  const [deepest, last] = [epsilon.depths.at(-1)!, epsilon.rootLeaf.at(-1)!]
  const steeper = `${shownEstimate(epsilon.rootGrowth)} times as steep with every level, that of the leaves ${shownEstimate(epsilon.leafGrowth)} times`
  return {
    headline: isLost
      ? // `thresholds` has depths of its own: those of `depths` do not move it
        `class lost at ε = ${measured}, where the curves of L = ${own.depths.join(' and ')} cross (${theory})`
      : `no noise at which the class is lost at once (${theory})`,
    paragraph:
      `Leaves of grammars with v = ${grammar.v} symbols and m = ${grammar.m} rules of s = ${grammar.s} for each are blurred, ` +
      'and exact inference says how probable the true symbol of every node still is. ' +
      (isLost
        ? `Below ε = ${measured} deeper trees know their class better, above it worse; ${theory}. `
        : 'At no noise does depth begin to hurt the class. ') +
      (Number.isNaN(epsilon.rootGrowth.value) ? '' : `The fall of the class is ${steeper}. `) +
      (Number.isNaN(last.value)
        ? ''
        : `At L = ${deepest} the two curves cross at ε = ${shownEstimate(last)}: with more noise the leaves survive better than what they mean.`),
    numbers: [
      { label: 'class lost at ε', value: measured, note: theory },
      {
        label: 'root and leaf cross at ε',
        value: shownEstimate(last),
        note: `L = ${deepest}; mean field ${shownEstimate(epsilon.theory!.rootLeaf.at(-1)!)}`,
      },
      {
        label: 'steeper with every level',
        value: shownEstimate(epsilon.rootGrowth),
        note: `mean field ${epsilon.theory!.rootGrowth.value.toFixed(3)}`,
      },
      {
        label: 'mixture: half of the class lost at',
        value: Number.isNaN(mixture.half.value) ? '–' : `${mixture.half.value.toFixed(2)} T`,
        note: 'the control crosses nothing',
      },
    ],
    claims: claimsOf(found, config),
    charts: chartsOf(found, config, { star, magnification }),
    tables: tablesOf(found),
    result: {
      epsStar: own.measured.value,
      epsStarError: own.measured.error,
      epsStarTheory: star,
      magnification,
      rootGrowth: epsilon.rootGrowth.value,
      leafGrowth: epsilon.leafGrowth.value,
      rootLeaf: last.value,
    },
  }
}

export const phaseTransition = defineStudy<Config, Cell, Row>(import.meta.url, {
  name: 'phase-transition',
  title: 'The class is lost at once, the leaves one by one',
  resultNames: {
    epsStar: 'ε*',
    magnification: 'F′(p*)',
    rootGrowth: 'steepening of the class with every level',
    leafGrowth: 'steepening of leaves with every level',
    rootLeaf: 'ε at which class and leaves cross',
  },
  version: 2,
  question:
    'Is there a critical noise at which exact inference loses the class of a string, and is it where theory says?',
  source: 'Sclocchi, Favero and Wyart 2025, eqs. 6–8',
  config,
  presets,
  check: checkConfig,
  cells: cellsOf,
  replicas: (_, { grammars }) => grammars,
  // rules and noise are those of the replica's number, whatever the cell
  keyed: () => [],
  grammarsOf: (cell, { key }) => grammarsOf(cell, key),
  measure,
  cost: costOf,
  suppose,
  label: ({ part, channel, depth, m }) =>
    part === 'mixture' ? 'mixture of two modes' : `${words[channel].title}, L = ${depth}, m = ${m}`,
  findings,
})
