/** @file Serves training steps of a transformer or of its tangent model to linearized.mjs, by the protocol of lib/protocol.mjs. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { adam, crossEntropyLoss, linearize, train, transformer } from '../dist/nn/index.js'
import { random, tensor } from '../dist/tensor/index.js'
import { holdTraining, setupFacts } from './lib/protocol.mjs'

const { values } = parseArgs({
  options: {
    problem: { type: 'string' },
    mode: { type: 'string' },
    threads: { type: 'string' },
    count: { type: 'string' },
  },
})
const started = performance.now()
const problem = JSON.parse(readFileSync(values.problem, 'utf8'))
const { width, heads, layers, context, vocabulary, learningRate } = problem
const network = transformer({ features: width, heads, layers, context, vocabulary })
const start = network.init(random.key(1))
const model = values.mode === 'plain' ? network : linearize(network, start)
const table = (rows) => tensor(Int32Array.from(rows.flat()), { shape: [rows.length, context] })
const { steps, looks, onLook } = holdTraining(Number(values.count), () => setupFacts(started))
await train({
  parameters: start,
  loss: (parameters, { x, y }) => crossEntropyLoss(model.apply(parameters, x), y),
  data: { x: table(problem.tokens), y: table(problem.targets) },
  shuffle: false,
  batchSize: problem.tokens.length,
  optimizer: adam(),
  ...{ learningRate, steps, threads: Number(values.threads), logEvery: steps },
  snapshots: { at: looks, use: onLook },
})
process.exit(0)
