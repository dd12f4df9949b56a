/** @file Public functions that are made of primitives, against NumPy's meaning written as plain loops, on both backends. */
import { describe, expect, it } from 'vitest'
import {
  argmax,
  argmin,
  argsort,
  averagePool2d,
  bitAnd,
  blockSums,
  cast,
  compile,
  concatenate,
  conv1d,
  conv2d,
  convTranspose2d,
  crossEntropy,
  cumsum,
  type Dtype,
  dot,
  einsum,
  expandDims,
  flatten,
  flip,
  full,
  gather,
  grad,
  greater,
  greaterEqual,
  logicalAnd,
  logicalNot,
  logSoftmax,
  logSumExp,
  matmul,
  matrixTranspose,
  max,
  maximum,
  maxPool2d,
  mean,
  min,
  mul,
  notEqual,
  oneHot,
  ones,
  onesLike,
  pad,
  prod,
  random,
  reshape,
  roll,
  rsqrt,
  scalar,
  scatterAdd,
  select,
  silu,
  slice,
  sliceAxis,
  softCrossEntropy,
  softmax,
  sort,
  split,
  square,
  squeeze,
  stack,
  sub,
  sum,
  swapAxes,
  type Tensor,
  takeAlong,
  tensor,
  topK,
  transpose,
  triangularMask,
  variance,
  vmap,
  where,
  zeros,
} from '../../src/tensor/index.ts'
import { at, atBroadcast, build, drawFrom, numbers, toTensor, type Value } from './draw.ts'
import { differences, type Job, onRuntime, referenceOf } from './run.ts'

const draw = drawFrom(99)
const value = (shape: number[], dtype: Dtype = 'f64'): Value => ({
  shape,
  dtype,
  values: numbers(draw, shape, dtype),
})
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const made = (shape: number[], f: (i: number[]) => number, dtype: Dtype = 'f64'): Value => ({
  shape,
  dtype,
  values: build(shape, f),
})

/** Jobs with what they should give. */
async function check(list: readonly (readonly [Job, readonly Value[]])[]): Promise<void> {
  const got = await onRuntime(list.map(([job]) => job))
  expect(
    list.flatMap(([job, want], i) => [
      ...differences(`${job.label} on the reference`, referenceOf(job), want, 1e-11),
      ...differences(job.label, got[i]!, want, 1e-11),
    ]),
  ).toEqual([])
}
const job = (
  label: string,
  inputs: readonly Value[],
  f: (...x: Tensor[]) => Tensor | readonly Tensor[],
): Job => ({
  label,
  inputs,
  fn: (...x) => [f(...x)].flat() as Tensor[],
})

