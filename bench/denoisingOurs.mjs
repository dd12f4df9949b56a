/**
 * @file Serves training steps of our denoising perceptron to denoising.mjs. The training loop itself is held between orders: it stops
 * to look after each `count` steps, and goes on when as many are ordered. The first `count` steps are warm-up.
 */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { parseScheduler, trainImageDenoiser } from '../dist/diffusion/index.js'
import { denoisingMlp } from '../dist/nn/index.js'
import { random } from '../dist/tensor/index.js'

const { values } = parseArgs({
  options: { problem: { type: 'string' }, threads: { type: 'string' }, count: { type: 'string' } },
})
const started = performance.now()
const problem = JSON.parse(readFileSync(values.problem, 'utf8'))
const { images, width, layers, time, batchSize, learningRate } = problem
const size = images[0].length
const network = { shape: [1, 1, size], ...denoisingMlp({ size, width, layers, time }) }
const scheduler = parseScheduler({ _class_name: 'DDIMScheduler', prediction_type: 'sample' }, 'bench')
const count = Number(values.count)
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
let [left, done, begun] = [count, 0, 0]

/** Says what the steps took and waits for the next order; false when there is none. */
async function held() {
  left -= count
  done += count
  if (left > 0) return true
  const now = performance.now()
  if (begun > 0) print({ seconds: (now - begun) / 1000, steps: done, loss: 0 })
  else
    print({
      ...{ ready: true, setupSeconds: (now - started) / 1000 },
      megabytes: process.memoryUsage().rss / 1e6,
    })
  const { value = 'quit' } = await lines.next()
  const [word, number] = value.trim().split(/\s+/)
  if (word !== 'run') return false
  left = Math.ceil(Number(number) / count) * count
  done = 0
  begun = performance.now()
  return true
}

const steps = 10_000 * count
await trainImageDenoiser(network, scheduler, {
  ...{ images: Float32Array.from(images.flat()), parameters: network.init(random.key(5)) },
  ...{ key: random.key(6), steps, batchSize, learningRate, threads: Number(values.threads) },
  looks: Array.from({ length: 10_000 }, (_, i) => (i + 1) * count),
  onLook: held,
})
process.exit(0)
