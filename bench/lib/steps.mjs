/** @file The bench networks' training steps with our own engine, compiled. Needs `npm run build`. */
import * as nn from '../../dist/nn/index.js'
import { compileStep, random, tensor, valueAndGrad } from '../../dist/tensor/index.js'
import { makeData, oneHot } from './problems.mjs'

const asTensor = ({ shape, data }) => tensor(data, { shape })

/** Model, fixed inputs, loss, optimizer and its learning rate. */
const builders = {
  mlp: (data, width) => ({
    model: nn.mlp({ sizes: [width, width, width, 10], parametrization: 'torch' }),
    inputs: [asTensor(data.x)],
    loss: nn.crossEntropyLoss,
    optimizer: nn.adam(),
    learningRate: 1e-3,
  }),
  'hierarchical-cnn': (data, width) => ({
    model: nn.hierarchicalCnn({
      ...{ symbols: 8, branching: 2, depth: 3, width, outputs: 8 },
      ...{ bias: true, parametrization: 'torch' },
    }),
    inputs: [asTensor(oneHot(data.x, 8))],
    loss: nn.crossEntropyLoss,
    optimizer: nn.sgd(),
    learningRate: 1,
  }),
  transformer: (data, width) => ({
    model: nn.transformer({
      ...{ vocabulary: 64, context: 32, features: width, heads: width / 32, layers: 4 },
      fusedAttention: true,
    }),
    inputs: [asTensor(data.x)],
    loss: nn.crossEntropyLoss,
    optimizer: nn.adam(),
    learningRate: 1e-3,
  }),
  unet: (data, width) => ({
    model: nn.unet({ channels: width, levels: [1, 2], groups: 8 }),
    inputs: [asTensor(data.x), asTensor(data.t)],
    loss: nn.meanSquaredError,
    optimizer: nn.adam(),
    learningRate: 1e-3,
  }),
}

export const networks = Object.keys(builders)

/** Several tensors of one shape as one with a new axis 0. */
function stacked(list) {
  const [{ shape, data }] = list
  const all = new data.constructor(list.length * data.length)
  for (const [i, t] of list.entries()) all.set(t.data, i * data.length)
  return tensor(all, { shape: [list.length, ...shape] })
}

/**
 * Compiles the step of a network. Returns { call(i), stepsPerCall, parameters, compileSeconds }; call i does
 * steps i k … i k + k − 1 of k = stepsPerCall and gives a function that reads the last loss. Everything a real training loop
 * feeds at each step (inputs, targets, the optimizer's scalars) is fed at each step here.
 */
export async function buildStep(network, width, { threads = 1, stepsPerCall = 1, ...options } = {}) {
  const data = makeData(network, width)
  const { model, inputs, loss, optimizer, learningRate } = builders[network](data, width)
  const targets = data.targets.map(asTensor)
  const parameters = model.init(random.key(1))
  const scalarsOf = (step) => tensor(Float32Array.from(optimizer.scalars(step, learningRate)))
  const step = (state, batch, target, scalars) => {
    const { value, gradient } = valueAndGrad((p) => loss(model.apply(p, ...batch), target))(state.parameters)
    const factors = nn.unpackScalars(scalars)
    const updated = optimizer.update(state.parameters, gradient, state.optimizer, factors)
    return { state: { parameters: updated.parameters, optimizer: updated.state }, outputs: value }
  }
  const spec = ({ shape, dtype }) => ({ shape, dtype })
  const start = performance.now()
  const program = await compileStep(
    step,
    { parameters, optimizer: optimizer.init(parameters) },
    [inputs.map(spec), spec(targets[0]), spec(scalarsOf(1))],
    { threads, stepsPerCall, name: `${network}-${width}`, ...options },
  )
  const compileSeconds = (performance.now() - start) / 1000
  const k = stepsPerCall
  const fixed = k === 1 ? inputs : inputs.map((x) => stacked(Array(k).fill(x)))
  const turns = targets.map((t, i) =>
    k === 1 ? t : stacked(Array.from({ length: k }, (_, j) => targets[(i * k + j) % targets.length])),
  )
  return {
    ...{ stepsPerCall, compileSeconds, program },
    parameters: leafSizes(parameters),
    call: async (i) => {
      const first = i * k + 1
      const scalars =
        k === 1 ? scalarsOf(first) : stacked(Array.from({ length: k }, (_, j) => scalarsOf(first + j)))
      const value = await program.step(fixed, turns[i % turns.length], scalars)
      return () => value.data[k - 1]
    },
  }
}

const leafSizes = (tree) =>
  'dtype' in tree ? tree.size : Object.values(tree).reduce((n, branch) => n + leafSizes(branch), 0)
