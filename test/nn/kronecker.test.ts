/** @file Kronecker factors against what they stand for: ‖J Δ‖² by forward mode, in float64. */
import { describe, expect, it } from 'vitest'
import {
  dense,
  kroneckerFactors,
  kroneckerQuadratic,
  linearize,
  mlp,
  type Parameters,
  sequential,
} from '../../src/nn/index.ts'
import {
  compile,
  entries,
  fromEntries,
  grad,
  linear,
  mapTree,
  matmul,
  random,
  reshape,
  type Tensor,
  type Tree,
  tensor,
} from '../../src/tensor/index.ts'
import { checkGradients, computed, jittered, normal } from './differences.ts'

type Apply = (p: Parameters, x: Tensor) => Tensor

/** Mean over examples of ‖J Δ‖². */
const moved = (apply: Apply, origin: Parameters, change: Parameters, x: Tensor): Tensor => {
  const { change: z } = linearize({ apply }, origin).parts(change, x)
  return z
    .mul(z)
    .sum()
    .mul(1 / x.shape[0]!)
}

/** A change of one leaf alone. */
const alone = (origin: Parameters, name: string): Parameters =>
  mapTree(origin as Tree<Tensor>, (t, own) =>
    own === name ? normal(5, ...t.shape) : tensor(new Float64Array(t.size), { shape: t.shape }),
  )

async function compareAlone(apply: Apply, origin: Parameters, x: Tensor, names: readonly string[]) {
  for (const name of names) {
    const change = alone(origin, name)
    const { exact, found } = await computed(() => ({
      exact: moved(apply, origin, change, x),
      found: kroneckerQuadratic(
        kroneckerFactors((p) => apply(p, x), origin),
        change,
      ),
    }))
    expect(exact.item()).toBeGreaterThan(0)
    expect(Math.abs(found.item() / exact.item() - 1), name).toBeLessThan(1e-9)
  }
}

describe('each matrix alone', () => {
  it('of a linear network, exactly, whatever the examples', async () => {
    const network = sequential(dense(5, 4), dense(4, 6), dense(6, 3))
    const origin = jittered(network.init(random.key(1)))
    await compareAlone(network.apply as Apply, origin, normal(2, 7, 5), ['0.weight', '1.weight', '2.weight'])
  })

  it('stored [inputs, outputs], as language models have it', async () => {
    const origin = { a: normal(1, 5, 4), b: normal(2, 4, 3) }
    const apply = ({ a, b }: typeof origin, x: Tensor) => linear(linear(x, a), b)
    await compareAlone(apply as unknown as Apply, origin, normal(3, 6, 5), ['a', 'b'])
  })

  it('of any network, for one example', async () => {
    const network = mlp({ sizes: [5, 6, 4, 3], activation: 'gelu' })
    const origin = jittered(network.init(random.key(3)))
    const names = entries(origin as Tree<Tensor>).map(([name]) => name)
    const matrices = names.filter((name) => name.endsWith('weight'))
    await compareAlone(network.apply as unknown as Apply, origin as Parameters, normal(4, 1, 5), matrices)
  })

  it('as the square of gradients, for one output', async () => {
    const network = mlp({ sizes: [4, 5, 1], activation: 'tanh' })
    const origin = jittered(network.init(random.key(8)))
    const x = normal(9, 1, 4)
    const gradient = await computed(() => grad((p: typeof origin) => network.apply(p, x).sum())(origin))
    const factors = await computed(() => kroneckerFactors((p) => network.apply(p, x), origin))
    const of = new Map(entries(factors as Tree<Tensor>))
    for (const name of ['layers.0.weight', 'layers.1.weight']) {
      // the diagonal of left ⊗ right is the square of each derivative
      const own = new Map(entries(gradient as Tree<Tensor>)).get(name)!
      const [rows, columns] = own.shape as [number, number]
      const [left, right] = ['left', 'right'].map((side) => of.get(`${name}.${side}`)!.data) as [
        Float64Array,
        Float64Array,
      ]
      for (let i = 0; i < rows; i++)
        for (let j = 0; j < columns; j++)
          expect(left[i * rows + i]! * right[j * columns + j]!).toBeCloseTo(
            (own.data[i * columns + j] as number) ** 2,
            10,
          )
    }
  })
})

it('takes other directions of the outputs: those of a rotation say the same', async () => {
  const network = mlp({ sizes: [4, 5, 2], activation: 'tanh' })
  const origin = jittered(network.init(random.key(2)))
  const x = normal(3, 6, 4)
  const [c, s] = [Math.cos(0.7), Math.sin(0.7)]
  const turned = tensor(Float64Array.of(c, s, -s, c), { shape: [2, 2] })
  const [plain, other] = await computed(
    () =>
      [
        kroneckerFactors((p) => network.apply(p, x), origin),
        kroneckerFactors((p) => network.apply(p, x), origin, { directions: turned }),
      ] as [Parameters, Parameters],
  )
  const numbers = (p: Parameters) =>
    entries(p as Tree<Tensor>).flatMap(([, t]) => Array.from(t.data as Float64Array))
  for (const [i, v] of numbers(plain).entries()) expect(numbers(other)[i]).toBeCloseTo(v, 10)
})

it('adds up over rows that share a matrix', async () => {
  const network = dense(3, 2, { bias: false })
  const origin = jittered(network.init(random.key(1)))
  const x = normal(2, 4, 5, 3)
  // five places of four examples, all of whose outputs count
  const apply = (p: Parameters, y: Tensor) => reshape(network.apply(p as never, y), [4, 10])
  await compareAlone(apply, origin as Parameters, x, ['weight'])
})

it('is a penalty: its gradient is that of differences, and natively the same number', async () => {
  const network = mlp({ sizes: [4, 5, 3], activation: 'tanh' })
  const origin = jittered(network.init(random.key(6)))
  const x = normal(7, 8, 4)
  const factors = await computed(() => kroneckerFactors((p) => network.apply(p, x), origin))
  const change = mapTree(origin as Tree<Tensor>, (t) => normal(11, ...t.shape))
  await checkGradients(((d: Parameters) => kroneckerQuadratic(factors, d)) as never, change, { probes: 3 })
  const native = compile((d: Tree<Tensor>) =>
    kroneckerQuadratic(
      kroneckerFactors((p) => network.apply(p, x), origin),
      d,
    ),
  )
  const [a, b] = [await native(change), await computed(() => kroneckerQuadratic(factors, change))]
  native.dispose()
  expect(a.item()).toBeCloseTo(b.item(), 8)
})

describe('is refused', () => {
  const w = normal(1, 3, 3)
  it('for a matrix that is used twice', () => {
    const twice = ({ w: own }: { w: Tensor }) => matmul(matmul(normal(2, 4, 3), own), own)
    expect(() => kroneckerFactors(twice, { w })).toThrow('matrix "w" is used twice')
  })
  it('where nothing is multiplied', () => {
    expect(() => kroneckerFactors(({ w: own }: { w: Tensor }) => own.mul(2), { w })).toThrow(
      'expected dense layers',
    )
  })
  it('for a change of other parameters', () => {
    const factors = fromEntries([
      ['w.left', w],
      ['w.right', w],
    ])
    expect(() => kroneckerQuadratic(factors, { v: w })).toThrow('the change has no matrix "w"')
  })
})
