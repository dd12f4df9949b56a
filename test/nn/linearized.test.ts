/** @file The tangent model: an affine function of the parameters with the network's own derivative, for networks of every kind. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  copyParameters,
  crossEntropyLoss,
  hierarchicalCnn,
  type Linearized,
  linearize,
  mlp,
  type Parameters,
  smallCnn,
  transformer,
} from '../../src/nn/index.ts'
import { add, mapTree, mul, random, type Tensor, type Tree, vjp, zipTrees } from '../../src/tensor/index.ts'
import { checkGradients, computed, integers, jittered, normal } from './differences.ts'

interface Subject {
  readonly name: string
  readonly network: { readonly apply: (parameters: never, x: Tensor) => Tensor }
  readonly parameters: Parameters
  readonly x: Tensor
}

function subjects(): Subject[] {
  const key = random.key(3)
  const perceptron = mlp({ sizes: [5, 7, 4], activation: 'gelu' })
  const hierarchical = hierarchicalCnn({
    symbols: 4,
    branching: 2,
    depth: 2,
    width: 5,
    outputs: 3,
    activation: 'gelu',
  })
  const attention = transformer({ vocabulary: 7, context: 5, features: 8, heads: 2, layers: 1 })
  const cnn = smallCnn({ image: [1, 12, 12], channels: [2], hidden: 6, classes: 3, activation: 'gelu' })
  return [
    { name: 'mlp', network: perceptron, parameters: perceptron.init(key), x: normal(1, 6, 5) },
    {
      name: 'hierarchicalCnn',
      network: hierarchical,
      parameters: hierarchical.init(key),
      x: normal(2, 3, 4, 4),
    },
    { name: 'transformer', network: attention, parameters: attention.init(key), x: integers(3, 7, 2, 5) },
    { name: 'smallCnn', network: cnn, parameters: cnn.init(key), x: normal(4, 2, 1, 12, 12) },
  ] as Subject[]
}

/** Standard normal values in trees like the parameters, times `scale`. */
const direction = (like: Parameters, seed: number, scale = 0.1): Parameters => {
  let next = seed
  return mapTree(like as Tree<Tensor>, (t) => mulNumbers(normal(next++, ...t.shape), scale))
}
const mulNumbers = (t: Tensor, scale: number): Tensor => {
  const data = t.data as Float64Array
  for (let i = 0; i < data.length; i++) data[i]! *= scale
  return t
}
const moved = (p: Parameters, by: Parameters, alpha: number): Parameters =>
  zipTrees((a: Tensor, b: Tensor) => add(a, mul(b, alpha)), p as Tree<Tensor>, by as Tree<Tensor>)

const linearizedOf = ({ network, parameters }: Subject) => {
  const origin = jittered(parameters)
  return {
    origin,
    linear: linearize(network as never, origin as never) as Linearized<Parameters, [Tensor], Tensor>,
    apply: network.apply as unknown as (p: Parameters, x: Tensor) => Tensor,
  }
}
const list = (t: Tensor): number[] => Array.from(t.data as Float64Array)
const inner = (a: Tensor, b: Tensor): number => list(a).reduce((sum, v, i) => sum + v * list(b)[i]!, 0)

describe.each(subjects().map((subject) => [subject.name, subject] as const))('%s', (_, subject) => {
  const { origin, linear, apply } = linearizedOf(subject)
  const { x } = subject

  it('is the network itself at θ₀, to the last bit', async () => {
    const [own, other] = await computed(() => [linear.apply(origin, x), apply(origin, x)] as [Tensor, Tensor])
    expect(list(own)).toEqual(list(other))
  })

  it('has the derivative of the network: J τ is the slope of central differences', async () => {
    const tau = direction(origin, 50)
    const h = 1e-5
    const found = await computed(() => ({
      slope: linear.parts(tau, x).change,
      up: apply(moved(origin, tau, h), x),
      down: apply(moved(origin, tau, -h), x),
    }))
    const scale = Math.max(...list(found.slope).map(Math.abs))
    for (const [i, slope] of list(found.slope).entries())
      expect(Math.abs(slope - (list(found.up)[i]! - list(found.down)[i]!) / (2 * h))).toBeLessThan(
        1e-6 * scale,
      )
  })

  it('has Jᵀ as its gradient: ⟨g, J τ⟩ = ⟨Jᵀ g, τ⟩', async () => {
    const tau = direction(origin, 70)
    const at = moved(origin, direction(origin, 90), 1)
    const found = await computed(() => {
      const { value, change } = linear.parts(tau, x)
      const g = normal(11, ...value.shape)
      const [pulled] = vjp((p: Parameters) => linear.apply(p, x), at).pullback(g)
      const [atOrigin] = vjp((p: Parameters) => apply(p, x), origin).pullback(g)
      return { g, change, pulled, atOrigin }
    })
    const pairs = zipTrees(
      (a: Tensor, b: Tensor) => inner(a, b),
      found.pulled as Tree<Tensor>,
      tau as Tree<Tensor>,
    )
    const right = sumOf(pairs)
    expect(Math.abs(inner(found.g, found.change) - right)).toBeLessThan(1e-9 * Math.max(1, Math.abs(right)))
    // and the gradient is that of the network at θ₀, wherever the parameters are
    zipTrees(
      (a: Tensor, b: Tensor) => {
        for (const [i, v] of list(a).entries())
          expect(Math.abs(v - list(b)[i]!)).toBeLessThan(1e-9 * Math.max(1, Math.abs(v)))
      },
      found.pulled as Tree<Tensor>,
      found.atOrigin as Tree<Tensor>,
    )
  })

  it('has gradients of a loss that differences in float64 confirm', async () => {
    const at = await computed(() => moved(origin, direction(origin, 30), 1))
    const last = (await computed(() => linear.apply(at, x))).shape.at(-1)!
    await checkGradients(
      ((p: Parameters) => {
        const z = linear.apply(p, x)
        return crossEntropyLoss(z, integers(5, last, ...z.shape.slice(0, -1)))
      }) as never,
      at as Tree<Tensor>,
      { probes: 1 },
    )
  })
})

const sumOf = (tree: Tree<number>): number =>
  typeof tree === 'number'
    ? tree
    : Object.values(tree).reduce((sum: number, own) => sum + sumOf(own as Tree<number>), 0)

it('is affine along every task vector: values at three α lie on a line', async () => {
  const { origin, linear } = linearizedOf(subjects()[0]!)
  const { x } = subjects()[0]!
  await fc.assert(
    fc.asyncProperty(
      fc.double({ min: -3, max: 3, noNaN: true }),
      fc.integer({ min: 1, max: 1000 }),
      async (alpha, seed) => {
        const tau = direction(origin, seed, 1)
        const found = await computed(() => ({
          ...linear.parts(tau, x),
          there: linear.apply(moved(origin, tau, alpha), x),
        }))
        for (const [i, v] of list(found.there).entries())
          expect(v).toBeCloseTo(list(found.value)[i]! + alpha * list(found.change)[i]!, 9)
      },
    ),
    { numRuns: 20 },
  )
})

it('names parameters that are not like θ₀', () => {
  const { origin, linear } = linearizedOf(subjects()[0]!)
  const { layers } = copyParameters(origin) as { layers: Parameters[] }
  expect(() => linear.apply({ layers: layers.slice(0, 1) }, subjects()[0]!.x)).toThrow(/trees differ/)
})
