/** @file Merge methods by algebra: identities, brute force, and the statistics of the random ones. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  globalCuts,
  type MergeInput,
  mergeMethods,
  type Parameters,
  type ParameterValue,
  tallMask,
} from '../../src/merge/index.ts'
import { rankProbabilities } from '../../src/merge/methods/sparsify.ts'
import { random } from '../../src/tensor/index.ts'
import { elementOfRank, keepLargest, keepRanks, l1, valueOfRank } from './arrays.ts'

const normal = (seed: number, n: number): Float32Array => random.sampleNormal(random.key(seed), n)

/** The base, the shape, the key's seed, and any parameters of the method. */
interface Options {
  base?: Float32Array
  shape?: number[]
  seed?: number
  [parameter: string]: ParameterValue | Float32Array | number[] | undefined
}

/** Merges flat vectors of equal length; parameters of the models in their order. */
function merge(
  method: string,
  models: readonly (readonly [Float32Array, Parameters])[],
  { base, shape, seed = 0, ...parameters }: Options = {},
): Float32Array {
  const input: MergeInput = {
    name: 'w',
    shape: shape ?? [models[0]![0].length],
    base,
    models: models.map(([values, own]) => ({ values, parameters: own })),
    parameters: parameters as Parameters,
    key: random.key(seed),
  }
  return mergeMethods[method]!.merge(input)
}

function expectClose(got: Float32Array, wanted: ArrayLike<number>, tolerance = 1e-6): void {
  const top = Math.max(...Array.from(wanted, Math.abs), 1e-30)
  for (const [i, x] of got.entries()) expect(Math.abs(x - wanted[i]!) / top).toBeLessThan(tolerance)
}

const n = 24
const shape = [4, 6]
const base = normal(1, n)
const a = normal(2, n)
const b = normal(3, n)
const c = normal(4, n)
const w1 = { weight: 1 }
const seeds = fc.integer({ min: 0, max: 1e6 })