describe('matmul', () => {
  it('broadcasts leading axes and treats vectors as NumPy does', async () => {
    const shapes = [
      [[3, 4], [4, 5]], [[4], [4]], [[4], [4, 5]], [[3, 4], [4]], [[2, 3, 4], [4]], [[4], [2, 4, 5]],
      [[2, 3, 4], [4, 5]], [[3, 4], [2, 4, 5]], [[2, 1, 3, 4], [5, 4, 2]], [[1, 3, 4], [2, 4, 5]], [[2, 0, 4], [4, 5]], [[3, 0], [0, 5]],
    ] as [number[], number[]][] // biome-ignore format: pairs of shapes
    await check(
      shapes.map(([sa, sb]) => {
        const [a, b] = [value(sa), value(sb)]
        const [ra, rb] = [sa.length === 1 ? [1, ...sa] : sa, sb.length === 1 ? [...sb, 1] : sb]
        const lead = range(Math.max(ra.length, rb.length) - 2).map((i, _, all) => {
          const back = all.length - i
          const [m, n] = [ra.at(-2 - back) ?? 1, rb.at(-2 - back) ?? 1]
          return m === 1 ? n : m
        })
        const [m, k, n] = [ra.at(-2)!, ra.at(-1)!, rb.at(-1)!]
        const wide = made([...lead, m, n], (i) => {
          const [row, column] = i.slice(-2) as [number, number]
          const [x, y] = [
            { ...a, shape: ra },
            { ...b, shape: rb },
          ]
          return range(k).reduce(
            (s, p) =>
              s +
              atBroadcast(x, [...i.slice(0, -2), row, p]) * atBroadcast(y, [...i.slice(0, -2), p, column]),
            0,
          )
        })
        const shape = [...lead, ...(sa.length === 1 ? [] : [m]), ...(sb.length === 1 ? [] : [n])]
        return [job(`[${sa}] · [${sb}]`, [a, b], (x, y) => matmul(x!, y!)), [{ ...wide, shape }]] as const
      }),
    )
  })
  it('transposes either operand', async () => {
    const [a, b] = [value([2, 4, 3]), value([2, 5, 4])]
    const want = made([2, 3, 5], ([t, i, j]) =>
      range(4).reduce((s, p) => s + at(a, [t!, p, i!]) * at(b, [t!, j!, p]), 0),
    )
    await check([
      [job('flags', [a, b], (x, y) => matmul(x!, y!, { transposeA: true, transposeB: true })), [want]],
      [job('transposes', [a, b], (x, y) => matmul(matrixTranspose(x!), swapAxes(y!, -1, -2))), [want]],
    ])
  })
})

