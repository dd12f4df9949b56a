import { describe, expect, it } from 'vitest'
import {
  covarianceOf,
  exactTokenCorrelation,
  exactTupleClassSignal,
  exactTupleCorrelation,
  type Grammar,
  makeGrammar,
  nodeJoint,
  nodeMarginal,
  type PairTable,
  type Shape,
  sampleTrees,
  type TreeNode,
  tokenCorrelationNoise,
  tupleClassNoise,
  tupleCorrelationNoise,
  tupleJoint,
  typicalTokenCorrelation,
  typicalTupleClassSignal,
  typicalTupleCorrelation,
} from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { derivations, mean, unequal } from './theory-reference.ts'

const shapeOf = (v: number, m: number, s: number, L: number): Shape => ({ v, classes: v, m, s, L })
const grammarsOf = (shape: Shape, count: number, seed = 0): Grammar[] =>
  random.split(random.key(seed), count).map((key) => makeGrammar(shape, key))

const small: [string, Grammar][] = [
  ['two levels', makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 2 }, random.key(1))],
  ['three levels', makeGrammar({ v: 3, classes: 2, m: 2, s: 2, L: 3 }, random.key(2))],
  ['triples', makeGrammar({ v: 3, classes: 5, m: 3, s: 3, L: 2 }, random.key(3))],
  [
    'unequal productions',
    unequal(makeGrammar({ v: 3, classes: 4, m: 2, s: 2, L: 3 }, random.key(4)), random.key(5)),
  ],
]

const nodesOf = ({ s, L }: Grammar): TreeNode[] =>
  Array.from({ length: L + 1 }, (_, level) =>
    Array.from({ length: s ** level }, (__, index) => ({ level, index })),
  ).flat()

const covers = ({ s }: Grammar, a: TreeNode, b: TreeNode): boolean =>
  b.level > a.level && Math.floor(b.index / s ** (b.level - a.level)) === a.index

/** Probability of what `row` and `column` say of a derivation, by going through them all. */
function count(
  trees: readonly { levels: number[][]; p: number }[],
  rows: number,
  columns: number,
  row: (levels: number[][]) => number,
  column: (levels: number[][]) => number,
): PairTable {
  const values = new Float64Array(rows * columns)
  for (const { levels, p } of trees) values[row(levels) * columns + column(levels)]! += p
  return { rows, columns, values }
}

/** Rule number of a node's tuple. */
function ruleOf({ rules, s }: Grammar, levels: number[][], { level, index }: TreeNode): number {
  const tuple = levels[level + 1]!.slice(index * s, (index + 1) * s).join()
  const table = rules[level]!
  for (let rule = 0; ; rule++) if (table.subarray(rule * s, (rule + 1) * s).join() === tuple) return rule
}

function expectEqual(got: PairTable, expected: PairTable): void {
  expect([got.rows, got.columns]).toEqual([expected.rows, expected.columns])
  const worst = Math.max(...got.values.map((p, at) => Math.abs(p - expected.values[at]!)))
  expect(worst).toBeLessThan(1e-14)
}

const rms = (tables: readonly PairTable[]): number =>
  Math.sqrt(mean(tables.flatMap(({ values }) => Array.from(values, (c) => c * c))))

