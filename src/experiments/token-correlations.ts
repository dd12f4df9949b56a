/** @file Token–token correlations of the grammar: how they decay, and from how many data on they can be seen. */
import { z } from 'zod'
import { count } from '../base/index.ts'
import {
  ancestorHeight,
  checkShape,
  countCorrelations,
  type ExactMeanSquare,
  exactCrossEntropy,
  exactMeanSquares,
  exactPlateau,
  type Grammar,
  type MeanSquares,
  makeGrammar,
  sampleTrees,
} from '../grammar/index.ts'
import {
  defineStudy,
  distinct,
  doublings,
  groupBy,
  jackknife,
  mean,
  replicasOf,
  seedField,
  shown,
  where,
} from '../lab/index.ts'
import { random } from '../tensor/index.ts'
import { commonCharts, correlationTables, shapeCharts } from './token-correlations/charts.ts'
import { generalClaims, shapeClaims } from './token-correlations/claims.ts'
import {
  type Cell,
  type Counted,
  cellColumns,
  clearOf,
  type Distance,
  factorOfThresholds,
  fullShape,
  geometric,
  type Loss,
  levelsOf,
  powerOfThresholds,
  shapeName,
} from './token-correlations/levels.ts'

const shapeField = z.strictObject({
  v: z.int().min(2).max(256),
  m: z.int().min(2).max(256),
  s: z.int().min(2).max(8),
  L: z.int().min(2).max(8),
})

const config = z.strictObject({
  seed: seedField,
  shapes: z
    .array(shapeField)
    .min(1)
    .max(12)
    .default([
      { v: 32, m: 8, s: 2, L: 3 },
      { v: 16, m: 4, s: 2, L: 4 },
    ])
    .describe('symbols, rules of each, branching, levels'),
  grammars: z.int().min(2).max(256).default(6).describe('grammars of each shape; error bars are over them'),
  most: z
    .int()
    .min(64)
    .max(2 ** 24)
    .default(2 ** 20)
    .describe('largest number of data; 8 is the smallest, and it is doubled'),
  control: shapeField
    .default({ v: 8, m: 8, s: 3, L: 2 })
    .describe('shape of the uncorrelated grammars and of random ones beside them; m a multiple of v'),
  plateauData: z
    .int()
    .min(16)
    .max(65536)
    .default(512)
    .describe('strings predicted for the loss of each grammar'),
})
type Config = z.infer<typeof config>

/** Rows of one number of data: places of equal height joined. */
function countedRows(
  part: Counted['part'],
  P: number,
  { within, between }: MeanSquares,
  exact: readonly ExactMeanSquare[],
  heights: readonly number[],
): Counted[] {
  return [...new Set(heights)].map((height) => {
    const own = <T>(values: readonly T[]): T[] => values.filter((_, place) => heights[place] === height)
    const [signal, noise] = (['signal', 'noise'] as const).map((kind) => mean(own(exact).map((e) => e[kind])))
    return {
      ...{ part, height, P, within: mean(own(within)), between: mean(own(between)) },
      ...{ exact: signal!, noise: noise! },
    }
  })
}

/** Contexts that are enumerated for an exact plateau; where there are more they are sampled. */
const limit = 2 ** 17

function plateauRows(grammar: Grammar, key: random.Key, data: number): Loss[] {
  const { s, L } = grammar
  const leaves = sampleTrees(grammar, key, data).levels[L]!
  return Array.from({ length: L + 1 }, (_, height) => ({
    ...{ part: 'plateau', height, exact: exactPlateau(grammar, height, { limit }).loss },
    loss: exactCrossEntropy(grammar, leaves, s ** height - 1),
  }))
}

/** The grammar of a replica of a cell. */
const grammarOf = (cell: Pick<Cell, 'rules' | 'v' | 'm' | 's' | 'L'>, key: random.Key): Grammar =>
  makeGrammar(fullShape(cell), random.foldIn(key, 0), { rules: cell.rules })

