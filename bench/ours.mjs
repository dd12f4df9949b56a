/** @file Serves our own training steps to engine.mjs, by the protocol of lib/protocol.mjs. */
import { parseArgs } from 'node:util'
import { serve } from './lib/protocol.mjs'
import { buildStep, networks } from './lib/steps.mjs'

const { values } = parseArgs({
  options: {
    network: { type: 'string' },
    width: { type: 'string' },
    threads: { type: 'string', default: '1' },
    'steps-per-call': { type: 'string', default: '1' },
  },
})
if (!networks.includes(values.network)) {
  process.stderr.write(`--network ${values.network}: expected ${networks.join(', ')}\n`)
  process.exit(2)
}
const stepsPerCall = Number(values['steps-per-call'])
const { call, parameters, compileSeconds } = await buildStep(values.network, Number(values.width), {
  threads: Number(values.threads),
  stepsPerCall,
})
const variant = stepsPerCall === 1 ? '' : `${stepsPerCall} steps a call`
await serve({ variant, parameters, setupSeconds: compileSeconds }, call, stepsPerCall)
