/** @file Does a network learn a grammar level after level? Its loss against the exact plateaus of the same grammar. */
import { z } from 'zod'
import {
  checkShape,
  exactPlateau,
  type Grammar,
  lastToken,
  lastTokenInputs,
  makeGrammar,
  sampleTrees,
} from '../grammar/index.ts'
import {
  type Bench,
  type Claim,
  chart,
  claim,
  column,
  control,
  crossing,
  defineStudy,
  distinct,
  type Findings,
  geometricMeanOverReplicas,
  type Measured,
  overReplicas,
  seedField,
  shownEstimate,
  table,
  where,
} from '../lab/index.ts'
import { cosine, crossEntropyLoss, hierarchicalCnn, scaledLearningRate, sgd, train } from '../nn/index.ts'
import { logSoftmax, mul, neg, random, sum, type Tensor, tensor } from '../tensor/index.ts'

const config = z.strictObject({
  seed: seedField,
  v: z.int().min(2).max(64).default(16).describe('symbols'),
  m: z.int().min(2).max(64).default(4).describe('rules of each symbol'),
  s: z.int().min(2).max(4).default(2).describe('branching: symbols of a rule'),
  L: z.int().min(2).max(5).default(3).describe('levels'),
  grammars: z.int().min(2).max(64).default(4).describe('grammars; error bars are over them'),
  width: z.int().min(1).max(2048).default(64).describe('channels of every hidden layer'),
  steps: z.int().min(64).max(1e7).multipleOf(32).default(12288).describe('steps of training'),
  batchSize: z.int().min(1).max(8192).default(128).describe('fresh strings of each step'),
  learningRate: z
    .number()
    .positive()
    .default(1)
    .describe('of SGD, times the width; falls to a twentieth (cosine)'),
  test: z.int().min(64).max(65536).default(2048).describe('strings on which predictions are compared'),
})
type Config = z.infer<typeof config>

/** A network that sees the last s^height tokens, the last of them masked. */
interface Cell {
  readonly height: number
}

/** The network after so many strings, beside the exact predictor that sees the s^level − 1 tokens before the last. */
interface Row {
  readonly samples: number
  readonly level: number
  /** Cross-entropy of the network, in nats: the mean over test strings of that with the exact predictive distribution. */
  readonly loss: number
  /** KL divergence of the network from the exact predictor of this level, in nats. */
  readonly divergence: number
  /** Entropy of the last token at this level: of the rules, and on the test strings. */
  readonly exact: number
  readonly onTest: number
}

/** Steps between evaluations. */
const every = 32

/** What networks see, [count, s^height, v], and what they are to say. */
function inputs({ d, v, s }: Grammar, leaves: Int32Array, height: number): { x: Tensor; last: Tensor } {
  const { x, last } = lastTokenInputs(leaves, { d, v, width: s ** height })
  return { x: tensor(x, { shape: [last.length, s ** height, v] }), last: tensor(last) }
}

const entropy = (p: Float64Array, rows: number): number =>
  p.reduce((total, q) => total - (q > 0 ? q * Math.log(q) : 0), 0) / rows

/** About four evaluations a doubling. */
const isKept = (step: number, steps: number): boolean =>
  step === steps || Math.floor(4 * Math.log2(step / every)) !== Math.floor(4 * Math.log2(step / every - 1))

const grammarOf = (key: random.Key, { v, m, s, L }: Config): Grammar =>
  makeGrammar({ v, classes: v, m, s, L }, random.foldIn(key, 0))

