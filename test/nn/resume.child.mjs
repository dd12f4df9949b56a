/** @file A training run in a process of its own, made to be killed: `node resume.child.mjs FOLDER [STEP]`, where STEP is its last one. */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as nn from '../../dist/nn/index.js'
import { random, tensor } from '../../dist/tensor/index.js'

const [folder, last] = process.argv.slice(2)
const metrics = join(folder, 'metrics.jsonl')
const n = 150 // no multiple of the batch: batches cross epochs
const x = tensor(random.sampleNormal(random.key(1), 6 * n), { shape: [n, 6] })
const label = tensor(Int32Array.from({ length: n }, (_, i) => (x.data[6 * i] * x.data[6 * i + 1] > 0 ? 1 : 0)))
const net = nn.mlp({ sizes: [6, 32, 32, 2] })

const { parameters } = await nn.train({
  parameters: net.init(random.key(2)),
  data: { x, label },
  loss: (p, batch, { key }) => {
    const logits = net.apply(p, nn.dropout(batch.x, 0.1, key))
    return { loss: nn.crossEntropyLoss(logits, batch.label), metrics: { accuracy: nn.accuracy(logits, batch.label) } }
  },
  augment: (batch, key) => {
    const noise = random.sampleNormal(key, batch.x.size)
    for (let i = 0; i < noise.length; i++) batch.x.data[i] += 0.05 * noise[i]
  },
  optimizer: nn.adamW(),
  learningRate: nn.cosine({ peak: 0.01, warmup: 10 }),
  steps: 600,
  batchSize: 16,
  seed: 3,
  clipNorm: 1,
  averageDecay: 0.9,
  evaluate: {
    data: { x, label },
    measure: (p, batch) => ({ accuracy: nn.isCorrect(net.apply(p, batch.x), batch.label) }),
    every: 50,
  },
  best: { metric: 'validationAccuracy', goal: 'max' },
  checkpoint: { path: join(folder, 'state.safetensors'), every: 7 },
  resume: true,
  logEvery: 20,
  onResume: (step) => {
    const lines = existsSync(metrics) ? readFileSync(metrics, 'utf8').split('\n').slice(0, -1) : []
    const kept = lines.filter((line) => JSON.parse(line).step <= step)
    writeFileSync(metrics, kept.map((line) => `${line}\n`).join(''))
    console.log(`resumed ${step}`)
  },
  onMetrics: (line) => {
    appendFileSync(metrics, `${JSON.stringify(line)}\n`)
    if (line.step === Number(last)) process.kill(process.pid, 'SIGKILL')
  },
})
nn.saveParameters(join(folder, 'final.safetensors'), parameters)
console.log('finished')