describe('identities', () => {
  it('one model with weight 1: every average, sphere and task vector gives it back', () => {
    for (const name of ['linear', 'multislerp', 'rewarded_soup']) expect(merge(name, [[a, w1]])).toEqual(a)
    for (const name of ['passthrough', 'karcher', 'uniform_soup']) expect(merge(name, [[a, {}]])).toEqual(a)
    for (const name of ['task_arithmetic', 'ties', 'dare_linear', 'dare_ties', 'della', 'breadcrumbs'])
      expectClose(merge(name, [[a, w1]], { base }), a)
    for (const name of ['sce', 'ram']) expectClose(merge(name, [[a, {}]], { base }), a)
    expectClose(merge('wise_ft', [[a, {}]], { base, alpha: 1 }), a)
  })

  it('models equal to the base give the base', () => {
    for (const name of ['task_arithmetic', 'ties', 'dare_ties', 'della', 'breadcrumbs_ties', 'consensus'])
      expect(
        merge(
          name,
          [
            [base, w1],
            [base, w1],
          ],
          { base },
        ),
        name,
      ).toEqual(base)
    for (const name of ['sce', 'ram', 'ramplus_tl'])
      expect(
        merge(
          name,
          [
            [base, {}],
            [base, {}],
          ],
          { base },
        ),
      ).toEqual(base)
    for (const name of ['nearswap', 'slerp']) expectClose(merge(name, [[base, {}]], { base, t: 0.5 }), base)
    expect(merge('arcee_fusion', [[base, {}]], { base, shape })).toEqual(base)
    expectClose(
      merge(
        'model_stock',
        [
          [base, {}],
          [base, {}],
        ],
        { base },
      ),
      base,
    )
  })

  it('no model, λ = 0 or weights 0 give the base', () => {
    for (const name of ['task_arithmetic', 'ties', 'sce', 'ram', 'ramplus_tl']) {
      const out = mergeMethods[name]!.merge({
        name: 'w',
        shape,
        base,
        models: [],
        parameters: {},
        key: random.key(0),
      })
      expect(out).toEqual(base)
      expect(out).not.toBe(base)
    }
    expect(
      merge(
        'ties',
        [
          [a, w1],
          [b, w1],
        ],
        { base, lambda: 0 },
      ),
    ).toEqual(base)
    expect(merge('task_arithmetic', [[a, { weight: 0 }]], { base })).toEqual(base)
  })

  it('linear and task arithmetic are linear in their weights', () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.double({ min: 0.1, max: 2, noNaN: true }), fc.double({ min: 0.1, max: 2, noNaN: true })),
        ([p, q]) => {
          const pair = [
            [a, { weight: p }],
            [b, { weight: q }],
          ] as const
          const sum = a.map((x, i) => p * x + q * b[i]!)
          expectClose(merge('linear', pair, { normalize: false }), sum)
          expectClose(
            merge('linear', pair),
            sum.map((x) => x / (p + q)),
          )
          const tasks = base.map((x, i) => x + p * (a[i]! - x) + q * (b[i]! - x))
          expectClose(merge('task_arithmetic', pair, { base }), tasks)
          expectClose(
            merge('wise_ft', [[a, {}]], { base, alpha: q / 2 }),
            base.map((x, i) => x + (q / 2) * (a[i]! - x)),
          )
        },
      ),
      { numRuns: 30 },
    )
    expectClose(
      merge('uniform_soup', [
        [a, {}],
        [b, {}],
        [c, {}],
      ]),
      a.map((x, i) => (x + b[i]! + c[i]!) / 3),
    )
    expectClose(
      merge('rewarded_soup', [
        [a, { weight: 0.3 }],
        [b, { weight: 0.7 }],
      ]),
      a.map((x, i) => 0.3 * x + 0.7 * b[i]!),
    )
  })

  it('slerp: ends, symmetry, and on a circle the point at the angle tθ', () => {
    expectClose(merge('slerp', [[a, {}]], { base, t: 0 }), base)
    expectClose(merge('slerp', [[a, {}]], { base, t: 1 }), a)
    expectClose(
      merge('slerp', [[a, {}]], { base, t: 0.3 }),
      merge('slerp', [[base, {}]], { base: a, t: 0.7 }),
    )
    const at = (angle: number) => Float32Array.of(Math.cos(angle), Math.sin(angle))
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 2.5, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (angle, t) => {
          expectClose(merge('slerp', [[at(angle), {}]], { base: at(0), t }), at(t * angle), 2e-6)
          const pair = [
            [at(0), { weight: 1 - t }],
            [at(angle), { weight: t }],
          ] as const
          expectClose(merge('nuslerp', pair), at(t * angle), 2e-6)
        },
      ),
      { numRuns: 40, seed: 5 },
    )
    // two unit vectors: both means on the sphere are the middle of the arc
    expectClose(
      merge('karcher', [
        [at(0.2), {}],
        [at(1), {}],
      ]),
      at(0.6),
      2e-6,
    )
    expectClose(
      merge('multislerp', [
        [at(0.2), w1],
        [at(1), w1],
      ]),
      at(0.6),
      2e-6,
    )
    // three on a great circle: the Karcher mean is the mean angle
    expectClose(
      merge(
        'karcher',
        [
          [at(0), {}],
          [at(0.3), {}],
          [at(1.2), {}],
        ],
        { max_iter: 30, tol: 1e-7 },
      ),
      at(0.5),
      2e-6,
    )
  })

  it('nuslerp by rows is nuslerp of each row', () => {
    const pair = [
      [a, { weight: 1 }],
      [b, { weight: 3 }],
    ] as const
    const rows = merge('nuslerp', pair, { shape, nuslerp_flatten: false })
    const transposed = (x: Float32Array) =>
      Float32Array.from(x, (_, i) => x[(i % 4) * 6 + Math.floor(i / 4)]!)
    const columns = merge(
      'nuslerp',
      [
        [transposed(a), { weight: 1 }],
        [transposed(b), { weight: 3 }],
      ],
      {
        shape: [6, 4],
        nuslerp_flatten: false,
        nuslerp_row_wise: true,
      },
    )
    expect(columns).toEqual(transposed(rows))
    for (let row = 0; row < 4; row++) {
      const part = (x: Float32Array) => x.slice(row * 6, row * 6 + 6)
      expect(part(rows)).toEqual(
        merge('nuslerp', [
          [part(a), { weight: 1 }],
          [part(b), { weight: 3 }],
        ]),
      )
    }
  })

  it('the order of models does not matter where nothing is random', () => {
    for (const [name, own] of [
      ['ties', { weight: 0.5, density: 0.5 }],
      ['sce', {}],
      ['karcher', {}],
      ['ram', {}],
      ['model_stock', {}],
      ['consensus', {}],
      ['breadcrumbs', { weight: 0.5, density: 0.6 }],
    ] as const)
      expectClose(
        merge(
          name,
          [
            [a, own],
            [b, own],
            [c, own],
          ],
          { base },
        ),
        merge(
          name,
          [
            [c, own],
            [a, own],
            [b, own],
          ],
          { base },
        ),
      )
  })

  it("'element' methods give a range of the merge for a range of the inputs", () => {
    for (const method of Object.values(mergeMethods)) {
      const given: Record<string, number> = { weight: 0.5, t: 0.1, task: 1, cut: 0.5 }
      const own = Object.fromEntries(
        method.parameters.perModel.flatMap((p) =>
          p.default === undefined ? [[p.name, given[p.name]!]] : [],
        ),
      )
      const all = Object.fromEntries(
        method.parameters.global.flatMap((p) => (p.default === undefined ? [[p.name, given[p.name]!]] : [])),
      )
      if (method.name === 'ties' || method.name.startsWith('d')) own['density'] = 1
      if (method.reach(all, [own]) !== 'element') continue
      const models = [a, b].slice(0, Math.min(2, method.maxModels))
      const range = (from: number, to: number) =>
        merge(
          method.name,
          models.map((x) => [x.slice(from, to), own]),
          { base: base.slice(from, to), ...all },
        )
      expect(Float32Array.of(...range(0, 10), ...range(10, n)), method.name).toEqual(range(0, n))
    }
  })
})

