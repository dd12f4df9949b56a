/** @file Serves our language model to lm.mjs, by the protocol of lib/protocol.mjs: a step is a token, or a prefill of 64. */
import { parseArgs } from 'node:util'
import { loadModel } from '../dist/lm/index.js'
import { serve } from './lib/protocol.mjs'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    precision: { type: 'string' },
    task: { type: 'string' },
    threads: { type: 'string' },
    from: { type: 'string', default: '64' },
    to: { type: 'string', default: '192' },
  },
})
const started = performance.now()
const model = loadModel(values.model, {
  precision: values.precision,
  threads: Number(values.threads),
  context: 1024,
})
const session = model.session()
const prompt = Array.from({ length: 64 }, (_, i) => 1000 + i)
let logits = await session.prefill(prompt)
const setupSeconds = (performance.now() - started) / 1000
const [from, to] = [Number(values.from), Number(values.to)]
while (session.ids.length < from) await session.prefill(prompt.slice(0, from - session.ids.length))
const call = async (i) => {
  if (values.task === 'prefill') {
    session.truncate(0)
    logits = await session.prefill(prompt)
  } else {
    if (session.ids.length >= to) session.truncate(from)
    logits = await session.decode(1000 + (i % 1000))
  }
  return () => logits[0]
}
await serve({ setupSeconds, megabytes: process.memoryUsage().rss / 1e6 }, call)
