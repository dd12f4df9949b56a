/** @file Transformations of whole functions and of each other: grad, vjp, jvp, linearize, vmap, stopGradient, checkpoint. */
import { describe, expect, it } from 'vitest'
import {
  add,
  cast,
  checkpoint,
  compile,
  cos,
  crossEntropy,
  type Dtype,
  dot,
  equal,
  exp,
  gather,
  gelu,
  grad,
  greater,
  iota,
  jvp,
  layerNorm,
  linearize,
  log,
  logSumExp,
  matmul,
  matrixTranspose,
  mean,
  mul,
  neg,
  onesLike,
  reshape,
  scalar,
  sigmoid,
  sin,
  softmax,
  stack,
  stopGradient,
  sub,
  sum,
  Tensor,
  type Tree,
  tanh,
  tensor,
  valueAndGrad,
  valueAndGradWithAux,
  vjp,
  vmap,
  where,
  zeros,
} from '../../src/tensor/index.ts'
import { drawFrom, numbers } from './draw.ts'
import { numbersDiffer } from './run.ts'

const backends = ['reference', 'onnx'] as const
const draw = drawFrom(20)
const random = (shape: number[], dtype: Dtype = 'f64'): Tensor =>
  tensor(numbers(draw, shape, dtype, -1, 1), { shape, dtype })

/** Values of a function on a backend, flat. */
async function run<A extends readonly Tree<Tensor>[]>(
  backend: 'reference' | 'onnx',
  fn: (...args: A) => Tree<Tensor>,
  ...args: A
): Promise<number[]> {
  const program = compile(fn, { backend })
  const flat = (tree: Tree<Tensor>): number[] =>
    tree instanceof Tensor
      ? Array.from(tree.data as Float64Array, Number)
      : Object.values(tree as Record<string, Tree<Tensor>>).flatMap(flat)
  try {
    return flat(await program(...args))
  } finally {
    program.dispose()
  }
}

/** Two functions of the same arguments give the same numbers on both backends. */
async function same<A extends readonly Tree<Tensor>[]>(
  f: (...args: A) => Tree<Tensor>,
  g: (...args: A) => Tree<Tensor>,
  ...args: A
): Promise<void> {
  for (const backend of backends) {
    const [got, want] = [await run(backend, f, ...args), await run(backend, g, ...args)]
    expect(want.length).toBeGreaterThan(0)
    expect(numbersDiffer(backend, got, want, 1e-9)).toEqual([])
  }
}

const close = async (x: Promise<number[]>, want: number[], tolerance = 1e-9): Promise<void> =>
  expect(numbersDiffer('', await x, want, tolerance)).toEqual([])

/** A small network: everything in it is differentiable twice. */
const parameters = {
  blocks: [
    { weight: random([4, 5]), bias: random([5]) },
    { weight: random([5, 3]), bias: random([3]) },
  ],
  scale: random([4]),
  shift: random([4]),
}
type Parameters = typeof parameters
const network = (p: Parameters, x: Tensor): Tensor => {
  const h = layerNorm(x, p.scale, p.shift)
  return p.blocks.reduce((y, { weight, bias }, i) => {
    const z = add(matmul(y, weight), bias)
    return i === 0 ? gelu(z) : z
  }, h)
}
const images = random([6, 4])
const labels = tensor(Int32Array.of(0, 1, 2, 2, 1, 0))
const loss = (p: Parameters, x: Tensor, y: Tensor): Tensor => mean(crossEntropy(network(p, x), y))

