/** @file Serves online training of our last-token networks to lasttoken.mjs, by the protocol of lib/protocol.mjs. */
import { parseArgs } from 'node:util'
import { sampleTrees } from '../dist/grammar/index.js'
import { crossEntropyLoss, train } from '../dist/nn/index.js'
import { random } from '../dist/tensor/index.js'
import { ourSide, setting } from './lib/lastToken.mjs'
import { holdTraining, setupFacts } from './lib/protocol.mjs'

const { values } = parseArgs({
  options: {
    network: { type: 'string' },
    width: { type: 'string' },
    layers: { type: 'string' },
    threads: { type: 'string' },
    count: { type: 'string' },
  },
})
const started = performance.now()
const side = await ourSide({
  network: values.network,
  width: Number(values.width),
  layers: Number(values.layers),
})
const { grammar, network, inputs } = side
const count = Number(values.count)
let drawing = 0
const { steps, looks, onLook } = holdTraining(
  count,
  () => {
    // of the warm-up
    drawing = 0
    return setupFacts(started)
  },
  (seconds) => {
    const share = drawing / 1000 / seconds
    drawing = 0
    return { drawing: share }
  },
)
await train({
  parameters: network.init(random.key(5)),
  loss: (p, { x, last }) => crossEntropyLoss(network.apply(p, x), last),
  data: (_, key) => {
    const before = performance.now()
    const strings = inputs(sampleTrees(grammar, key, setting.batchSize).levels[grammar.L])
    drawing += performance.now() - before
    return strings
  },
  optimizer: side.optimizer,
  learningRate: side.learningRate,
  ...{ steps, threads: Number(values.threads), stepsPerCall: 4, logEvery: steps },
  snapshots: { at: looks, use: onLook },
})
process.exit(0)