describe('einsum', () => {
  /** The definition: a sum over every assignment of the letters. */
  function bySums(formula: string, tensors: readonly Value[], target: string): Value {
    const words = formula.split('->')[0]!.split(',')
    const size = new Map(
      words.flatMap((w, i) => [...w].map((c, axis) => [c, tensors[i]!.shape[axis]!] as const)),
    )
    const letters = [...size.keys()]
    const others = letters.filter((c) => !target.includes(c))
    return made(
      [...target].map((c) => size.get(c)!),
      (index) => {
        let total = 0
        for (const rest of build(
          others.map((c) => size.get(c)!),
          () => 0,
        ).map((_, k) =>
          unravel(
            k,
            others.map((c) => size.get(c)!),
          ),
        )) {
          const place = (c: string): number =>
            target.includes(c) ? index[target.indexOf(c)]! : rest[others.indexOf(c)]!
          total += words.reduce((p, w, i) => p * at(tensors[i]!, [...w].map(place)), 1)
        }
        return total
      },
    )
  }
  const unravel = (flat: number, shape: number[]): number[] =>
    shape.map((n, i) => Math.floor(flat / shape.slice(i + 1).reduce((p, m) => p * m, 1)) % n)

  it('is the sum over all other letters', async () => {
    const sizes: Record<string, number> = { a: 2, b: 3, c: 2, d: 4, e: 1 }
    const list = range(60).map(() => {
      const words = range(draw.int(1, 3)).map(() =>
        draw.shuffle(Object.keys(sizes)).slice(0, draw.int(0, 3)).join(''),
      )
      if (draw.chance(0.2)) words[0] += words[0]!.slice(0, 1)
      const letters = [...new Set(words.join(''))]
      const target = draw.shuffle(letters).slice(0, draw.int(0, letters.length)).join('')
      const tensors = words.map((w) => value([...w].map((c) => sizes[c]!)))
      const formula = `${words.join(',')}->${target}`
      return [
        job(formula, tensors, (...x) => einsum(formula, ...x)),
        [bySums(formula, tensors, target)],
      ] as const
    })
    await check(list)
  })
  it('sums letters that appear twice when no result is given', async () => {
    const [a, b] = [value([3, 4]), value([4, 2])]
    await check([
      [job('ij,jk', [a, b], (x, y) => einsum('ij, jk', x!, y!)), [bySums('ij,jk', [a, b], 'ik')]],
      [job('ba', [a], (x) => einsum('ba', x!)), [bySums('ba', [a], 'ab')]],
    ])
  })
  it('says what is wrong', () => {
    const [x, y] = [zeros([2, 3]), zeros([4, 3])]
    expect(() => einsum('ij,jk->ik', x, y)).toThrow(
      /^einsum: axis "j" has sizes 3 and 4 in "ij,jk->ik" \(at .*functions\.test/,
    )
    expect(() => einsum('ij->ik', x)).toThrow(/^einsum: the result "ik" must name letters of "ij" once each/)
    expect(() => einsum('ijk->i', x)).toThrow(/^einsum: "ijk" names 3 axes, the tensor is f32\[2,3\]/)
    expect(() => einsum('ij,jk->ik', x)).toThrow(
      /^einsum: expected one group of letters for each of 1 tensors/,
    )
    expect(() => einsum('i1->i', x)).toThrow(/^einsum: expected one group of letters/)
  })
})

describe('shapes', () => {
  it('joins, cuts, moves and turns', async () => {
    const [x, y] = [value([2, 3, 4]), value([2, 3, 4])]
    const shifted = (n: number) => made([2, 3, 4], (i) => at(x, i.with(1, (((i[1]! - n) % 3) + 3) % 3)))
    await check([
      [
        job('stack 0', [x, y], (a, b) => stack([a!, b!])),
        [made([2, 2, 3, 4], ([w, ...i]) => at(w ? y : x, i))],
      ],
      [
        job('stack −1', [x, y], (a, b) => stack([a!, b!], -1)),
        [made([2, 3, 4, 2], (i) => at(i[3] ? y : x, i.slice(0, 3)))],
      ],
      [
        job('concatenate −2', [x, y], (a, b) => concatenate([a!, b!], -2)),
        [made([2, 6, 4], ([i, j, k]) => at(j! < 3 ? x : y, [i!, j! % 3, k!]))],
      ],
      [
        job('roll', [x], (a) => [roll(a!, 1, 1), roll(a!, -1, 1), roll(a!, 7, 1), roll(a!, 0, 1)]),
        [shifted(1), shifted(-1), shifted(7), shifted(0)],
      ],
      [
        job('flip', [x], (a) => flip(a!, [0, -1])),
        [made([2, 3, 4], ([i, j, k]) => at(x, [1 - i!, j!, 3 - k!]))],
      ],
      [job('transpose', [x], (a) => transpose(a!)), [made([4, 3, 2], ([k, j, i]) => at(x, [i!, j!, k!]))]],
      [
        job('select', [x], (a) => [select(a!, 1, 2), select(a!, -1, -1)]),
        [made([2, 4], ([i, k]) => at(x, [i!, 2, k!])), made([2, 3], ([i, j]) => at(x, [i!, j!, 3]))],
      ],
      [
        job('slice', [x], (a) => slice(a!, [0, -2, 1], [2, 99, 4], [1, 1, 2])),
        [made([2, 2, 2], ([i, j, k]) => at(x, [i!, j! + 1, 2 * k! + 1]))],
      ],
      [
        job('split', [x], (a) => split(a!, [1, 0, 3], 2)),
        [
          made([2, 3, 1], (i) => at(x, i)),
          made([2, 3, 0], () => 0),
          made([2, 3, 3], ([i, j, k]) => at(x, [i!, j!, k! + 1])),
        ],
      ],
      [
        job('pad', [x], (a) =>
          pad(sliceAxis(a!, 0, 0, 1), { low: [0, 1, 0], high: [1, 0, 0], interior: [0, 0, 1], value: 9 }),
        ),
        [
          made([2, 4, 7], ([i, j, k]) =>
            i === 0 && j! > 0 && k! % 2 === 0 ? at(x, [0, j! - 1, k! / 2]) : 9,
          ),
        ],
      ],
      [
        job('squeeze', [x], (a) => [
          squeeze(expandDims(a!, 1), 1),
          squeeze(expandDims(expandDims(a!, -1), 0)),
          flatten(a!),
          reshape(a!, [3, -1]),
        ]),
        [x, x, { ...x, shape: [24] }, { ...x, shape: [3, 8] }],
      ],
    ])
  })
  it('says what is wrong', () => {
    const x = zeros([2, 3])
    expect(() => select(x, 1, 3)).toThrow(
      /^select: index 3 is out of range for axis 1 of f32\[2,3\] \(size 3\)/,
    )
    expect(() => split(x, 2, 1)).toThrow(/^split: axis 1 of f32\[2,3\] has size 3, which 2 does not divide/)
    expect(() => split(x, [1, 1], 1)).toThrow(/which is not the sum of \[1,1\]/)
    expect(() => squeeze(x, 0)).toThrow(/^squeeze: axis 0 of f32\[2,3\] has size 2, expected 1/)
    expect(() => slice(x, [0], [1])).toThrow(/^slice: expected 2 starts, ends and strides/)
    expect(() => slice(x, [2, 0], [1, 3])).toThrow(
      /^slice: axis 0 of f32\[2,3\]: expected 0 ≤ start ≤ end ≤ 2/,
    )
    expect(() => concatenate([])).toThrow(/^concatenate: expected at least one tensor/)
    expect(() => concatenate([x, zeros([2, 2])])).toThrow(
      /^concatenate: shapes may differ only in axis 0, got f32\[2,3\], f32\[2,2\]/,
    )
    expect(() => transpose(x, [0, 0])).toThrow(/^transpose: expected a permutation of 0…1/)
    expect(() => pad(x, { low: [-1, 0], high: [0, 0] })).toThrow(/^pad: expected 2 non-negative amounts/)
    expect(() => tensor([[1, 2], [3]])).toThrow(/different lengths/)
    expect(() => tensor([1, 2], { shape: [3] })).toThrow(/shape \[3\] needs 3 elements, got 2/)
  })
})

describe('reductions and order', () => {
  const x = value([3, 4])
  const columns = range(4).map((j) => range(3).map((i) => at(x, [i, j])))
  const average = (v: number[]): number => v.reduce((a, b) => a + b, 0) / v.length
  it('reduces', async () => {
    await check([
      [
        job('mean', [x], (a) => [mean(a!), mean(a!, 0), mean(a!, [0, 1], { keepDims: true })]),
        [
          made([], () => average([...x.values])),
          made([4], ([j]) => average(columns[j!]!)),
          made([1, 1], () => average([...x.values])),
        ],
      ],
      [
        job('variance', [x], (a) => variance(a!, 0)),
        [made([4], ([j]) => average(columns[j!]!.map((v) => (v - average(columns[j!]!)) ** 2)))],
      ],
      [
        job('max', [x], (a) => [max(a!, 0, { keepDims: true }), min(a!), prod(a!, -2)]),
        [
          made([1, 4], ([, j]) => Math.max(...columns[j!]!)),
          made([], () => Math.min(...x.values)),
          made([4], ([j]) => columns[j!]!.reduce((p, v) => p * v, 1)),
        ],
      ],
      [job('no axes', [x], (a) => sum(a!, [])), [x]],
      [
        job('dot', [x], (a) => dot(select(a!, 0, 0), select(a!, 0, 1))),
        [made([], () => range(4).reduce((s, j) => s + at(x, [0, j]) * at(x, [1, j]), 0))],
      ],
      [
        job('cumsum', [x], (a) => cumsum(a!, 0, { reverse: true })),
        [made([3, 4], ([i, j]) => columns[j!]!.slice(i).reduce((s, v) => s + v, 0))],
      ],
    ])
  })
  it('orders', async () => {
    const sorted = columns.map((c) => [...c].sort((a, b) => a - b))
    const ties: Value = { shape: [6], dtype: 'i32', values: [2, 1, 2, 0, 1, 2] }
    await check([
      [
        job('sort', [x], (a) => [sort(a!, 0), sort(a!, 0, { descending: true })]),
        [made([3, 4], ([i, j]) => sorted[j!]![i!]!), made([3, 4], ([i, j]) => sorted[j!]![2 - i!]!)],
      ],
      [
        job('argsort', [x], (a) => takeAlong(a!, argsort(a!, 0), 0)),
        [made([3, 4], ([i, j]) => sorted[j!]![i!]!)],
      ],
      [job('stable', [ties], (a) => [argsort(a!), argsort(a!, -1, { descending: true }), topK(a!, 2).indices]), [[3, 1, 4, 0, 2, 5], [0, 2, 5, 1, 4, 3], [0, 2]].map((values) => ({ shape: [values.length], dtype: 'i32' as const, values }))], // biome-ignore format: lists
      [
        job('argmin', [ties], (a) => [
          argmin(a!),
          argmax(a!),
          argmin(cast(a!, 'u32')),
          argmin(cast(a!, 'i64')),
          argmin(cast(a!, 'bool')),
          argmin(cast(a!, 'f32')),
        ]),
        [3, 0, 3, 3, 3, 3].map((v) => made([], () => v, 'i32')),
      ],
      [
        job(
          'argmin at the ends',
          [{ shape: [3], dtype: 'i32', values: [2 ** 31 - 1, -(2 ** 31), 0] }],
          (a) => [argmin(a!), argmax(a!)],
        ),
        [made([], () => 1, 'i32'), made([], () => 0, 'i32')],
      ],
    ])
  })
})

describe('sums of blocks', () => {
  it('are those of consecutive elements, of empty tensors too', async () => {
    const shapes = [
      [2, 6],
      [3, 2, 9],
      [0, 3],
      [2, 0],
      [1, 3],
    ]
    const list = shapes.map((shape) => {
      const x = value(shape)
      const values = range(x.values.length / 3).map(
        (b) => x.values[3 * b]! + x.values[3 * b + 1]! + x.values[3 * b + 2]!,
      )
      const want = { ...x, shape: shape.with(-1, shape.at(-1)! / 3), values }
      return [job(`[${shape}]`, [x], (a) => blockSums(a!, 3)), [want]] as const
    })
    await check(list)
  })
  it('say what is wrong', () => {
    expect(() => blockSums(zeros([2, 6]), 4)).toThrow(
      /^blockSums: expected at least two axes, the last a multiple of 4, got f32\[2,6\]/,
    )
    expect(() => blockSums(zeros([6]), 3)).toThrow(/^blockSums: expected at least two axes/)
    for (const block of [0, -3, 1.5])
      expect(() => blockSums(zeros([2, 6]), block)).toThrow(/^blockSums: block: expected a positive integer/)
  })
})

describe('softmax and its relatives', () => {
  it('are stable, along any axis, and at infinities', async () => {
    const inf = Number.POSITIVE_INFINITY
    const steep: Value = { shape: [2, 3], dtype: 'f64', values: [1000, 0, -1000, 3, 3, 3] }
    const ends: Value = { shape: [4, 2], dtype: 'f64', values: [-inf, -inf, -inf, 1, inf, 1, inf, -inf] }
    await check([
      [
        job('softmax', [steep], (a) => [softmax(a!), softmax(a!, 0)]),
        [
          { ...steep, values: [1, 0, 0, 1 / 3, 1 / 3, 1 / 3] },
          made([2, 3], ([i, j]) => 1 / (1 + Math.exp((i ? 1 : -1) * ([1000, 0, -1000][j!]! - 3)))),
        ],
      ],
      [
        job('logSoftmax', [steep], (a) => logSoftmax(a!)),
        [{ ...steep, values: [0, -1000, -2000, ...range(3).map(() => -Math.log(3))] }],
      ],
      [
        job('logSumExp', [steep], (a) => [logSumExp(a!), logSumExp(a!, 0, { keepDims: true })]),
        [
          made([2], ([i]) => [1000, 3 + Math.log(3)][i!]!),
          made([1, 3], ([, j]) => [1000, Math.log(1 + Math.exp(3)), 3][j!]!),
        ],
      ],
      [
        job('logSumExp of infinities', [ends], (a) => logSumExp(a!)),
        [{ shape: [4], dtype: 'f64', values: [-inf, 1, inf, inf] }],
      ],
    ])
  })
  it('cross-entropies agree with each other', async () => {
    const logits = value([2, 3, 4])
    const labels: Value = { shape: [2, 3], dtype: 'i32', values: [0, 3, 1, 2, 2, 0] }
    const want = made([2, 3], (i) => {
      const line = range(4).map((c) => at(logits, [...i, c]))
      return Math.log(line.reduce((s, v) => s + Math.exp(v), 0)) - line[at(labels, i)]!
    })
    await check([
      [job('labels', [logits, labels], (a, b) => crossEntropy(a!, b!)), [want]],
      [job('distribution', [logits, labels], (a, b) => softCrossEntropy(a!, oneHot(b!, 4, 'f64'))), [want]],
    ])
  })
})

describe('small things', () => {
  it('mean what they say', async () => {
    const x: Value = { shape: [4], dtype: 'f64', values: [-2, -0.5, 0.5, 3] }
    const n: Value = { shape: [3], dtype: 'i32', values: [2, 0, 5] }
    const bools = (values: number[]): Value => ({ shape: [values.length], dtype: 'bool', values })
    await check([
      [
        job('comparisons', [x], (a) => [
          greater(a!, 0),
          greaterEqual(a!, 0.5),
          notEqual(a!, 3),
          logicalAnd(greater(a!, -1), logicalNot(greater(a!, 1))),
        ]),
        [bools([0, 0, 1, 1]), bools([0, 0, 1, 1]), bools([1, 1, 1, 0]), bools([0, 1, 1, 0])],
      ],
      [
        job('choices', [x], (a) => [
          where(greater(a!, 0), a!, 7),
          where(greater(a!, 0), 1, scalar(2, 'f64')),
          maximum(a!, 0),
        ]),
        [
          { ...x, values: [7, 7, 0.5, 3] },
          { ...x, values: [2, 2, 1, 1] },
          { ...x, values: [0, 0, 0.5, 3] },
        ],
      ],
      [
        job('arithmetic', [x], (a) => [sub(1, a!), rsqrt(square(a!)), silu(a!), onesLike(a!)]),
        [
          { ...x, values: [3, 1.5, 0.5, -2] },
          { ...x, values: [0.5, 2, 2, 1 / 3] },
          { ...x, values: x.values.map((v) => v / (1 + Math.exp(-v))) },
          { ...x, values: [1, 1, 1, 1] },
        ],
      ],
      [
        job('oneHot', [n], (a) => [oneHot(a!, 3, 'f64'), oneHot(a!, 2, 'bool')]),
        [
          made([3, 3], ([i, j]) => Number([2, 0, 5][i!] === j)),
          made([3, 2], ([i, j]) => Number([2, 0, 5][i!] === j), 'bool'),
        ],
      ],
      [
        job('masks', [], () => [triangularMask(2, 3), triangularMask(3, 2, 1), triangularMask(2)]),
        [
          made([2, 3], ([i, j]) => Number(i! >= j!), 'bool'),
          made([3, 2], ([i, j]) => Number(i! + 1 >= j!), 'bool'),
          made([2, 2], ([i, j]) => Number(i! >= j!), 'bool'),
        ],
      ],
      [
        job('bits', [], () => bitAnd(tensor(Uint32Array.of(12, 10)), tensor(Uint32Array.of(10)))),
        [{ shape: [2], dtype: 'u32', values: [8, 10] }],
      ],
    ])
  })
  it('a random permutation of rows keeps the rows', async () => {
    const program = compile((x: Tensor) => random.permutation(random.key(1), x))
    const rows = (await program(tensor([[1, 2], [3, 4], [5, 6]]))).toArray() as number[][] // biome-ignore format: a matrix
    expect(rows.map((r) => r.join()).sort()).toEqual(['1,2', '3,4', '5,6'])
    program.dispose()
  })
  it('convolutions of nothing are zero', async () => {
    const [x, w] = [value([2, 3, 0, 4]), value([5, 3, 2, 3])]
    const [flat, none] = [value([2, 0, 4, 4]), value([5, 0, 3, 3])]
    for (const dtype of ['f32', 'f64'] as const) {
      const all = [x, w, flat, none].map((v) => ({ ...v, dtype }))
      const blank = (shape: number[]): Value => made(shape, () => 0, dtype)
      await check([
        [
          job(dtype, all, (a, b, c, d) => [
            conv2d(a!, b!, { padding: 1 }),
            conv2d(c!, d!),
            grad((k: Tensor) => sum(conv2d(a!, k, { padding: 1 })))(b!),
          ]),
          [blank([2, 5, 1, 4]), blank([2, 5, 2, 2]), blank([5, 3, 2, 3])],
        ],
      ])
    }
  })
  it('convolutions understand their options', () => {
    const [x, w] = [zeros([1, 2, 8, 9]), zeros([4, 2, 3, 3])]
    expect(conv2d(x, w, { padding: 'same' }).shape).toEqual([1, 4, 8, 9])
    expect(conv2d(x, zeros([4, 2, 2, 4]), { padding: 'same', dilation: 2 }).shape).toEqual([1, 4, 8, 9])
    expect(conv2d(x, w, { padding: 'valid', stride: [2, 1] }).shape).toEqual([1, 4, 3, 7])
    expect(conv2d(x, w, { padding: [1, 0] }).shape).toEqual([1, 4, 8, 7])
    expect(conv2d(x, zeros([4, 1, 3, 3]), { groups: 2 }).shape).toEqual([1, 4, 6, 7])
    expect(conv1d(zeros([1, 2, 9]), zeros([4, 2, 3]), { padding: 'same' }).shape).toEqual([1, 4, 9])
    expect(
      convTranspose2d(x, zeros([2, 4, 3, 3]), { stride: 2, padding: 1, outputPadding: 1 }).shape,
    ).toEqual([1, 4, 16, 18])
    expect(maxPool2d(x, { kernel: 2 }).shape).toEqual([1, 2, 4, 4])
    expect(averagePool2d(x, { kernel: [2, 3] }).shape).toEqual([1, 2, 4, 3])
    const failing: [() => unknown, RegExp][] = [
      [
        () => conv2d(x, zeros([4, 3, 3, 3])),
        /^conv: f32\[1,2,8,9\] with kernel f32\[4,3,3,3\] and 1 groups: expected 2 channels in each kernel/,
      ],
      [() => conv2d(x, w, { groups: 3 }), /^conv: .* 3 groups/],
      [() => conv2d(x, w, { stride: 0 }), /^conv: expected positive stride/],
      [
        () => conv2d(x, zeros([4, 2, 9, 3])),
        /^conv: a kernel of 9×3 \(dilation 1,1\) does not fit an input of 8×9/,
      ],
      [() => conv2d(x, w, { padding: 'same', stride: 2 }), /^conv2d: padding 'same' needs stride 1/],
      [() => conv2d(zeros([2, 8, 9]), w), /^conv2d: expected input and kernel of 4 axes/],
      [() => convTranspose2d(zeros([1, 2, 1, 1]), zeros([2, 4, 1, 1]), { padding: 1 }), /does not fit/],
      [
        () => convTranspose2d(x, zeros([3, 4, 3, 3])),
        /^transposed convolution: f32\[1,2,8,9\] with kernel f32\[3,4,3,3\]: expected 3 channels/,
      ],
      [() => maxPool2d(x, { kernel: 9 }), /^maxPool: a window of 9×9 .* does not fit f32\[1,2,8,9\]/],
      [() => maxPool2d(x, { kernel: 2, padding: 2 }), /padding must be smaller than the window/],
      [() => averagePool2d(x, { kernel: 0 }), /^averagePool2d: expected a positive kernel/],
      [
        () => maxPool2d(zeros([2, 8, 9]), { kernel: 2 }),
        /^maxPool2d: expected \[N, C, H, W\], got f32\[2,8,9\]/,
      ],
    ]
    for (const [f, message] of failing) {
      expect(f).toThrow(message)
      expect(f).toThrow(/\(at .*functions\.test\.ts:\d+\)$/)
    }
  })
})

describe('indices out of range', () => {
  it('are an error, also inside a batch, where they must not reach a neighbour', async () => {
    const x = toTensor(value([3, 4], 'f32'))
    for (const backend of ['onnx', 'reference'] as const) {
      for (const bad of [4, -5]) {
        const index = tensor(Int32Array.of(0, bad, 1))
        const take = compile(
          vmap((row: Tensor, i: Tensor) => gather(row, i)),
          { backend },
        )
        await expect(take(x, index)).rejects.toThrow(/out of|bounds|range/i)
        const put = compile(
          vmap((row: Tensor, i: Tensor) => scatterAdd(row, i, full([], 1))),
          { backend },
        )
        await expect(put(x, index)).rejects.toThrow(/out of|bounds|range|invalid/i)
        const whole = compile((rows: Tensor, i: Tensor) => gather(rows, i, 1), { backend })
        await expect(whole(x, index)).rejects.toThrow(/out of|bounds|range/i)
        for (const program of [take, put, whole]) program.dispose()
      }
      // negative ones count from the end of their own example
      const program = compile(
        vmap((row: Tensor, i: Tensor) => gather(row, i)),
        { backend },
      )
      const want = [3, 2, 1].map((k, i) => (x.data as Float32Array)[i * 4 + k]!)
      expect((await program(x, tensor(Int32Array.of(-1, -2, -3)))).toArray()).toEqual(want)
      program.dispose()
    }
  })
})

describe('ties and kinks', () => {
  it('share the derivative, or give it to the first', async () => {
    const gradient = async (f: (x: Tensor) => Tensor, ...x: number[]): Promise<unknown> => {
      const program = compile((v: Tensor) => grad((u: Tensor) => sum(f(u)))(v))
      const result = Array.from((await program(tensor(x))).data as Float32Array, (v) => v + 0) // no −0
      program.dispose()
      return result
    }
    expect(await gradient((x) => max(x), 2, 1, 2)).toEqual([0.5, 0, 0.5])
    expect(await gradient((x) => maximum(x, 2), 2, 1, 3)).toEqual([0.5, 0, 1])
    expect(await gradient((x) => sort(x), 2, 1, 2)).toEqual([1, 1, 1])
    expect(await gradient((x) => mul(sort(x), tensor([1, 2, 3])), 2, 1, 2)).toEqual([2, 1, 3])
    expect(await gradient((x) => maxPool2d(reshape(x, [1, 1, 2, 2]), { kernel: 2 }), 5, 5, 1, 5)).toEqual([
      1, 0, 0, 0,
    ])
    expect(await gradient((x) => prod(x), 0, 3, 0)).toEqual([0, 0, 0])
    expect(await gradient((x) => prod(x), 0, 3, 2)).toEqual([6, 0, 0])
    expect(await gradient((x) => x.pow(2), 0, -1, 2)).toEqual([0, -2, 4])
    expect(await gradient((x) => x.pow(0), 0, -1, 2)).toEqual([0, 0, 0])
    expect(await gradient((x) => x.relu(), 0, -1, 2)).toEqual([0, 0, 1])
    expect(await gradient((x) => mul(ones([3]), where(greater(x, 0), x.sqrt(), 0)), 4, 1, 16)).toEqual([
      0.25, 0.5, 0.125,
    ])
  })
})