describe('choice by magnitude', () => {
  const values = fc
    .array(fc.oneof(fc.float({ noNaN: true }), fc.constantFrom(0, -0, 1, -1, 0.5)), {
      minLength: 1,
      maxLength: 60,
    })
    .map((list) => Float32Array.from(list))

  it('finds ranks as sorting does', () => {
    fc.assert(
      fc.property(values, fc.nat(), (x, seed) => {
        const rank = seed % x.length
        const sorted = x.slice().sort()
        expect(valueOfRank(x, rank) === sorted[rank]).toBe(true)
        const magnitudes = x.map(Math.abs).sort()
        const { bits, below } = elementOfRank(x, rank)
        expect(new Float32Array(Uint32Array.of(bits).buffer)[0]).toBe(magnitudes[rank])
        expect(below).toBe(magnitudes.indexOf(magnitudes[rank]!))
      }),
    )
  })

  it('keeps the largest, and ranges of ranks, as a stable sort does', () => {
    fc.assert(
      fc.property(values, fc.nat(), fc.nat(), (x, s1, s2) => {
        const order = Array.from(x.keys())
        const kept = (chosen: number[]) => x.map((v, i) => (chosen.includes(i) ? v : 0))
        const down = order.slice().sort((i, j) => Math.abs(x[j]!) - Math.abs(x[i]!) || i - j)
        const up = order.slice().sort((i, j) => Math.abs(x[i]!) - Math.abs(x[j]!) || i - j)
        const [from, to] = [s1 % (x.length + 1), s2 % (x.length + 1)].sort((p, q) => p - q) as [
          number,
          number,
        ]
        const same = (p: Float32Array, q: Float32Array) => p.every((v, i) => v === q[i])
        expect(same(keepLargest(x, to), kept(down.slice(0, to)))).toBe(true)
        expect(same(keepRanks(x, from, to), kept(up.slice(from, to)))).toBe(true)
      }),
    )
  })

  it('TIES against a brute force in the paper’s words', () => {
    fc.assert(
      fc.property(seeds, fc.double({ min: 0.05, max: 1, noNaN: true }), (seed, density) => {
        const [t, x, y, z] = [0, 1, 2, 3].map((i) => normal(seed + i, n)) as [
          Float32Array,
          Float32Array,
          Float32Array,
          Float32Array,
        ]
        const out = merge(
          'ties',
          [x, y, z].map((v) => [v, { weight: 1, density }]),
          { base: t },
        )
        const k = Math.max(1, Math.floor(density * n))
        const trimmed = [x, y, z].map((v) => {
          const delta = v.map((e, i) => e - t[i]!)
          const cut = delta.map(Math.abs).sort()[n - k]!
          return delta.map((e) => (Math.abs(e) >= cut ? e : 0))
        })
        const wanted = t.map((e, i) => {
          const column = trimmed.map((v) => v[i]!)
          const sign = column.reduce((s, v) => s + v, 0) >= 0 ? 1 : -1
          const agree = column.filter((v) => v * sign > 0)
          return e + (agree.length ? agree.reduce((s, v) => s + v, 0) / agree.length : 0)
        })
        expectClose(out, wanted)
      }),
      { numRuns: 40, seed: 5 },
    )
  })

  it('TIES over the whole model: cuts from streamed pieces are those of the flat vector', () => {
    fc.assert(
      fc.property(
        seeds,
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 50 }),
        (seed, density, piece) => {
          const [t, x, y] = [0, 1, 2].map((i) => normal(seed + i, 50)) as [
            Float32Array,
            Float32Array,
            Float32Array,
          ]
          const preparation = globalCuts([density, 0.5])
          let passes = 0
          do {
            passes++
            for (let i = 0; i < 50; i += piece)
              preparation.see(t.slice(i, i + piece), [x.slice(i, i + piece), y.slice(i, i + piece)])
          } while (preparation.endPass())
          expect(passes).toBe(2)
          const sorted = (v: Float32Array) => v.map((e, i) => Math.abs(Math.fround(e - t[i]!))).sort()
          expect(preparation.perModel()).toEqual([
            { cut: sorted(x)[50 - Math.max(1, Math.trunc(density * 50))] },
            { cut: sorted(y)[25] },
          ])
        },
      ),
    )
    // the whole model in one tensor: the cut does what `density` does in `ties`
    const cuts = globalCuts([0.3, 0.3])
    for (let again = true; again; again = cuts.endPass()) cuts.see(base, [a, b])
    const [first, second] = cuts.perModel() as [Parameters, Parameters]
    const whole = merge(
      'ties_global',
      [
        [a, first],
        [b, second],
      ],
      { base },
    )
    const dense = { weight: 1, density: 0.3 }
    expect(whole).toEqual(
      merge(
        'ties',
        [
          [a, dense],
          [b, dense],
        ],
        { base },
      ),
    )
  })
})

