/** @file Finding a grammar's hidden symbols by clustering tuples that occur in the same contexts: at how many data? */
import { z } from 'zod'
import {
  checkShape,
  climbScores,
  clusterTuples,
  exactTupleCorrelation,
  expectedContrast,
  type Grammar,
  makeGrammar,
} from '../grammar/index.ts'
import {
  type Bench,
  defineStudy,
  doublings,
  groupBy,
  jackknife,
  seedField,
  shown,
  shownWhole,
  where,
} from '../lab/index.ts'
import { random } from '../tensor/index.ts'
import { clusteringCharts, clusteringTables } from './clustering/charts.ts'
import {
  classClaims,
  climbClaims,
  controlClaims,
  depthSlope,
  growthOf,
  leafClaims,
} from './clustering/claims.ts'
import {
  answersOf,
  type Cell,
  type Climbed,
  type ClimbedRow,
  type Clustered,
  cellColumns,
  climbed,
  type Exact,
  leafFormula,
  power,
  reaching,
  spread,
} from './clustering/settings.ts'

const symbols = z.int().min(2).max(256)
const settingField = z.strictObject({
  v: symbols,
  m: symbols,
  s: z.int().min(2).max(8),
  height: z.int().min(2).max(8),
})
const classField = z.strictObject({
  v: symbols,
  classes: symbols,
  m: symbols,
  s: z.int().min(2).max(8),
  L: z.int().min(2).max(8),
})
const climbField = z.strictObject({
  v: symbols,
  m: symbols,
  s: z.int().min(2).max(8),
  L: z.int().min(3).max(8),
})

/** Settings as lists of four numbers, to be read at a glance. */
const settings = (...rows: [v: number, m: number, s: number, height: number][]) =>
  rows.map(([v, m, s, height]) => ({ v, m, s, height }))
const classSettings = (...rows: [v: number, classes: number, m: number, L: number][]) =>
  rows.map(([v, classes, m, L]) => ({ v, classes, m, s: 2, L }))

const config = z.strictObject({
  seed: seedField,
  settings: z
    .array(settingField)
    .min(2)
    .max(40)
    // biome-ignore format: a table
    .default(
    settings(
      [16, 2, 2, 2],
      [16, 3, 2, 2],
      [16, 4, 2, 2],
      [32, 4, 2, 2],
      [32, 8, 2, 2],
      [8, 4, 3, 2],
      [16, 3, 2, 3],
      [16, 4, 2, 3],
      [8, 4, 3, 3],
      [16, 4, 2, 4],
    ),
  ).describe('tuples against a leaf with which they have their common ancestor at this height'),
  classification: z
    .array(classField)
    .min(2)
    .max(40)
    // biome-ignore format: a table
    .default(
    classSettings(
      [16, 16, 3, 2],
      [16, 16, 4, 2],
      [16, 32, 4, 2],
      [16, 64, 4, 2],
      [24, 64, 4, 2],
      [32, 32, 4, 2],
      [32, 128, 4, 2],
      [32, 128, 8, 2],
      [16, 16, 4, 3],
      [16, 64, 4, 3],
    ),
  ).describe('tuples of leaves against the class'),
  grammars: z.int().min(2).max(256).default(4).describe('grammars of each setting; error bars are over them'),
  most: z
    .int()
    .min(1024)
    .max(2 ** 24)
    .default(2 ** 18)
    .describe('largest number of data'),
  restarts: z.int().min(1).max(1000).default(8).describe('beginnings of each k-means'),
  climb: climbField
    .default({ v: 16, m: 4, s: 2, L: 4 })
    .describe('grammars that are learned from the leaves up'),
  climbMost: z
    .int()
    .min(128)
    .max(2 ** 20)
    .default(2 ** 16)
    .describe('largest number of data of the climb'),
  control: settingField
    .default({ v: 8, m: 8, s: 3, height: 2 })
    .describe('shape of the uncorrelated grammars and of random ones beside them; m a multiple of v'),
  exactShapes: z
    .array(climbField.extend({ L: z.int().min(2).max(8) }))
    .max(20)
    .default([
      { v: 32, m: 8, s: 2, L: 3 },
      { v: 16, m: 4, s: 2, L: 4 },
      { v: 16, m: 3, s: 2, L: 4 },
    ])
    .describe('shapes whose thresholds are computed from the rules'),
  exactGrammars: z.int().min(2).max(1000).default(20).describe('grammars over which they are averaged'),
})
type Config = z.infer<typeof config>

/** Smallest number of data. */
const fewest = 32
/** k-means is looked at no further after two scores at least this high. */
const enough = 0.95

/** A setting's shape: the root is the common ancestor. */
const shapeOf = ({ v, m, s, height }: z.infer<typeof settingField>) => ({ v, classes: v, m, s, L: height })