describe.each(backends)('on %s', (backend) => {
  it('differentiates again and again', async () => {
    const f = (x: Tensor): Tensor => mul(sin(x), exp(x))
    const x = scalar(0.7, 'f64')
    const [s, c, e] = [Math.sin(0.7), Math.cos(0.7), Math.exp(0.7)]
    await close(run(backend, grad(f), x), [e * (s + c)])
    await close(run(backend, grad(grad(f)), x), [2 * e * c])
    await close(run(backend, grad(grad(grad(f))), x), [2 * e * (c - s)])
    await close(
      run(backend, (v: Tensor) => jvp(grad(grad(f)), [v], [scalar(1, 'f64')]).tangents, x),
      [2 * e * (c - s)],
    )
    await close(
      run(
        backend,
        grad((v: Tensor) => jvp(grad(f), [v], [scalar(1, 'f64')]).tangents),
        x,
      ),
      [2 * e * (c - s)],
    )
    await close(
      run(
        backend,
        grad(
          (v: Tensor) =>
            jvp((u: Tensor) => jvp(f, [u], [scalar(1, 'f64')]).tangents, [v], [scalar(1, 'f64')]).tangents,
        ),
        x,
      ),
      [2 * e * (c - s)],
    )
  })

  it('is never confused by perturbations of two levels', async () => {
    const x = scalar(3, 'f64')
    const one = scalar(1, 'f64')
    const derivative = (f: (v: Tensor) => Tensor) => (v: Tensor) => jvp(f, [v], [one]).tangents
    // d/dx (x · d/dy (x + y) at 1) = 1, not 2 (Siskind & Pearlmutter 2005)
    const siskind = (d: typeof derivative) => d((u: Tensor) => mul(u, d((v: Tensor) => add(u, v))(one)))
    await close(run(backend, siskind(derivative), x), [1])
    await close(run(backend, siskind(grad), x), [1])
    // d/dx (x · d/dy (x y) at 2) = 2x
    const second = (d: typeof derivative) =>
      d((u: Tensor) => mul(u, d((v: Tensor) => mul(u, v))(scalar(2, 'f64'))))
    await close(run(backend, second(derivative), x), [6])
    await close(run(backend, second(grad), x), [6])
    // reverse inside forward and forward inside reverse
    await close(
      run(
        backend,
        derivative((u) => mul(u, grad((v: Tensor) => mul(u, mul(v, v)))(u))),
        x,
      ),
      [3 * 2 * 9],
    )
    await close(
      run(
        backend,
        grad((u: Tensor) => mul(u, derivative((v) => mul(u, mul(v, v)))(u))),
        x,
      ),
      [3 * 2 * 9],
    )
    // a function that gives back a closure over its argument
    const curried = (u: Tensor) => derivative((v) => derivative((w) => mul(mul(u, v), w))(v))(u)
    await close(run(backend, curried, x), [3])
  })

  it('maps over maps', async () => {
    const [a, b] = [random([3, 5]), random([4, 5])]
    const pairwise = (u: Tensor, v: Tensor): Tensor => dot(u, sin(v))
    const outer = vmap((u: Tensor, all: Tensor) => vmap(pairwise, [null, 0])(u, all), [0, null])
    const loop = (u: Tensor, v: Tensor): Tensor =>
      stack(range(3).map((i) => stack(range(4).map((j) => pairwise(row(u, i), row(v, j))))))
    await close(run(backend, outer, a, b), await run('reference', loop, a, b))
    const columns = vmap((u: Tensor, v: Tensor) => vmap(pairwise, -1)(u, v))
    const c = random([2, 5, 3])
    const d = random([2, 5, 3])
    const columnLoop = (u: Tensor, v: Tensor): Tensor =>
      stack(
        range(2).map((i) => stack(range(3).map((j) => pairwise(column(row(u, i), j), column(row(v, i), j))))),
      )
    await close(run(backend, columns, c, d), await run('reference', columnLoop, c, d))
  })

  it('gives the gradient of each example', async () => {
    const perExample = (p: Parameters, x: Tensor, y: Tensor): Tree<Tensor> =>
      vmap(
        (q: Parameters, u: Tensor, v: Tensor) => grad(loss)(q, reshape(u, [1, 4]), reshape(v, [1])),
        [null, 0, 0],
      )(p, x, y)
    const loop = (p: Parameters, x: Tensor, y: Tensor): Tree<Tensor> => {
      const each = range(6).map((i) => grad(loss)(p, reshape(row(x, i), [1, 4]), reshape(row(y, i), [1])))
      const at = (pick: (g: Parameters) => Tensor): Tensor => stack(each.map(pick))
      return {
        blocks: range(2).map((i) => ({
          weight: at((g) => g.blocks[i]!.weight),
          bias: at((g) => g.blocks[i]!.bias),
        })),
        scale: at((g) => g.scale),
        shift: at((g) => g.shift),
      }
    }
    await close(
      run(backend, perExample, parameters, images, labels),
      await run('reference', loop, parameters, images, labels),
    )
    // and their mean is the gradient of the mean
    const averaged = (p: Parameters, x: Tensor, y: Tensor): Tree<Tensor> =>
      mapLeaves(perExample(p, x, y), (g) => mean(g, 0))
    await close(
      run(backend, averaged, parameters, images, labels),
      await run('reference', grad(loss), parameters, images, labels),
    )
  })

  it('multiplies by the Hessian in three ways', async () => {
    const direction: Parameters = mapLeaves(parameters, (t) => random([...t.shape])) as Parameters
    const g = (p: Parameters): Parameters => grad(loss)(p, images, labels)
    const forwardOverReverse = (p: Parameters, t: Parameters): Tree<Tensor> => jvp(g, [p], [t]).tangents
    const reverseOverReverse = (p: Parameters, t: Parameters): Tree<Tensor> =>
      grad((q: Parameters) => treeDot(g(q), t))(p)
    const reverseOverForward = (p: Parameters, t: Parameters): Tree<Tensor> =>
      grad((q: Parameters) => jvp((r: Parameters) => loss(r, images, labels), [q], [t]).tangents)(p)
    const want = await run('reference', forwardOverReverse, parameters, direction)
    for (const f of [forwardOverReverse, reverseOverReverse, reverseOverForward])
      await close(run(backend, f, parameters, direction), want)
    // against differences of the gradient
    const shifted =
      (h: number) =>
      (p: Parameters, t: Parameters): Tree<Tensor> =>
        g(zip(p, t, (x, d) => add(x, mul(d, h))))
    const [high, low] = [
      await run('reference', shifted(1e-5), parameters, direction),
      await run('reference', shifted(-1e-5), parameters, direction),
    ]
    expect(
      numbersDiffer(
        '',
        want,
        high.map((v, i) => (v - low[i]!) / 2e-5),
        1e-6,
      ),
    ).toEqual([])
  })

  it('builds whole Hessians and Jacobians by mapping over a basis', async () => {
    const f = (x: Tensor): Tensor => logSumExp(mul(x, sin(x)))
    const x = random([5])
    const basis = (n: number): Tensor => cast(equal(iota([n, n], 0), iota([n, n], 1)), 'f64')
    const byForward = (v: Tensor): Tensor => vmap((t: Tensor) => jvp(grad(f), [v], [t]).tangents)(basis(5))
    const byReverse = (v: Tensor): Tensor => vmap((t: Tensor) => vjp(grad(f), v).pullback(t)[0])(basis(5))
    const rows = (v: Tensor): Tensor => stack(range(5).map((i) => grad((u: Tensor) => row(grad(f)(u), i))(v)))
    const want = await run('reference', rows, x)
    for (const h of [byForward, byReverse, rows]) await close(run(backend, h, x), want)
    for (const [i, j] of pairs(5)) expect(want[i * 5 + j]).toBeCloseTo(want[j * 5 + i]!, 12)
    // the Jacobian of softmax is diag(y) − y yᵀ
    const jacobian = (v: Tensor): Tensor =>
      vmap((t: Tensor) => jvp((u: Tensor) => softmax(u), [v], [t]).tangents)(basis(5))
    const y = await run('reference', (v: Tensor) => softmax(v), x)
    await close(
      run(backend, jacobian, x),
      pairs(5).map(([i, j]) => (i === j ? y[i]! : 0) - y[i]! * y[j]!),
    )
  })

  it('linearizes once and applies the linear map repeatedly', async () => {
    const f = (x: Tensor, y: Tensor): Tensor => mul(tanh(mul(x, y)), sigmoid(y))
    const [x, y] = [random([3]), random([3])]
    const tangents = range(4).map(() => [random([3]), random([3])] as const)
    const linear = (u: Tensor, v: Tensor, ...t: Tensor[]): Tree<Tensor> => {
      const { value, pushforward } = linearize(f, u, v)
      return [value, ...range(4).map((i) => pushforward(t[2 * i]!, t[2 * i + 1]!))]
    }
    const pushed = (u: Tensor, v: Tensor, ...t: Tensor[]): Tree<Tensor> => [
      f(u, v),
      ...range(4).map((i) => jvp(f, [u, v], [t[2 * i]!, t[2 * i + 1]!]).tangents),
    ]
    await close(
      run(backend, linear, x, y, ...tangents.flat()),
      await run('reference', pushed, x, y, ...tangents.flat()),
    )
    // it is linear, and can itself be mapped and transposed
    const mapped = (u: Tensor, v: Tensor, t: Tensor): Tensor =>
      vmap((one: Tensor) => linearize((w: Tensor) => f(w, v), u).pushforward(one))(t)
    const transposed = (u: Tensor, v: Tensor, t: Tensor): Tensor =>
      vmap((one: Tensor) => vjp(linearize((w: Tensor) => f(w, v), u).pushforward, one).pullback(one)[0])(t)
    const t = random([4, 3])
    const want = await run(
      'reference',
      (u: Tensor, v: Tensor, s: Tensor) =>
        stack(range(4).map((i) => jvp((w: Tensor) => f(w, v), [u], [row(s, i)]).tangents)),
      x,
      y,
      t,
    )
    await close(run(backend, mapped, x, y, t), want)
    await close(run(backend, transposed, x, y, t), want) // elementwise, so its own transpose
    // the tangent map at a point does not see the map's later use inside another derivative
    const nested = grad((u: Tensor) =>
      sum(linearize((w: Tensor) => sin(mul(w, u)), u).pushforward(onesLike(u))),
    )
    const direct = grad((u: Tensor) => sum(mul(u, cos(mul(u, u)))))
    await close(run(backend, nested, x), await run('reference', direct, x))
  })

  it('stops gradients where asked and nowhere else', async () => {
    const x = scalar(1.3, 'f64')
    await close(
      run(
        backend,
        grad((v: Tensor) => mul(v, stopGradient(v))),
        x,
      ),
      [1.3],
    )
    await close(
      run(
        backend,
        grad((v: Tensor) => mul(stopGradient(mul(v, v)), v)),
        x,
      ),
      [1.69],
    )
    await close(
      run(
        backend,
        grad((v: Tensor) => stopGradient(exp(v))),
        x,
      ),
      [0],
    )
    await close(
      run(
        backend,
        (v: Tensor) => jvp((u: Tensor) => mul(u, stopGradient(u)), [v], [onesLike(v)]).tangents,
        x,
      ),
      [1.3],
    )
    await close(
      run(backend, vmap(grad((v: Tensor) => mul(v, stopGradient(v)))), tensor([1, 2], { dtype: 'f64' })),
      [1, 2],
    )
    // a straight-through estimator
    const straight = (v: Tensor): Tensor =>
      sum(mul(add(v, stopGradient(sub(step(v), v))), tensor([2, 3], { dtype: 'f64' })))
    await close(run(backend, grad(straight), tensor([0.4, -0.4], { dtype: 'f64' })), [2, 3])
  })

  it('gives integer leaves gradients of zero, and passes aux through', async () => {
    const tree = {
      table: random([3, 2]),
      index: tensor(Int32Array.of(2, 0)),
      flag: tensor([true]),
      n: tensor(BigInt64Array.of(5n)),
    }
    const f = (t: typeof tree): Tensor => sum(mul(gather(t.table, t.index), cast(t.n, 'f64')))
    const gradient = await compile((t: typeof tree) => grad(f)(t), { backend })(tree)
    expect(gradient.table.toArray()).toEqual([[5, 5], [0, 0], [5, 5]]) // biome-ignore format: a matrix
    expect([gradient.index.dtype, gradient.index.toArray()]).toEqual(['i32', [0, 0]])
    expect([gradient.flag.dtype, gradient.flag.toArray()]).toEqual(['bool', [false]])
    expect([gradient.n.dtype, gradient.n.toArray()]).toEqual(['i64', [0]])
    const both = await compile(
      (x: Tensor) =>
        valueAndGradWithAux((v: Tensor) => ({
          value: sum(mul(v, v)),
          aux: { twice: mul(v, 2), count: tensor([7]) },
        }))(x),
      { backend },
    )(tensor([1, 2]))
    expect([
      both.value.item(),
      both.gradient.toArray(),
      both.aux.twice.toArray(),
      both.aux.count.toArray(),
    ]).toEqual([5, [2, 4], [2, 4], [7]])
  })

  it('has derivatives of things that do not depend on the argument: zeros', async () => {
    const x = random([3])
    const y = random([2])
    await close(
      run(
        backend,
        grad((v: Tensor) => add(sum(mul(zeros([3], 'f64'), v)), sum(y))),
        x,
      ),
      [0, 0, 0],
    )
    await close(
      run(backend, (v: Tensor) => vjp((_: Tensor) => sum(y), v).pullback(scalar(1, 'f64'))[0], x),
      [0, 0, 0],
    )
    await close(
      run(backend, (v: Tensor) => jvp((_: Tensor) => mul(y, 2), [v], [v]).tangents, x),
      [0, 0],
    )
    await close(
      run(backend, (v: Tensor) => vmap((_: Tensor) => y)(v), x),
      [...range(3)].flatMap(() => Array.from(y.data as Float64Array)),
    )
    // the argument itself as the result, and twice
    await close(
      run(backend, (v: Tensor) => vjp((u: Tensor) => [u, u], v).pullback([v, v])[0], x),
      Array.from(x.data as Float64Array, (v) => 2 * v),
    )
    await close(
      run(backend, (v: Tensor) => vmap((u: Tensor) => [u, u])(v), x),
      [...(x.data as Float64Array), ...(x.data as Float64Array)],
    )
  })

  describe('checkpoint', () => {
    const w = random([4, 4])
    const block = (x: Tensor, scale: Tensor): Tensor => tanh(add(matmul(x, w), mul(sin(x), scale)))
    const deep =
      (wrap: typeof checkpoint) =>
      (x: Tensor, scale: Tensor): Tensor => {
        const inner = mul(scale, 2) // captured by the bodies below
        let y = x
        for (let i = 0; i < 3; i++) y = wrap((u: Tensor) => block(u, inner))(y)
        return sum(mul(y, y))
      }
    const plain = ((f: unknown) => f) as typeof checkpoint
    const both =
      (wrap: typeof checkpoint) =>
      (x: Tensor, s: Tensor): Tree<Tensor> => [
        deep(wrap)(x, s),
        ...vjp(deep(wrap), x, s).pullback(scalar(1, 'f64')),
      ]
    const [x, s] = [random([2, 4]), random([4])]

    it('keeps values and gradients, also of captured variables', async () => {
      await close(run(backend, both(checkpoint), x, s), await run('reference', both(plain), x, s))
    })
    it('keeps them under vmap, jvp, a second grad and another checkpoint', async () => {
      const many = random([3, 2, 4])
      const mapped = (wrap: typeof checkpoint) => vmap(both(wrap), [0, null])
      await close(run(backend, mapped(checkpoint), many, s), await run('reference', mapped(plain), many, s))
      const scales = random([3, 4])
      const over = (wrap: typeof checkpoint) => vmap(both(wrap), [null, 0])
      await close(run(backend, over(checkpoint), x, scales), await run('reference', over(plain), x, scales))
      const pushed = (wrap: typeof checkpoint) => (a: Tensor, b: Tensor) =>
        jvp(deep(wrap), [a, b], [b2(a), b]).tangents
      await close(run(backend, pushed(checkpoint), x, s), await run('reference', pushed(plain), x, s))
      const hessian = (wrap: typeof checkpoint) => (a: Tensor, b: Tensor) =>
        jvp((u: Tensor) => grad(deep(wrap))(u, b), [a], [b2(a)]).tangents
      await close(run(backend, hessian(checkpoint), x, s), await run('reference', hessian(plain), x, s))
      const twice = (wrap: typeof checkpoint) => (a: Tensor, b: Tensor) =>
        grad(wrap((u: Tensor) => deep(wrap)(u, b)))(a)
      await close(run(backend, twice(checkpoint), x, s), await run('reference', twice(plain), x, s))
      const reverseTwice = (wrap: typeof checkpoint) =>
        grad((a: Tensor, b: Tensor) => sum(mul(grad(deep(wrap))(a, b), b)))
      await close(
        run(backend, reverseTwice(checkpoint), x, s),
        await run('reference', reverseTwice(plain), x, s),
      )
    })
    it('keeps results that are captured values or arguments themselves', async () => {
      const f =
        (wrap: typeof checkpoint) =>
        (a: Tensor, b: Tensor): Tensor => {
          const c = exp(b)
          const { value, captured, argument } = wrap((u: Tensor) => ({
            value: sin(u),
            captured: c,
            argument: u,
          }))(a)
          return add(add(sum(value), sum(captured)), sum(mul(argument, argument)))
        }
      const all =
        (wrap: typeof checkpoint) =>
        (a: Tensor, b: Tensor): Tree<Tensor> => [
          f(wrap)(a, b),
          ...vjp(f(wrap), a, b).pullback(scalar(1, 'f64')),
        ]
      await close(run(backend, all(checkpoint), x, s), await run('reference', all(plain), x, s))
      const mapped = (wrap: typeof checkpoint) => vmap(all(wrap), [null, 0])
      const many = random([3, 4])
      await close(run(backend, mapped(checkpoint), x, many), await run('reference', mapped(plain), x, many))
    })
    it('takes trees and integer arguments', async () => {
      const body = (t: { x: Tensor; i: Tensor }): { y: Tensor } => ({ y: mul(gather(t.x, t.i), 3) })
      const f = (v: Tensor): Tensor =>
        sum(checkpoint(body)({ x: sin(v), i: tensor(Int32Array.of(1, 1, 0)) }).y)
      await close(
        run(
          backend,
          grad(f),
          tensor(
            [
              [0, 0],
              [0, 0],
            ],
            { dtype: 'f64' },
          ),
        ),
        [3, 3, 6, 6],
      )
    })
  })
})