describe('masks', () => {
  it('TALL: a task alone needs everything it changed, and a mask shrinks as λ grows', () => {
    const task = a.map((x, i) => x - base[i]!)
    expect(tallMask(task, task, 0.4)).toEqual(new Uint8Array(n).fill(1))
    const both = task.map((x, i) => x + b[i]!)
    const sizes = [0.1, 0.4, 1, 4].map((ratio) => tallMask(task, both, ratio).reduce((s, bit) => s + bit, 0))
    expect(sizes).toEqual(sizes.slice().sort((p, q) => q - p))
    expectClose(merge('tall_mask', [[a, {}]], { base, task: 1 }), a)
  })

  it('Consensus keeps what min_tasks tasks need; 0 tasks is task arithmetic', () => {
    const pair = [
      [a, {}],
      [b, {}],
      [c, {}],
    ] as const
    const plain = merge(
      'task_arithmetic',
      pair.map(([x]) => [x, w1]),
      { base },
    )
    expect(merge('consensus', pair, { base, min_tasks: 0 })).toEqual(plain)
    const tasks = [a, b, c].map((x) => x.map((v, i) => v - base[i]!))
    const total = base.map((_, i) => tasks.reduce((s, task) => s + task[i]!, 0))
    for (const least of [1, 2, 3]) {
      const wanted = base.map((x, i) => {
        const need = tasks.filter((task) => Math.abs(task[i]!) > 0.4 * Math.abs(total[i]! - task[i]!)).length
        return need >= least ? x + total[i]! : x
      })
      expectClose(merge('consensus', pair, { base, min_tasks: least }), wanted)
    }
  })
})