function cellsOf(c: Config): Cell[] {
  const leaf = { context: 'leaf', rules: 'random' } as const
  const controlShape = { part: 'control', ...shapeOf(c.control) } as const
  return [
    ...c.settings.map((setting): Cell => ({ part: 'leaf', ...leaf, ...shapeOf(setting) })),
    ...c.classification.map((shape): Cell => ({ part: 'class', ...leaf, ...shape, context: 'class' })),
    { ...controlShape, ...leaf, rules: 'uncorrelated' },
    { ...controlShape, ...leaf },
    { part: 'control', ...leaf, ...shapeOf(c.settings[0]!), context: 'shuffled' },
    ...c.exactShapes.map((shape): Cell => ({ part: 'exact', ...leaf, classes: shape.v, ...shape })),
    ...(['tokens', 'latents'] as const).map(
      (context): Cell => ({ part: 'climb', ...leaf, classes: c.climb.v, ...c.climb, context }),
    ),
  ]
}

/** Seconds, rough: k-means of v·m rows dominates, and sampling for high trees. */
function costOf({ part, v, m, s, L }: Cell, { most, climbMost, restarts }: Config): number {
  if (part === 'exact') return 0.02
  if (part === 'climb') return climbMost / 2 ** 14
  return ((v * m * v * Math.min(v, 32)) / 1e5) * (restarts / 4) + (s ** L * most) / 2 ** 21
}

/** Null where nothing could be measured. */
const known = (x: number): number | null => (Number.isFinite(x) ? x : null)

/** The grammar of a replica of a cell. */
function grammarOf(
  { part, v, classes, m, s, L, rules }: Cell,
  { key, config, replica }: Pick<Bench<Config, void>, 'key' | 'config' | 'replica'>,
): Grammar {
  const shape = { v, classes, m, s, L }
  if (part !== 'exact') return makeGrammar(shape, random.foldIn(key, 0), { rules })
  // the replica comes last in the keys of these grammars, after a number of their own
  return makeGrammar(shape, [0xe, v, m, s, L, replica].reduce(random.foldIn, random.key(config.seed)))
}

