/** @file A training loop with checkpoints, ended at every change of a file: the same weights, checkpoint and metrics as undisturbed. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { writeAtomically } from '../../src/base/files.ts'
import { appendJournal } from '../../src/base/journal.ts'
import * as nn from '../../src/nn/index.ts'
import { random, tensor } from '../../src/tensor/index.ts'
import { endAtEveryChange } from './everyChange.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-kills-train-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const n = 22 // no multiple of the batch: batches cross epochs
const x = tensor(random.sampleNormal(random.key(1), 6 * n), { shape: [n, 6] })
const label = tensor(Int32Array.from({ length: n }, (_, i) => (Number(x.data[6 * i]) > 0 ? 1 : 0)))
const net = nn.mlp({ sizes: [6, 8, 2] })

async function train(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const metrics = join(folder, 'metrics.jsonl')
  const state = join(folder, 'state.safetensors')
  // of a process that ended before it had a state to go on from
  if (!existsSync(state)) rmSync(metrics, { force: true })
  const { parameters } = await nn.train({
    parameters: net.init(random.key(2)),
    data: { x, label },
    loss: (p: nn.MlpParameters, batch: { x: typeof x; label: typeof label }, { key }) => {
      const logits = net.apply(p, nn.dropout(batch.x, 0.1, key))
      return { loss: nn.crossEntropyLoss(logits, batch.label) }
    },
    optimizer: nn.adamW(),
    learningRate: nn.cosine({ peak: 0.01, warmup: 2 }),
    steps: 5,
    batchSize: 4,
    seed: 3,
    averageDecay: 0.9,
    checkpoint: { path: state, every: 2 },
    resume: true,
    logEvery: 2,
    onResume: (step) => {
      const lines = existsSync(metrics) ? readFileSync(metrics, 'utf8').split('\n').slice(0, -1) : []
      const kept = lines.filter((line) => (JSON.parse(line) as { step: number }).step <= step)
      writeAtomically(metrics, kept.map((line) => `${line}\n`).join(''))
    },
    onMetrics: (line) => appendJournal(metrics, [line]),
  })
  nn.saveParameters(join(folder, 'final.safetensors'), parameters)
}

it('training', async () => {
  const out = join(root, 'run')
  const grows = /^metrics\.jsonl$/
  expect(await endAtEveryChange({ out, run: () => train(out), grows })).toBeGreaterThan(15)
})
