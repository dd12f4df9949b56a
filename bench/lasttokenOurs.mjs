/**
 * @file Serves online training of our last-token networks to lasttoken.mjs. The training loop itself is held between orders: it
 * stops to look after each `count` steps, and goes on when as many are ordered. The first `count` steps are warm-up.
 */
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { sampleTrees } from '../dist/grammar/index.js'
import { crossEntropyLoss, train } from '../dist/nn/index.js'
import { random } from '../dist/tensor/index.js'
import { ourSide, setting } from './lib/lastToken.mjs'

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
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
let [left, done, begun, drawing] = [count, 0, 0, 0]

/** Says what the steps took, the share of drawing among it, and waits for the next order; false when there is none. */
async function held() {
  left -= count
  done += count
  if (left > 0) return true
  const seconds = (performance.now() - begun) / 1000
  if (begun > 0) print({ seconds, steps: done, loss: 0, drawing: drawing / 1000 / seconds })
  else
    print({
      ready: true,
      setupSeconds: (performance.now() - started) / 1000,
      megabytes: process.memoryUsage().rss / 1e6,
    })
  const { value = 'quit' } = await lines.next()
  const [word, number] = value.trim().split(/\s+/)
  if (word !== 'run') return false
  left = Math.ceil(Number(number) / count) * count
  done = 0
  drawing = 0
  begun = performance.now()
  return true
}

const steps = 10_000 * count
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
  snapshots: { at: Array.from({ length: 10_000 }, (_, i) => (i + 1) * count), use: held },
})
process.exit(0)