export const tokenCorrelations = defineStudy<Config, Cell, Counted | Distance | Loss>(import.meta.url, {
  name: 'token-correlations',
  title: 'Correlations between tokens',
  resultNames: { power: 'power of the thresholds', factor: 'factor of the thresholds' },
  question:
    'How far do tokens of a hierarchical grammar know of each other, and how many data does it take to see it?',
  source: 'Cagnetta and Wyart 2024, Eqs. 6–13',
  version: 2,
  config,
  presets: {
    tiny: {
      shapes: [
        { v: 8, m: 2, s: 2, L: 3 },
        { v: 6, m: 3, s: 2, L: 2 },
      ],
      ...{ grammars: 3, most: 2 ** 12, control: { v: 4, m: 4, s: 3, L: 2 }, plateauData: 32 },
    },
    tour: { grammars: 10, most: 2 ** 17, plateauData: 256 },
    quick: { grammars: 12, most: 2 ** 19, plateauData: 256 },
    paper: {
      shapes: [
        { v: 32, m: 8, s: 2, L: 3 },
        { v: 16, m: 4, s: 2, L: 4 },
        { v: 8, m: 3, s: 2, L: 3 },
        { v: 16, m: 3, s: 2, L: 4 },
        { v: 12, m: 3, s: 2, L: 4 },
        { v: 11, m: 8, s: 3, L: 3 },
      ],
      ...{ grammars: 16, most: 2 ** 21, plateauData: 2048 },
    },
  },
  check({ shapes, control }) {
    for (const [i, sizes] of shapes.entries()) checkShape(fullShape(sizes), `config.shapes.${i}`)
    checkShape(fullShape(control), 'config.control')
  },
  cells: ({ shapes, control }) => [
    ...shapes.map((sizes): Cell => ({ group: 'shapes', rules: 'random', ...sizes })),
    ...(['uncorrelated', 'random'] as const).map((rules): Cell => ({ group: 'control', rules, ...control })),
  ],
  replicas: ({ grammars }) => grammars,
  cost: ({ s, L }, { most }) => 1.5e-7 * most * s ** L,
  label: (cell) => `${cell.rules === 'random' ? '' : 'uncorrelated, '}${shapeName(cell)}, L = ${cell.L}`,

  // counted first; the exact values are of the same grammar and do not see the counts
  grammarsOf: ({ rules, ...sizes }, { key }) => [grammarOf({ rules, ...sizes }, key)],
  measure({ group, rules, ...sizes }, { key, config: { most, plateauData } }) {
    const grammar = grammarOf({ rules, ...sizes }, key)
    const dataKey = random.foldIn(key, 1)
    const { s, d } = grammar
    const looks = countCorrelations(grammar, dataKey, doublings(8, most))
    const exact = exactMeanSquares(grammar)
    const heights = Array.from({ length: d - 1 }, (_, i) => ancestorHeight(i + 1, s))
    const tupleHeights = exact.tuples.map((_, block) => ancestorHeight(block + 1, s) + 1)
    const { within, between } = looks.at(-1)!.tokens
    return [
      ...looks.flatMap(({ P, tokens, tuples }) => [
        ...countedRows('tokens', P, tokens, exact.tokens, heights),
        ...countedRows('tuples', P, tuples, exact.tuples, tupleHeights),
      ]),
      ...exact.tokens.map(
        ({ signal }, i): Distance => ({
          ...{ part: 'distance', t: i + 1, signal: within[i]! - between[i]!, exact: signal },
        }),
      ),
      ...(group === 'shapes' ? plateauRows(grammar, random.foldIn(dataKey, 0xffff_ffff), plateauData) : []),
    ]
  },

  findings(rows, { most }) {
    const counted = rows.filter((row) => 'P' in row)
    const plateaus = rows.filter((row) => row.part === 'plateau')
    const distances = rows.filter((row) => row.part === 'distance')
    const levels = levelsOf(counted)
    const own = where(levels, { group: 'shapes' })
    const clear = clearOf(own)
    const power = jackknife(clear, powerOfThresholds('threshold'))
    const factor = jackknife(clear, factorOfThresholds('threshold'))
    const shapes = groupBy(own, ...cellColumns).map(({ key }) => key)
    const listed = groupBy(where(clear, shapes[0]!), 'height')
      .map(({ key, rows: of }) => `height ${key.height}: ${count(geometric(of, 'threshold').value)}`)
      .join(', ')
    return {
      headline: `correlations at height ℓ leave the noise at P ∝ (v m^(2ℓ−1)/(1 − f))^${shown(power)}`,
      paragraph:
        `Of each of ${shapes.length} shapes ${replicasOf(own).length} grammars were drawn, and up to ${most.toLocaleString('en')} strings of each were counted: ` +
        'how often does one token stand before the last one, beyond chance? ' +
        'Every level between two tokens takes a factor m from their covariance, so that it falls as a power of their distance, ' +
        `and takes m² times more data to be seen. With ${shapeName(shapes[0]!)} the signal equals the noise at ${listed} strings. ` +
        'Nothing in the counting knows of the formula: the noise is the same count between strings that have nothing to do with each other. ' +
        'Grammars whose symbols stand equally often in every place have no such correlations, however many data there are.',
      numbers: [
        {
          label: 'power of the thresholds',
          value: shown(power),
          note: 'of v m^(2ℓ−1)/(1 − f), 1 for large v and m',
        },
      ],
      claims: [...generalClaims(levels, plateaus), ...shapeClaims(own)],
      charts: [
        ...shapes
          .slice(0, 2)
          .flatMap((sizes) => shapeCharts(sizes, where(counted, sizes), where(distances, sizes))),
        ...commonCharts(own, distinct(counted, 'P'), plateaus),
      ],
      tables: correlationTables(own, plateaus),
      result: {
        power: Number.isFinite(power.value) ? power.value : null,
        factor: Number.isFinite(factor.value) ? factor.value : null,
      },
    }
  },
})