describe('random methods', () => {
  const size = 40_000
  const zeros = new Float32Array(size)
  const big = normal(9, size)

  it.each(['dare_linear', 'dare_ties'])('%s keeps each element with probability `density`', (name) => {
    for (const density of [0.1, 0.5, 0.83]) {
      const out = merge(name, [[big, { weight: 1, density }]], { base: zeros, rescale: false })
      const kept = out.reduce((count, x) => count + (x === 0 ? 0 : 1), 0)
      // five standard deviations of a binomial
      expect(Math.abs(kept - density * size)).toBeLessThan(5 * Math.sqrt(size * density * (1 - density)))
      expect(out.every((x, i) => x === 0 || x === big[i])).toBe(true)
      const rescaled = merge(name, [[big, { weight: 1, density }]], { base: zeros })
      expect(l1(rescaled) / l1(big)).toBeCloseTo(1, 5)
      expect(rescaled.every((x, i) => (x === 0) === (out[i] === 0))).toBe(true)
    }
  })

  it('DARE is unbiased: the mean over keys comes back to the model', () => {
    const runs = 400
    const mean = new Float64Array(n)
    for (let seed = 0; seed < runs; seed++) {
      const out = merge('dare_linear', [[a, { weight: 1, density: 0.5 }]], { base, seed, rescale: false })
      for (let i = 0; i < n; i++) mean[i]! += (out[i]! - base[i]!) / 0.5 / runs
    }
    // δ/p times Bernoulli(p) has variance δ² (1 − p)/p
    for (let i = 0; i < n; i++)
      expect(Math.abs(mean[i]! - (a[i]! - base[i]!))).toBeLessThan(
        (5 * Math.abs(a[i]! - base[i]!)) / Math.sqrt(runs),
      )
  })

  it('DELLA: probabilities rise evenly with the rank of a magnitude in its row, and are obeyed', () => {
    const chances = rankProbabilities(Float32Array.of(3, -1, 2, 0.5, 0.1, -9), [2, 3], 0.5, 0.2)
    expectClose(chances, [0.7, 0.3, 0.5, 0.5, 0.3, 0.7])
    expectClose(rankProbabilities(Float32Array.of(5), [1], 0.4, 0.1), [0.4])
    expectClose(rankProbabilities(Float32Array.of(1, 4, 3, 2), [1, 2, 2], 0.5, 0.1), [0.4, 0.6, 0.6, 0.4])
    const own = { weight: 1, density: 0.4, epsilon: 0.3 }
    const out = merge('della_linear', [[big, own]], { base: zeros, shape: [100, 400], rescale: false })
    const places = rankProbabilities(big, [100, 400], 0.4, 0.3)
    for (const [low, high] of [
      [0.1, 0.25],
      [0.25, 0.4],
      [0.4, 0.55],
      [0.55, 0.71],
    ] as const) {
      let [kept, expected, variance] = [0, 0, 0]
      for (const [i, p] of places.entries())
        if (p >= low && p < high) {
          kept += out[i] === 0 ? 0 : 1
          expected += p
          variance += p * (1 - p)
        }
      expect(Math.abs(kept - expected)).toBeLessThan(5 * Math.sqrt(variance))
    }
  })

  it('the same key gives the same bits, another key or model others', () => {
    const own = { weight: 1, density: 0.5 }
    const drawn = (seed: number) =>
      merge(
        'dare_linear',
        [
          [big, own],
          [big, own],
        ],
        { base: zeros, seed, rescale: false },
      )
    expect(drawn(7)).toEqual(drawn(7))
    expect(drawn(7)).not.toEqual(drawn(8))
    // two models that are equal are thinned independently: a quarter of the elements is kept twice
    const twice = drawn(7).reduce((count, x, i) => count + (x === Math.fround(2 * big[i]!) ? 1 : 0), 0)
    expect(Math.abs(twice - size / 4)).toBeLessThan(5 * Math.sqrt((size * 3) / 16))
  })
})

