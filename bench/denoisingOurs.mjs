/** @file Serves training steps of our denoising perceptron to denoising.mjs, by the protocol of lib/protocol.mjs. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { parseScheduler, trainImageDenoiser } from '../dist/diffusion/index.js'
import { denoisingMlp } from '../dist/nn/index.js'
import { random } from '../dist/tensor/index.js'
import { holdTraining, setupFacts } from './lib/protocol.mjs'

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
const held = holdTraining(count, () => setupFacts(started))
await trainImageDenoiser(network, scheduler, {
  ...{ images: Float32Array.from(images.flat()), parameters: network.init(random.key(5)) },
  ...{ key: random.key(6), batchSize, learningRate, threads: Number(values.threads) },
  ...held,
})
process.exit(0)
