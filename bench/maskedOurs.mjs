/** @file Serves training steps of our masked transformer to masked.mjs, by the protocol of lib/protocol.mjs. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { maskedTransformer, trainMasked } from '../dist/diffusion/index.js'
import { random } from '../dist/tensor/index.js'
import { holdTraining, setupFacts } from './lib/protocol.mjs'

const { values } = parseArgs({
  options: { problem: { type: 'string' }, threads: { type: 'string' }, count: { type: 'string' } },
})
const started = performance.now()
const problem = JSON.parse(readFileSync(values.problem, 'utf8'))
const network = maskedTransformer(problem)
const count = Number(values.count)
const held = holdTraining(count, () => setupFacts(started))
await trainMasked(network, {
  ...{ source: { sequence: problem.sequence }, parameters: network.init(random.key(5)), key: random.key(6) },
  ...{ batchSize: problem.batchSize, learningRate: problem.learningRate },
  threads: Number(values.threads),
  ...held,
})
process.exit(0)
