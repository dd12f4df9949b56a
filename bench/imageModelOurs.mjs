/** @file Serves our image model to imageModel.mjs, by the protocol of lib/protocol.mjs: `run K` is K predictions of noise. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { openImageDenoiser } from '../dist/diffusion/index.js'
import { noisyBatch } from './lib/imageModel.mjs'
import { serve } from './lib/protocol.mjs'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    batch: { type: 'string' },
    threads: { type: 'string' },
    output: { type: 'string' },
  },
})
const started = performance.now()
const denoiser = await openImageDenoiser(values.model, { threads: Number(values.threads) })
const { x, t } = noisyBatch(denoiser.shape, Number(values.batch))
const first = await denoiser.predict(x, t)
if (values.output) {
  writeFileSync(values.output, first)
  process.exit(0)
}
const setupSeconds = (performance.now() - started) / 1000
await serve({ setupSeconds, megabytes: process.memoryUsage().rss / 1e6 }, async () => {
  await denoiser.predict(x, t)
  return () => 0
})