describe.each(small)('transfer matrices equal enumeration: %s', (_, grammar) => {
  const trees = derivations(grammar)
  const symbols = (level: number): number => (level === 0 ? grammar.classes : grammar.v)
  const at =
    ({ level, index }: TreeNode) =>
    (levels: number[][]): number =>
      levels[level]![index]!

  it('symbols of any two nodes, and of one', () => {
    for (const a of nodesOf(grammar)) {
      const alone = count(trees, 1, symbols(a.level), () => 0, at(a))
      expectEqual({ ...alone, values: nodeMarginal(grammar, a) }, alone)
      for (const b of nodesOf(grammar))
        expectEqual(nodeJoint(grammar, a, b), count(trees, symbols(a.level), symbols(b.level), at(a), at(b)))
    }
  })

  it('tuples with symbols', () => {
    for (const a of nodesOf(grammar).filter(({ level }) => level < grammar.L))
      for (const b of nodesOf(grammar)) {
        if (covers(grammar, a, b)) {
          expect(() => tupleJoint(grammar, a, b)).toThrow('outside the tree of the first')
          continue
        }
        const rows = symbols(a.level) * grammar.m
        const tuple = (levels: number[][]): number => ruleOf(grammar, levels, a)
        expectEqual(tupleJoint(grammar, a, b), count(trees, rows, symbols(b.level), tuple, at(b)))
      }
  })

  it('root mean squares over all pairs of a height', () => {
    const { s, L, d } = grammar
    const last = { level: L, index: d - 1 }
    // Nodes at a height below whose ancestor at `height`, and no lower one, is also the last leaf's.
    const nodes = (height: number, nodeHeight: number): TreeNode[] =>
      nodesOf(grammar).filter(
        (node) =>
          node.level === L - nodeHeight &&
          covers(grammar, { level: L - height, index: s ** (L - height) - 1 }, node) &&
          !covers(grammar, { level: L - height + 1, index: s ** (L - height + 1) - 1 }, node) &&
          node.index !== s ** node.level - 1,
      )
    for (let height = 1; height <= L; height++) {
      for (let k = 0; k < height; k++) {
        const tables = nodes(height, k).map((node) => {
          const joint = count(trees, symbols(node.level), symbols(L), at(node), at(last))
          return covarianceOf(joint)
        })
        expect(tables.length).toBe((s - 1) * s ** (height - 1 - k))
        expect(exactTokenCorrelation(grammar, height, k)).toBeCloseTo(rms(tables), 13)
      }
      for (let k = 1; k < height; k++) {
        const tables = nodes(height, k).map((node) => {
          const tuple = (levels: number[][]): number => ruleOf(grammar, levels, node)
          return covarianceOf(count(trees, symbols(node.level) * grammar.m, symbols(L), tuple, at(last)))
        })
        expect(exactTupleCorrelation(grammar, height, k)).toBeCloseTo(rms(tables), 13)
      }
    }
  })

  it('what a tuple says of the class', () => {
    const { classes, m, s, L } = grammar
    for (let patch = 0; patch < s ** (L - 1); patch++) {
      const node = { level: L - 1, index: patch }
      const tuple = (levels: number[][]): number => ruleOf(grammar, levels, node)
      const { rows, values } = count(trees, symbols(L - 1) * m, classes, tuple, (levels) => levels[0]![0]!)
      const squares: number[] = []
      for (let row = 0; row < rows; row++) {
        const own = Array.from(values.subarray(row * classes, (row + 1) * classes))
        const all = own.reduce((a, b) => a + b, 0)
        if (all > 0) squares.push(...own.map((p) => ((p / all) * classes - 1) ** 2))
      }
      expect(exactTupleClassSignal(grammar, patch)).toBeCloseTo(mean(squares), 12)
    }
  })
})

describe('typical strength over random grammars', () => {
  // Ratio of exact (root mean square over grammars) to formula, as computed elsewhere with other grammars.
  it.each([
    [32, 8, 2, 3, 6, [1.03, 1.0, 0.89]],
    [16, 4, 2, 4, 20, [1.07, 0.96, 0.94, 0.73]],
    [8, 3, 2, 3, 60, [1.04, 0.93, 0.82]],
    [11, 8, 3, 3, 12, [0.96, 0.87, 0.67]],
  ])('tokens, v = %i, m = %i, s = %i, L = %i', (v, m, s, L, many, ratios) => {
    const shape = shapeOf(v, m, s, L)
    const grammars = grammarsOf(shape, many)
    for (const [i, expected] of ratios.entries()) {
      const squares = grammars.map((grammar) => exactTokenCorrelation(grammar, i + 1) ** 2)
      const ratio = Math.sqrt(mean(squares)) / typicalTokenCorrelation(shape, i + 1)
      expect(Math.abs(ratio / expected - 1), `height ${i + 1}`).toBeLessThan(0.18)
    }
  })

  it('nodes above tokens: fewer choices, stronger by √m for each level', () => {
    const shape = shapeOf(32, 8, 2, 3)
    const grammars = grammarsOf(shape, 6, 1)
    for (const [height, nodeHeight] of [
      [2, 1],
      [3, 1],
      [3, 2],
    ] as const) {
      const exact = Math.sqrt(mean(grammars.map((g) => exactTokenCorrelation(g, height, nodeHeight) ** 2)))
      expect(Math.abs(exact / typicalTokenCorrelation(shape, height, nodeHeight) - 1)).toBeLessThan(0.12)
    }
  })

  // P at which the exact mean square equals the noise 1/(v² m P), as computed elsewhere with 20 grammars.
  it.each([
    [32, 8, 3, 6, [21_200, 206_000]],
    [16, 4, 4, 20, [1339, 5666, 30_300]],
    [16, 3, 4, 20, [483, 1511, 6330]],
  ])('tokens with tuples just below the ancestor, v = %i, m = %i, L = %i', (v, m, L, many, thresholds) => {
    const shape = shapeOf(v, m, 2, L)
    const grammars = grammarsOf(shape, many)
    for (const [i, expected] of thresholds.entries()) {
      const height = i + 2
      const square = mean(grammars.map((grammar) => exactTupleCorrelation(grammar, height, height - 1) ** 2))
      expect(Math.abs(1 / (v * v * m * square) / expected - 1), `height ${height}`).toBeLessThan(0.15)
      const formula = 1 / (v * v * m * typicalTupleCorrelation(shape, height, height - 1) ** 2)
      expect(formula).toBeCloseTo((v * m ** (height + 1)) / (1 - m / v), 6)
    }
  })

  it('tuples of tokens correlate less than tokens by √m', () => {
    for (const [v, m, factor, of] of [
      [32, 8, 2.87, 6],
      [16, 4, 2.02, 20],
    ] as const) {
      const grammars = grammarsOf(shapeOf(v, m, 2, 2), of)
      const tokens = Math.sqrt(mean(grammars.map((g) => exactTokenCorrelation(g, 2) ** 2)))
      const tuples = Math.sqrt(mean(grammars.map((g) => exactTupleCorrelation(g, 2) ** 2)))
      expect(Math.abs(tokens / tuples / factor - 1)).toBeLessThan(0.06)
    }
  })

  it('noise: the correlation that P independent pairs seem to have', () => {
    const [v, m, P] = [8, 3, 4000]
    const shape = shapeOf(v, m, 2, 2)
    const seeming = (rows: number): number => {
      const squares: number[] = []
      for (let run = 0; run < 20; run++) {
        const a = random.sampleIntegers(random.key(run), P, rows)
        const b = random.sampleIntegers(random.key(100 + run), P, v)
        const values = new Float64Array(rows * v)
        for (let i = 0; i < P; i++) values[a[i]! * v + b[i]!]! += 1 / P
        squares.push(rms([covarianceOf({ rows, columns: v, values })]) ** 2)
      }
      return Math.sqrt(mean(squares))
    }
    // Independent pairs: a variance of p(1 − p), less (v − 1)/v twice for the margins.
    expect(seeming(v) / tokenCorrelationNoise(shape, P)).toBeCloseTo(1 - 1 / v, 1)
    expect(Math.abs(seeming(v * m) / tupleCorrelationNoise(shape, P) - 1)).toBeLessThan(0.15)
  })
})