describe('closures', () => {
  it('takes derivatives in captured concrete and traced values', async () => {
    const fixed = random([3])
    await same(
      (x: Tensor) => grad((v: Tensor) => sum(mul(mul(v, fixed), x)))(x),
      (x: Tensor) => mul(fixed, x),
      random([3]),
    )
    await same(
      (x: Tensor) => grad((a: Tensor) => sum(vmap((v: Tensor) => mul(v, a))(x)))(scalar(2, 'f64')),
      (x: Tensor) => sum(x),
      random([3]),
    )
  })
  it('carries any tree through valueAndGrad', async () => {
    await same(
      (p: Parameters) => valueAndGrad(loss)(p, images, labels).gradient,
      (p: Parameters) => vjp((q: Parameters) => loss(q, images, labels), p).pullback(scalar(1, 'f64'))[0],
      parameters,
    )
  })
})

describe('trees whose keys come in another order', () => {
  it('correspond by name', async () => {
    type Pair = { a: Tensor; b: Tensor }
    const f = ({ a, b }: Pair): Pair => ({ a: mul(a, a), b: mul(a, b) })
    const [x, other] = [
      { a: scalar(2, 'f64'), b: scalar(3, 'f64') },
      { b: scalar(10, 'f64'), a: scalar(1, 'f64') },
    ]
    const close = async (g: (p: Pair, q: Pair) => Tree<Tensor>, want: number[]): Promise<void> =>
      expect(await run('reference', g, x, other)).toEqual(want)
    await close((p, q) => jvp(f, [p], [q]).tangents, [4, 3 + 20])
    await close((p, q) => linearize(f, p).pushforward(q), [4, 3 + 20])
    await close((p, q) => vjp(f, p).pullback(q)[0], [4 + 30, 20])
    expect(() => jvp(f, [x], [{ a: x.a } as Pair])).toThrow(/^jvp: tangents: leaves differ: 0\.b missing/)
    expect(() => vjp(f, x).pullback({ ...x, c: x.a } as Pair)).toThrow(
      /^pullback: cotangents: leaves differ: c not expected/,
    )
  })
})

