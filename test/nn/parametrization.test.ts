/** @file How width enters: the output variance of each parametrization against its closed form, and what features do at large width. */
import { describe, expect, it } from 'vitest'
import * as nn from '../../src/nn/index.ts'
import { compile, random, type Tensor, tensor } from '../../src/tensor/index.ts'

/** Mean square of the outputs over many networks, for unit-variance inputs. */
async function outputVariance(
  make: () => { init: (key: nn.Key) => nn.Parameters; apply: (p: never, x: Tensor) => Tensor },
  x: Tensor,
  networks: number,
): Promise<number> {
  const net = make()
  const program = compile((p: nn.Parameters, input: Tensor) => net.apply(p as never, input))
  let [sum, count] = [0, 0]
  for (let i = 0; i < networks; i++) {
    const y = await program(net.init(random.key(i)), x)
    for (const v of y.data as Float32Array) sum += v * v
    count += y.size
  }
  program.dispose()
  return sum / count
}

/** Signs, so that every input has mean square 1 exactly. */
const signs = (n: number, ...shape: number[]): Tensor =>
  tensor(
    Float32Array.from(random.sampleBits(random.key(9), n), (w) => (w & 1 ? 1 : -1)),
    { shape },
  )

describe('output variance', () => {
  const [inputs, width, outputs] = [16, 64, 8]
  // ReLU halves the mean square; He's factor 2 restores it; Glorot's readout has variance 2 / (h + o)
  const expected = {
    standard: (width * 2) / (width + outputs),
    ntk: 1 / 4,
    meanField: 1 / (4 * width),
  }
  it.each(['standard', 'ntk', 'meanField'] as const)('of an MLP, %s', async (parametrization) => {
    const got = await outputVariance(
      () => nn.mlp({ sizes: [inputs, width, width, outputs], parametrization }),
      signs(32 * inputs, 32, inputs),
      60,
    )
    const target = parametrization === 'standard' ? expected.standard : expected[parametrization]
    expect(got / target).toBeGreaterThan(0.85)
    expect(got / target).toBeLessThan(1.15)
  })
  it.each(['ntk', 'meanField'] as const)('of a hierarchical CNN, %s', async (parametrization) => {
    const got = await outputVariance(
      () => nn.hierarchicalCnn({ symbols: 4, branching: 2, depth: 2, width, outputs, parametrization }),
      signs(32 * 16, 32, 4, 4),
      60,
    )
    expect(got / expected[parametrization]).toBeGreaterThan(0.85)
    expect(got / expected[parametrization]).toBeLessThan(1.15)
  })
})

it('mean-field features move by the same amount at any width, NTK features ever less', async () => {
  /** Relative change of the last hidden layer over a few steps of full-batch SGD. */
  const movement = async (parametrization: nn.Parametrization, width: number): Promise<number> => {
    const net = nn.mlp({ sizes: [8, width, 1], parametrization, bias: false })
    const x = signs(16 * 8, 16, 8)
    const y = tensor(
      Float32Array.from({ length: 16 }, (_, i) => Number(x.data[8 * i]) * Number(x.data[8 * i + 1])),
      { shape: [16, 1] },
    )
    const start = net.init(random.key(4))
    const { parameters } = await nn.train({
      parameters: start,
      loss: (p, batch) => nn.meanSquaredError(net.apply(p, batch.x), batch.y),
      data: { x, y },
      optimizer: nn.sgd(),
      learningRate: nn.scaledLearningRate(parametrization, 0.2, width),
      batchSize: 16,
      steps: 10,
    })
    const hidden = compile((p: nn.MlpParameters) => net.activations(p, x).at(-1)!)
    const [before, after] = [await hidden(start), await hidden(parameters)]
    hidden.dispose()
    let [moved, size] = [0, 0]
    for (let i = 0; i < before.size; i++) {
      moved += (Number(after.data[i]) - Number(before.data[i])) ** 2
      size += Number(before.data[i]) ** 2
    }
    return Math.sqrt(moved / size)
  }
  const [narrowMean, wideMean] = [await movement('meanField', 64), await movement('meanField', 1024)]
  const [narrowNtk, wideNtk] = [await movement('ntk', 64), await movement('ntk', 1024)]
  expect(wideMean / narrowMean).toBeGreaterThan(0.6)
  expect(wideMean / narrowMean).toBeLessThan(1.7)
  // 1 / √width: a quarter for sixteen times the width
  expect(wideNtk / narrowNtk).toBeLessThan(0.4)
})

it('PyTorch-like initial values are uniform in ±1/√fanIn, biases too', () => {
  const { layers } = nn.mlp({ sizes: [100, 400, 10], parametrization: 'torch' }).init(random.key(1))
  const bound = 1 / Math.sqrt(100)
  for (const t of [layers[0]!.weight, layers[0]!.bias!]) {
    const values = [...(t.data as Float32Array)]
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(bound)
    expect(Math.max(...values)).toBeGreaterThan(0.95 * bound)
    expect(Math.min(...values)).toBeLessThan(-0.95 * bound)
  }
})