describe('tuple and class', () => {
  it.each([
    [8, 8, 2, 40, 0.74],
    [8, 8, 3, 40, 0.086],
    [16, 8, 3, 20, 0.229],
    [32, 8, 3, 8, 0.52],
  ])('v = %i, m = %i, L = %i: relative variance', (v, m, L, many, measured) => {
    const shape = shapeOf(v, m, 2, L)
    const exact = mean(grammarsOf(shape, many, 3).map((grammar) => exactTupleClassSignal(grammar, 0)))
    expect(Math.abs(exact / measured - 1)).toBeLessThan(0.12)
    expect(exact / typicalTupleClassSignal(shape)).toBeGreaterThan(0.6)
    expect(exact / typicalTupleClassSignal(shape)).toBeLessThan(1.1)
  })

  it('noise of counting it in P data', () => {
    const shape = shapeOf(8, 4, 2, 2)
    const grammar = makeGrammar(shape, random.key(7))
    const { v, classes, m, s } = shape
    const P = 20_000
    const trees = sampleTrees(grammar, random.key(8), P)
    const exact = tupleJoint(grammar, { level: 1, index: 0 }, { level: 0, index: 0 }).values
    const counts = new Float64Array(v * m * classes)
    const table = grammar.rules[1]!
    for (let i = 0; i < P; i++) {
      const symbol = trees.levels[1]![i * s]!
      let rule = symbol * m
      while (
        table[rule * s] !== trees.levels[2]![i * s * s] ||
        table[rule * s + 1] !== trees.levels[2]![i * s * s + 1]
      )
        rule++
      counts[rule * classes + trees.levels[0]![i]!]!++
    }
    const squares: number[] = []
    for (let rule = 0; rule < v * m; rule++) {
      const row = (values: Float64Array): number[] =>
        Array.from(values.subarray(rule * classes, (rule + 1) * classes))
      const total = (values: Float64Array): number => row(values).reduce((a, b) => a + b, 0)
      if (total(counts) === 0) continue
      for (let c = 0; c < classes; c++)
        squares.push((classes * (row(counts)[c]! / total(counts) - row(exact)[c]! / total(exact))) ** 2)
    }
    // Σ of p(1 − p) over classes is below the Poisson count's by the concentration of f; tuples are not equally frequent.
    const ratio = mean(squares) / tupleClassNoise(shape, P)
    expect(ratio).toBeGreaterThan(0.6)
    expect(ratio).toBeLessThan(1.4)
  })
})

describe('mistakes', () => {
  const grammar = small[1]![1]
  it.each([
    [() => nodeMarginal(grammar, { level: 2, index: 4 }), 'got level 2, index 4'],
    [() => nodeJoint(grammar, { level: 4, index: 0 }, { level: 0, index: 0 }), 'a level from 0 to 3'],
    [
      () => tupleJoint(grammar, { level: 3, index: 0 }, { level: 0, index: 0 }),
      'a leaf has no tuple below it',
    ],
    [() => exactTokenCorrelation(grammar, 4), 'height: expected an integer from 1 to L = 3, got 4'],
    [() => exactTupleCorrelation(grammar, 2, 2), 'nodeHeight: expected an integer from 1 to 1'],
    [() => typicalTokenCorrelation(grammar, 0), 'height: expected an integer from 1'],
    [() => tokenCorrelationNoise(grammar, -1), 'P: expected a number of data > 0, got -1'],
    [() => exactTupleClassSignal(grammar, 4), 'patch: expected an integer from 0 to s^(L−1) − 1 = 3, got 4'],
  ])('%#', (act, message) => {
    expect(act).toThrow(message)
  })
})
