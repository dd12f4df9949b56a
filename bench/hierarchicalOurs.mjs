/** @file Trains our hierarchical CNN to a training loss for hierarchical.mjs: one JSON line of data on input, one answer a line. */
import { createInterface } from 'node:readline'
import { crossEntropyLoss, hierarchicalCnn, sgd, train } from '../dist/nn/index.js'
import { random, tensor } from '../dist/tensor/index.js'

/** Train once. { seconds, setupSeconds, steps, loss }: loss is the mean over the last epoch, which ended training. */
async function round({ problem, x, labels }, seed) {
  const { v, s, L, classes, P, width, rate, batchSize, stopLoss, maxSteps } = problem
  const network = hierarchicalCnn({ symbols: v, branching: s, depth: L, width, outputs: classes })
  const perEpoch = P / batchSize
  const started = performance.now()
  let first
  const { step, metrics } = await train({
    parameters: network.init(random.key(seed)),
    loss: (p, batch) => crossEntropyLoss(network.apply(p, batch.x), batch.label),
    data: {
      x: tensor(Float32Array.from(x), { shape: [P, s ** L, v] }),
      label: tensor(Int32Array.from(labels), { shape: [P] }),
    },
    optimizer: sgd(),
    learningRate: rate * width,
    steps: maxSteps,
    batchSize,
    seed,
    logEvery: perEpoch,
    stopWhen: ({ loss }) => loss < stopLoss,
    stepsPerCall: 8,
    threads: 1,
    onProgress: () => {
      first ??= performance.now()
    },
  })
  const seconds = (performance.now() - first) / 1000
  return { seconds, setupSeconds: (first - started) / 1000, steps: step, loss: metrics.loss }
}

let data
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line)
  if (order.problem) data = order
  const answer = order.problem ? { ready: true } : await round(data, order.seed)
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