async function measure({ height }: Cell, { key, config: c, signal, progress }: Bench<Config, void>) {
  const { v, s, L } = c
  const grammar = grammarOf(key, c)
  const levels = Array.from({ length: L + 1 }, (_, level) => level)
  const test = sampleTrees(grammar, random.foldIn(key, 1), c.test).levels[L]!
  const predictive = levels.map((level) => lastToken(grammar, test, s ** level - 1))
  const data = {
    x: inputs(grammar, test, height).x,
    predictive: predictive.map((p) => tensor(Float32Array.from(p), { shape: [c.test, v] })),
  }
  const own = random.foldIn(key, 2 + height)
  const network = hierarchicalCnn({ symbols: v, branching: s, depth: height, width: c.width, outputs: v })
  const lines: { step: number; [name: string]: number }[] = []
  await train<ReturnType<typeof network.init>, { x: Tensor; last: Tensor }>({
    parameters: network.init(random.foldIn(own, 0)),
    loss: (p, { x, last }) => crossEntropyLoss(network.apply(p, x), last),
    data: (_, forBatch) => inputs(grammar, sampleTrees(grammar, forBatch, c.batchSize).levels[L]!, height),
    optimizer: sgd({ momentum: 0 }),
    learningRate: cosine({
      peak: scaledLearningRate('meanField', c.learningRate, c.width),
      final: scaledLearningRate('meanField', c.learningRate, c.width) / 20,
    }),
    steps: c.steps,
    seed: random.sampleBits(random.foldIn(own, 1), 1)[0]!,
    evaluate: {
      data: data as never,
      every,
      batchSize: 1024,
      measure: (p, batch) => {
        const { x, predictive: exact } = batch as unknown as typeof data
        const logs = logSoftmax(network.apply(p, x))
        return Object.fromEntries(exact.map((q, level) => [`at${level}`, neg(sum(mul(q, logs), 1))]))
      },
    },
    onMetrics: (line) => lines.push(line),
    onProgress: ({ step, total }) => progress(step / total),
    logEvery: every,
    stepsPerCall: 8,
    threads: 1,
    signal,
  })
  const exact = levels.map((level) => exactPlateau(grammar, level, { key: random.foldIn(key, 3 + L) }).loss)
  const onTest = predictive.map((p) => entropy(p, c.test))
  return lines.flatMap((line): Row[] =>
    `validationAt${L}` in line && isKept(line.step, c.steps)
      ? levels.map((level) => ({
          ...{ samples: line.step * c.batchSize, level, exact: exact[level]!, onTest: onTest[level]! },
          loss: line[`validationAt${L}`]!,
          divergence: line[`validationAt${level}`]! - onTest[level]!,
        }))
      : [],
  )
}

type Found = Measured<Cell, Row>
const first = (rows: readonly Found[], key: keyof Row): number => column(rows, key)[0] ?? Number.NaN
const atEnd = (rows: readonly Found[]): Found[] =>
  where(rows, { samples: Math.max(...column(rows, 'samples')) })
/** What a level is worth: by how much its tokens lower the exact loss. */
const worth = (rows: readonly Found[], level: number): number =>
  first(where(rows, { level: level - 1 }), 'onTest') - first(where(rows, { level }), 'onTest')

/** Strings after which the loss of one grammar's network is half way from one plateau to the next; NaN when it never is. */
function halfWay(rows: readonly Found[], level: number): number {
  const own = where(rows, { level })
  const middle = first(own, 'onTest') + worth(rows, level) / 2
  return (
    crossing(
      own.map(({ samples, loss }) => ({ x: samples, y: -loss })),
      -middle,
    ) ?? Number.NaN
  )
}

/** What the rows say, before it is put into words. */
function estimatesOf(rows: readonly Found[], L: number) {
  const whole = where(rows, { height: L })
  const between = Array.from({ length: L - 1 }, (_, i) => i + 1)
  const finals = distinct(rows, 'height').map((height) => ({
    height,
    ratio: overReplicas(where(rows, { height, level: height }), (own) => {
      const [last] = atEnd(own)
      return last!.loss / last!.onTest
    }),
  }))
  const levels = between.map((level) => ({
    level,
    least: overReplicas(
      whole,
      (own) => Math.min(...column(where(own, { level }), 'divergence')) / worth(own, level),
    ),
    last: overReplicas(atEnd(whole), (own) => first(where(own, { level }), 'divergence') / worth(own, level)),
    growth: geometricMeanOverReplicas(whole, (own) => halfWay(own, level + 1) / halfWay(own, level)),
  }))
  return { whole, finals, levels }
}

type Estimates = ReturnType<typeof estimatesOf>

const claimsOf = ({ finals, levels }: Estimates, s: number): Claim[] => [
  ...finals.map(({ height, ratio }) =>
    claim(
      `final loss over the exact plateau, networks that see the last ${s ** height} tokens`,
      ratio,
    ).equals(1, { share: 0.05 }),
  ),
  ...levels.map(({ level, least }) =>
    claim(
      `level ${level}: least divergence from its exact predictor on the way, over what the level is worth`,
      least,
    ).atMost(0.35),
  ),
  ...levels.map(({ level, growth }) =>
    claim(
      `strings at half way to level ${level + 1} over those at half way to level ${level}`,
      growth,
    ).atLeast(1.5),
  ),
  ...levels.map(({ level, last }) =>
    control(
      `level ${level}: the same divergence at the end, when the network has left the level behind`,
      last,
    ).atLeast(0.5),
  ),
]

