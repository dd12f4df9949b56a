/**
 * Programs that nothing but names has touched keep their bytes: hashes of portable ONNX files and of the kernels that are emitted
 * beside them. A change that is meant changes a hash here, and says why in its commit.
 */
import { createHash } from 'node:crypto'
import { afterEach, expect, it, vi } from 'vitest'
import { hierarchicalCnn, mlp } from '../../src/nn/index.ts'
import { exportOnnx, mean, random, square, valueAndGrad, zeros } from '../../src/tensor/index.ts'

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16)
const key = random.key(0)
afterEach(() => vi.unstubAllGlobals())

const networks = {
  mlp: { network: mlp({ sizes: [20, 32, 5] }), shape: [8, 20], hash: '0ef0f90a934c07ca' },
  hierarchicalCnn: {
    network: hierarchicalCnn({ symbols: 8, branching: 2, depth: 3, width: 16, outputs: 8 }),
    shape: [4, 8, 8],
    hash: '79d66575ebc49a9f',
  },
}

it.each(Object.entries(networks))('%s: value and gradient', (_, { network, shape, hash }) => {
  const loss = (p: never, x: never) => mean(square(network.apply(p, x)))
  const file = exportOnnx((p: never, x: never) => valueAndGrad(loss)(p, x), [network.init(key), zeros(shape)])
  expect(hashOf(Buffer.concat(file.chunks))).toBe(hash)
})

it('kernels of an optimizer and of inference', async () => {
  const kernels: string[] = []
  const Module = WebAssembly.Module
  vi.stubGlobal('WebAssembly', {
    ...Object.fromEntries(
      Object.getOwnPropertyNames(WebAssembly).map((name) => [name, WebAssembly[name as never]]),
    ),
    Module: class {
      constructor(bytes: Uint8Array) {
        kernels.push(hashOf(bytes))
        // biome-ignore lint/correctness/noConstructorReturn: it stands for the real one
        return new Module(bytes as BufferSource)
      }
    },
  })
  // modules of its own: a kernel is made once for all that need it
  vi.resetModules()
  const { adam, crossEntropyLoss, mlp, train } = await import('../../src/nn/index.ts')
  const { random, tensor } = await import('../../src/tensor/index.ts')
  const { inferUp, makeGrammar, marginals } = await import('../../src/grammar/index.ts')
  const x = tensor(random.sampleNormal(key, 32 * 64), { shape: [32, 64] })
  const network = mlp({ sizes: [64, 256, 5] })
  await train({
    parameters: network.init(key),
    loss: (p, batch: { x: typeof x; label: typeof x }) =>
      crossEntropyLoss(network.apply(p, batch.x), batch.label),
    data: { x, label: tensor(new Int32Array(32)) },
    ...{ optimizer: adam(), learningRate: 1e-3, steps: 2, batchSize: 32, threads: 1 },
  })
  const grammar = makeGrammar({ v: 16, classes: 16, m: 4, s: 2, L: 3 }, key)
  marginals(grammar, inferUp(grammar, new Float64Array(grammar.d * 16).fill(1 / 16), 1))
  expect(kernels).toEqual(['b9f825e1d1c12ac7', 'd43f1b0bfb4197e9'])
})