export const clustering = defineStudy<Config, Cell, Clustered | Climbed | Exact>(import.meta.url, {
  name: 'clustering',
  title: 'Finding synonyms by their contexts',
  resultNames: {
    power: 'power of the thresholds',
    contrastPower: 'power of signal = noise',
    spreadBefore: 'spread of ln P before rescaling',
    spreadAfter: 'spread of ln P after rescaling',
    climbTokens: 'factor of a height, leaves as context',
    climbLatents: 'factor of a height, symbols as context',
    depthTokens: 'slope of ln P* in L, leaves as context',
    depthLatents: 'slope of ln P* in L, symbols as context',
  },
  question:
    'k-means of context vectors finds the hidden symbols of a grammar: how many data does each level take?',
  source: 'Favero et al. 2025; Cagnetta et al. 2024, App. D',
  version: 2,
  config,
  presets: {
    tiny: {
      settings: settings([6, 2, 2, 2], [8, 2, 2, 2], [8, 3, 2, 2]),
      classification: [6, 8, 16].map((classes) => ({ v: 6, classes, m: 2, s: 2, L: 2 })),
      climb: { v: 8, m: 2, s: 2, L: 3 },
      control: { v: 4, m: 4, s: 3, height: 2 },
      exactShapes: [{ v: 8, m: 2, s: 2, L: 3 }],
      ...{ grammars: 2, most: 2 ** 12, restarts: 2, climbMost: 2 ** 10, exactGrammars: 3 },
    },
    tour: { grammars: 10, most: 2 ** 16, restarts: 2, climbMost: 2 ** 15 },
    quick: { grammars: 12, most: 2 ** 17, restarts: 4, climbMost: 2 ** 15 },
    paper: {
      // biome-ignore format: a table
      settings: settings(
        [8, 2, 2, 2], [16, 2, 2, 2], [16, 3, 2, 2], [16, 4, 2, 2], [16, 6, 2, 2], [24, 4, 2, 2], [24, 6, 2, 2],
        [32, 4, 2, 2], [32, 8, 2, 2], [8, 4, 3, 2], [10, 8, 3, 2], [16, 2, 2, 3], [16, 3, 2, 3], [16, 4, 2, 3],
        [32, 4, 2, 3], [32, 8, 2, 3], [8, 4, 3, 3], [16, 3, 2, 4], [16, 4, 2, 4],
      ),
      // biome-ignore format: a table
      classification: classSettings(
        [16, 16, 3, 2], [16, 16, 4, 2], [16, 32, 4, 2], [16, 64, 4, 2], [16, 64, 3, 2], [24, 64, 4, 2],
        [32, 32, 4, 2], [32, 128, 4, 2], [32, 32, 8, 2], [32, 128, 8, 2], [16, 16, 4, 3], [16, 64, 4, 3],
        [16, 16, 3, 4], [16, 64, 3, 4],
      ),
      ...{ grammars: 10, most: 2 ** 20, restarts: 10, climbMost: 2 ** 17 },
    },
  },
  check(c) {
    for (const [i, setting] of c.settings.entries()) checkShape(shapeOf(setting), `config.settings.${i}`)
    for (const [i, shape] of c.classification.entries()) checkShape(shape, `config.classification.${i}`)
    checkShape({ ...c.climb, classes: c.climb.v }, 'config.climb')
    checkShape(shapeOf(c.control), 'config.control')
    for (const [i, shape] of c.exactShapes.entries())
      checkShape({ ...shape, classes: shape.v }, `config.exactShapes.${i}`)
  },
  cells: cellsOf,
  replicas: ({ grammars, exactGrammars }, { part }) => (part === 'exact' ? exactGrammars : grammars),
  keyed: ({ part, v, classes, m, s, L }) => (part === 'climb' ? [v, m, s, L] : [v, classes, m, s, L]),
  cost: costOf,
  label: ({ part, v, m, s, L, context }) => `${part}, ${context}, v = ${v}, m = ${m}, s = ${s}, L = ${L}`,

  grammarsOf: (cell, draw) => [grammarOf(cell, draw)],

  measure(cell, bench) {
    const { key, config: c, progress } = bench
    const { part, context, L } = cell
    const grammar = grammarOf(cell, bench)
    if (part === 'exact') {
      return Array.from({ length: L - 1 }, (_, below): Exact => {
        const height = below + 2
        return { height, square: exactTupleCorrelation(grammar, height, height - 1) ** 2 }
      })
    }
    const { restarts } = c
    if (context === 'tokens' || context === 'latents')
      return doublings(fewest, c.climbMost).flatMap((P) => {
        progress(P / (2 * c.climbMost))
        const scores = climbScores(grammar, key, { P, context, restarts })
        return scores.map((score, below): Climbed => ({ P, height: below + 1, score }))
      })
    const expected = expectedContrast(grammar, context)
    const options = { context, sizes: doublings(fewest, c.most, 2), enough, restarts }
    return clusterTuples(grammar, key, options).map(
      (look): Clustered => ({ ...look, expected: expected(look.P) }),
    )
  },

  findings(rows, { climb: { v, m, s, L } }) {
    const clustered = rows.filter((row) => 'adjustedRand' in row)
    const climbs = rows.filter((row) => 'score' in row)
    const exact = rows.filter((row) => 'square' in row)
    const answers = answersOf(clustered)
    const leaf = where(answers, { part: 'leaf' })
    const found = reaching(leaf, 'clustered')
    const slope = jackknife(found, power('clustered', leafFormula))
    const contrast = jackknife(reaching(leaf, 'contrast', 'expected'), power('contrast', leafFormula))
    const before = jackknife(
      found,
      spread('clustered', () => 1),
    ).value
    const after = jackknife(found, spread('clustered', leafFormula)).value
    const strings = (context: 'tokens' | 'latents'): string =>
      groupBy(where(climbs, { context }) as ClimbedRow[], 'height')
        .map(({ rows: own }) => shownWhole({ ...climbed(own).strings, error: null }))
        .join(', ')
    return {
      headline: `k-means finds synonyms at P ∝ (v m^(ℓ+1)/(1 − f))^${shown(slope)}; the spread of ln P falls from ${before.toFixed(2)} to ${after.toFixed(2)}`,
      paragraph:
        'Tuples that can stand for the same hidden symbol occur in the same contexts. Nothing was trained here: for every tuple it was counted which leaf stands at a given place beside it, ' +
        `and the vectors of these frequencies were clustered by k-means. Over ${groupBy(found, ...cellColumns).length} settings the number of strings at which the clusters become the true symbols grows as v m^(ℓ+1)/(1 − f) to the power ${shown(slope)}; ` +
        `that at which the vectors differ as much by their symbols as by chance, to the power ${shown(contrast)}. ` +
        `Relabelling tuples by their clusters and going on climbs the whole tree: with v = ${v}, m = ${m}, s = ${s}, L = ${L} the heights are found at ${strings('tokens')} strings when leaves are the context, ` +
        `and at ${strings('latents')} when it is the symbols already found: ln P* rises by ${shown(depthSlope(climbs, 'tokens'))} and by ${shown(depthSlope(climbs, 'latents'))} for each level of the grammar (theory ${Math.log(m).toFixed(2)} and 0). ` +
        'Where symbols stand equally often in every place, and where the context comes from another string, there is nothing to find.',
      numbers: [
        { label: 'power of the thresholds', value: shown(slope), note: 'k-means, predicted 1' },
        { label: 'power of signal = noise', value: shown(contrast), note: '1 for large v and m' },
      ],
      claims: [
        ...leafClaims(answers, exact),
        ...classClaims(answers),
        ...climbClaims(climbs),
        ...controlClaims(answers),
      ],
      charts: clusteringCharts(clustered, answers, climbs),
      tables: clusteringTables(answers, climbs, exact),
      result: {
        power: known(slope.value),
        contrastPower: known(contrast.value),
        spreadBefore: known(before),
        spreadAfter: known(after),
        climbTokens: known(growthOf(where(climbs, { context: 'tokens' })).value),
        climbLatents: known(growthOf(where(climbs, { context: 'latents' })).value),
        depthTokens: known(depthSlope(climbs, 'tokens').value),
        depthTokensTheory: Math.log(m),
        depthLatents: known(depthSlope(climbs, 'latents').value),
        depthLatentsTheory: 0,
      },
    }
  },
})