function chartsOf(rows: readonly Found[], whole: readonly Found[], { v, m, s, L }: Config) {
  const grammar = `v = ${v}, m = ${m}, s = ${s}, L = ${L}`
  return [
    chart(where(rows, { level: 0 }), {
      name: 'loss',
      title: 'Down the plateaus of the grammar',
      caption: `Cross-entropy of the last token against strings seen (${grammar}), for networks that see the last s^ℓ tokens; bands: one standard error over grammars. Dotted: the exact plateaus, the entropy of the last token given the s^ℓ − 1 tokens before it, mean over grammars.`,
      ...{ x: 'samples', y: 'loss', series: 'height' },
      ...{ xScale: 'log', xLabel: 'strings', yLabel: 'loss (nats)' },
      seriesName: (height) => `${s ** Number(height)} tokens`,
      references: [...Array(L + 1).keys()].map((level) => ({
        axis: 'y' as const,
        value: overReplicas(where(rows, { level }), (own) => first(own, 'exact')).value,
        label: `ℓ = ${level}`,
      })),
    }),
    chart(whole, {
      name: 'nearest',
      title: 'Which exact predictor the network is like',
      caption: `KL divergence of the network that sees the whole string from the exact predictor of each level (${grammar}); bands: one standard error over grammars. It comes near one after another, and leaves all but the last.`,
      ...{ x: 'samples', y: 'divergence', series: 'level', xScale: 'log', yScale: 'log' },
      ...{ xLabel: 'strings', yLabel: 'divergence (nats)', seriesName: (level) => `ℓ = ${level}` },
    }),
  ]
}

function findings(rows: readonly Found[], c: Config): Findings {
  const { v, m, s, L, grammars } = c
  const estimates = estimatesOf(rows, L)
  const { whole, finals } = estimates
  const top = finals.at(-1)!
  return {
    headline: `the loss ends at ${shownEstimate(top.ratio)} of the exact plateau, level after level`,
    paragraph:
      `Networks are trained online to predict the last token of fresh strings of ${grammars} grammars (v = ${v}, m = ${m}, s = ${s}, L = ${L}). ` +
      'Exact inference gives the best prediction from the s^ℓ − 1 tokens before, for every level ℓ, and its loss: the plateau. ' +
      'A network that sees only these tokens ends there. One that sees the whole string passes the plateaus one after another, ' +
      'and on its way predicts as the exact predictor of the level does.',
    numbers: finals.map(({ height, ratio }) => ({
      label: `loss over plateau, ${s ** height} tokens`,
      value: shownEstimate(ratio),
      note: 'at the end, predicted 1',
    })),
    claims: claimsOf(estimates, s),
    charts: chartsOf(rows, whole, c),
    tables: [
      table(atEnd(whole), {
        title: 'Plateaus and how they are passed',
        by: ['level'],
        columns: {
          'exact loss': (own) => overReplicas(own, (one) => first(one, 'exact')),
          'half way at strings': (_, { level }) =>
            level === 0 ? '–' : geometricMeanOverReplicas(whole, (one) => halfWay(one, level)),
          'divergence at the end': (own) => overReplicas(own, (one) => first(one, 'divergence')),
        },
      }),
    ],
    result: { finalOverExact: top.ratio.value },
  }
}

export const plateaus = defineStudy<Config, Cell, Row>(import.meta.url, {
  name: 'plateaus',
  title: 'Plateaus of learning',
  resultNames: { finalOverExact: 'final loss over the exact plateau' },
  question: 'Does a network that learns to predict the last token learn the grammar level after level?',
  source: 'Cagnetta and Wyart 2024, section 4; exact plateaus by inference',
  config,
  presets: {
    tiny: { v: 6, m: 2, L: 2, grammars: 2, width: 16, steps: 256, test: 128 },
    tour: { m: 3, v: 8, grammars: 4, steps: 3072, test: 1024 },
    quick: {},
    paper: { L: 4, grammars: 16, width: 512, steps: 65536, test: 32768 },
  },
  check: ({ v, m, s, L }) => checkShape({ v, classes: v, m, s, L }, 'config'),
  cells: ({ L }) => Array.from({ length: L }, (_, i) => ({ height: L - i })).reverse(),
  replicas: ({ grammars }) => grammars,
  // every network of a replica learns the same grammar
  keyed: () => [],
  grammarsOf: (_, { key, config: given }) => [grammarOf(key, given)],
  cost: ({ height }, { s, width, steps, batchSize }) => 4e-11 * steps * batchSize * s ** height * width ** 2,
  label: ({ height }) => `height ${height}`,
  measure,
  findings,
})
