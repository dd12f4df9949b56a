/** @file Serves our denoiser to diffusion.mjs, by the protocol of lib/protocol.mjs: `run K` is K training steps or K samplings. */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { networkDenoiser, noiseLevels, sampleStrings, trainDenoiser } from '../dist/diffusion/index.js'
import { random } from '../dist/tensor/index.js'
import { serve } from './lib/protocol.mjs'
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
const facts = () => ({
  setupSeconds: (performance.now() - started) / 1000,
  megabytes: process.memoryUsage().rss / 1e6,
})

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

/**
 * The training loop itself, held between orders: it looks at the parameters after each `count` steps, which costs a copy of them,
 * and goes on when as many steps are ordered. The first `count` steps are warm-up.
 */
async function serveTraining() {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
  const unit = Number(values.count)
  let [left, done, begun] = [unit, 0, 0]
  const onLook = async () => {
    left -= unit
    done += unit
    if (left > 0) return true
    const seconds = (performance.now() - begun) / 1000
    print(begun === 0 ? { ready: true, ...facts() } : { seconds, steps: done, loss: 0 })
    for (;;) {
      const { value = 'quit', done: isOver } = await lines.next()
      const [word, number] = value.trim().split(/\s+/)
      if (isOver || word === 'quit') return false
      if (word === 'run' && /^[1-9]\d*$/.test(number ?? '')) {
        left = Math.ceil(Number(number) / unit) * unit
        done = 0
        begun = performance.now()
        return true
      }
      print({ error: `${JSON.stringify(value)}: expected "run K" with K at least 1, or "quit"` })
    }
  }
  const steps = 10_000 * unit
  await trainDenoiser(network, noising, {
    ...{ strings, parameters, steps, threads, onLook },
    ...{ batchSize: problem.batchSize, learningRate: problem.learningRate, key: random.key(6) },
    looks: Array.from({ length: steps / unit }, (_, i) => (i + 1) * unit),
  })
  process.exit(0)
}

await (values.task === 'train' ? serveTraining() : serveSampling())