describe('mistakes name the operation, the shapes and the line', () => {
  const here = /\(at .*transforms\.test\.ts:\d+\)$/
  const [a, b] = [zeros([2, 3]), zeros([4, 3])]
  const cases: [string, () => unknown, RegExp][] = [
    [
      'add',
      () => add(a, b),
      /^add: shapes do not broadcast: f32\[2,3\] and f32\[4,3\] \(axis -2: 2 against 4/,
    ],
    ['matmul', () => matmul(a, b), /^matmul: f32\[2,3\] · f32\[4,3\]: inner sizes 3 and 4/],
    [
      'matmul, leading axes',
      () => matmul(zeros([2, 3, 4]), zeros([5, 4, 3])),
      /^matmul: shapes do not broadcast/,
    ],
    [
      'dtypes',
      () => add(a, zeros([2, 3], 'f64')),
      /^add: expected one element type, got f32\[2,3\] and f64\[2,3\]/,
    ],
    ['a fraction for an integer', () => mul(zeros([2], 'i32'), 0.5), /^0\.5 is no i32/],
    ['mean of integers', () => mean(zeros([2], 'i32')), /^mean: expected f32 or f64, got i32\[2\]/],
    ['reshape', () => reshape(a, [4, 2]), /^reshape: f32\[2,3\] has 6 elements, shape \[4,2\] needs 8/],
    ['reshape −1', () => reshape(a, [4, -1]), /^reshape: cannot infer −1 in \[4,-1\] for f32\[2,3\]/],
    ['axis', () => sum(a, 2), /^sum: axis 2 is out of range for a tensor of rank 2/],
    ['gather', () => gather(a, b), /^gather: expected integer indices, got f32\[4,3\]/],
    ['where', () => where(a, 1, 0), /^where: expected a bool condition, got f32\[2,3\]/],
    [
      'layerNorm',
      () => layerNorm(a, b, b),
      /^layerNorm: expected scale and bias of shape \[3\] for f32\[2,3\]/,
    ],
    [
      'crossEntropy',
      () => crossEntropy(a, zeros([2])),
      /^crossEntropy: expected integer labels of shape \[2\]/,
    ],
    [
      'a composite inside derivatives',
      () => grad((x: Tensor) => sum(vmap((v: Tensor) => add(v, b))(x)))(zeros([2, 5])),
      /^add: shapes do not broadcast: f32\[5\] and f32\[4,3\]/,
    ],
    [
      'grad of a vector',
      () => grad((x: Tensor) => x)(a),
      /^valueAndGrad: expected the function to return one float scalar, got f32\[2,3\]/,
    ],
    [
      'a number as a result',
      () => grad((_: Tensor) => 3 as unknown as Tensor)(a),
      /^vjp: expected tensors as results of the function, got 3/,
    ],
    [
      'vmap of different sizes',
      () => vmap((x: Tensor, y: Tensor) => add(x, y))(a, b),
      /^vmap: mapped axes differ in size: 2 and 4/,
    ],
    [
      'vmap of a scalar',
      () => vmap(sin)(scalar(1, 'f32')),
      /^vmap: argument 0 has a leaf f32\[\] without axes/,
    ],
    ['vmap of nothing', () => vmap(sin, [null])(a), /^vmap: expected at least one mapped argument/],
    ['vmap axes', () => vmap((x: Tensor, y: Tensor) => add(x, y), [0])(a, a), /^vmap: expected 2 axes/],
    [
      'jvp',
      () => jvp(sin, [a], [b]),
      /^jvp: tangent 0 should be like its argument, f32\[2,3\], got f32\[4,3\]/,
    ],
    [
      'pullback',
      () => vjp(sin, a).pullback(b),
      /^pullback: cotangent 0 should be like the result, f32\[2,3\], got f32\[4,3\]/,
    ],
  ]
  it.each(cases)('%s', (_, f, pattern) => {
    let message = ''
    try {
      f()
    } catch (error) {
      message = (error as Error).message
    }
    expect(message).toMatch(pattern)
    expect(message).toMatch(here)
    expect(message).not.toMatch(/\n/)
  })
})

// --- helpers ---

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const pairs = (n: number): [number, number][] => range(n * n).map((k) => [Math.floor(k / n), k % n])
const row = (x: Tensor, i: number): Tensor => gather(x, tensor(i, { dtype: 'i32' }))
const column = (x: Tensor, i: number): Tensor => row(matrixTranspose(x), i)
const step = (x: Tensor): Tensor => cast(greater(x, 0), x.dtype)
const b2 = (x: Tensor): Tensor => add(neg(x), exp(log(add(mul(x, x), 1))))
const mapLeaves = (tree: Tree<Tensor>, f: (t: Tensor) => Tensor): Tree<Tensor> =>
  tree instanceof Tensor
    ? f(tree)
    : Array.isArray(tree)
      ? tree.map((t) => mapLeaves(t, f))
      : Object.fromEntries(Object.entries(tree).map(([k, t]) => [k, mapLeaves(t, f)]))
const zip = (p: Parameters, t: Parameters, f: (x: Tensor, d: Tensor) => Tensor): Parameters => ({
  blocks: p.blocks.map((q, i) => ({
    weight: f(q.weight, t.blocks[i]!.weight),
    bias: f(q.bias, t.blocks[i]!.bias),
  })),
  scale: f(p.scale, t.scale),
  shift: f(p.shift, t.shift),
})
function treeDot(p: Parameters, t: Parameters): Tensor {
  const terms: Tensor[] = []
  zip(p, t, (x, d) => {
    terms.push(sum(mul(x, d)))
    return x
  })
  return terms.reduce((x, y) => add(x, y))
}
