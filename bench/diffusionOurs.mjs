/** @file Serves our denoiser to diffusion.mjs, by the protocol of lib/protocol.mjs: `run K` is K training steps or K samplings. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { networkDenoiser, noiseLevels, sampleStrings, trainDenoiser } from '../dist/diffusion/index.js'
import { random } from '../dist/tensor/index.js'
import { holdTraining, serve, setupFacts } from './lib/protocol.mjs'
import { ourSide } from './lib/treeDiffusion.mjs'

const { values } = parseArgs({
  options: {
    problem: { type: 'string' },
    task: { type: 'string' },
    width: { type: 'string' },
    threads: { type: 'string' },
    count: { type: 'string', default: '1' },
  },
})
const problem = JSON.parse(readFileSync(values.problem, 'utf8'))
const threads = Number(values.threads)
const started = performance.now()
const { network, noising, strings } = await ourSide(problem, Number(values.width))
const parameters = network.init(random.key(5))
const facts = () => setupFacts(started)

/** Samplings of `samples` strings through all steps. */
async function serveSampling() {
  const denoiser = networkDenoiser(network, noising, { batchSize: problem.samples, threads }).with(parameters)
  const levels = noiseLevels(noising.schedule, 1 - noising.schedule.alphaBar(problem.T))
  const call = async (i) => {
    await sampleStrings(denoiser, { count: problem.samples, levels, key: random.key(100 + i) })
    return () => 0
  }
  await call(-1)
  await serve(facts(), call)
}

async function serveTraining() {
  await trainDenoiser(network, noising, {
    ...{ strings, parameters, threads, ...holdTraining(Number(values.count), facts) },
    ...{ batchSize: problem.batchSize, learningRate: problem.learningRate, key: random.key(6) },
  })
  process.exit(0)
}

await (values.task === 'train' ? serveTraining() : serveSampling())