describe('formulas', () => {
  it('NearSwap moves each element by at most t', () => {
    const out = merge('nearswap', [[a, {}]], { base, t: 0.2 })
    for (const [i, x] of out.entries()) {
      const distance = a[i]! - base[i]!
      expect(x - base[i]!).toBeCloseTo(Math.sign(distance) * Math.min(0.2, Math.abs(distance)), 5)
    }
  })

  it('Model Stock: orthogonal task vectors stay at the base, equal ones give the average', () => {
    const [x, y] = [Float32Array.of(1, 0), Float32Array.of(0, 1)]
    const zero = new Float32Array(2)
    expect(
      merge(
        'model_stock',
        [
          [x, {}],
          [y, {}],
        ],
        { base: zero },
      ),
    ).toEqual(zero)
    expectClose(
      merge(
        'model_stock',
        [
          [x, {}],
          [x, {}],
        ],
        { base: zero },
      ),
      x,
    )
    // cos 45°: t = 2c/(1 + c)
    const d = Float32Array.of(1, 1)
    const t = (2 * Math.SQRT1_2) / (1 + Math.SQRT1_2)
    expectClose(
      merge(
        'model_stock',
        [
          [x, {}],
          [d, {}],
        ],
        { base: zero },
      ),
      [t, t / 2],
    )
  })

  it('RAM: unique changes stay whole, shared ones are averaged; RAM+ strengthens the unique', () => {
    const zero = new Float32Array(4)
    const x = Float32Array.of(1, 2, 0, 0)
    const y = Float32Array.of(3, 0, 5, 0)
    expect(
      merge(
        'ram',
        [
          [x, {}],
          [y, {}],
        ],
        { base: zero },
      ),
    ).toEqual(Float32Array.of(2, 2, 5, 0))
    const plus = merge(
      'ramplus_tl',
      [
        [x, {}],
        [y, {}],
      ],
      { base: zero, r: 0.5, alpha: 2 },
    )
    expectClose(plus, [2, 2 * 1.5, 5 * 1.5, 0])
  })

  it('SCE weighs models by their mean square', () => {
    const zero = new Float32Array(2)
    const out = merge(
      'sce',
      [
        [Float32Array.of(1, 1), {}],
        [Float32Array.of(3, -1), {}],
      ],
      { base: zero },
    )
    // weights 1/6 and 5/6; the second element: the sum is 0, so + wins
    expectClose(out, [1 / 6 + 15 / 6, 1])
  })

  it('Arcee Fusion takes over the few elements that matter most', () => {
    const tuned = base.map((x, i) => (i === 7 ? x + 3 : x + 1e-3 * a[i]!))
    const out = merge('arcee_fusion', [[tuned, {}]], { base, shape })
    expect(out[7]).toBeCloseTo(tuned[7]!, 6)
    expect(out.filter((x, i) => x === base[i]).length).toBeGreaterThan(n / 2)
  })
})
