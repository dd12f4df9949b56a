/**
 * @file Serves our edits to edit.mjs, by the protocol of lib/protocol.mjs: a step is one edit of 30 steps, from texts to a store
 * on disk; or one prompt of 64 tokens through the model, through the two pieces of an editor, or the routing of one.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openEngine } from '../dist/edit/memoir/engine.js'
import * as memoir from '../dist/edit/memoir/index.js'
import { drawPermutation, topHash } from '../dist/edit/memoir/masks.js'
import { loadModel } from '../dist/lm/index.js'
import { random } from '../dist/tensor/index.js'
import { serve } from './lib/protocol.mjs'

const { values } = parseArgs({
  options: Object.fromEntries(
    ['model', 'task', 'facts', 'threads'].map((name) => [name, { type: 'string' }]),
  ),
})
const started = performance.now()
const model = loadModel(values.model, { threads: Number(values.threads), context: 1024 })
const prompt = Array.from({ length: 64 }, (_, i) => 1000 + i)
const layer = 25

async function edits() {
  const { facts, contexts } = JSON.parse(readFileSync(values.facts, 'utf8'))
  const folder = mkdtempSync(join(tmpdir(), 'treeline-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const training = {
    ...memoir.defaultTraining,
    ...{ maxSteps: 30, stop: { rule: 'loss', loss: 0 }, contexts },
  }
  const editor = await memoir.openEditor(model, join(folder, 'store'), { create: { layer, training } })
  return async (i) => {
    const { losses } = await editor.add(facts[i % facts.length])
    return () => losses.last
  }
}

async function prefill() {
  const session = model.session()
  return async () => {
    session.truncate(0)
    const logits = await session.prefill(prompt)
    return () => logits[0]
  }
}

async function pieces() {
  const { hidden, width } = model.config
  const engine = await openEngine(model, layer, layer, new Float32Array(hidden * width))
  return async () => {
    const { logits } = await engine.read(prompt, [prompt.length - 1])
    return () => logits[0]
  }
}

/** What routing does between reading a prompt and answering, with 700 edits stored. */
async function routing() {
  const { hidden } = model.config
  const key = random.key(1)
  const permutation = drawPermutation(key, hidden)
  const draw = (i, n) => random.sampleNormal(random.foldIn(key, i), n)
  const stored = Array.from({ length: 700 }, (_, i) => ({
    number: i + 1,
    mask: topHash(draw(i, hidden), 439, permutation),
  }))
  const activations = draw(1000, prompt.length * hidden)
  const background = draw(1001, hidden)
  return async () => {
    const feature = memoir.routers['mean-centred'].feature({ activations, hidden })
    const mask = topHash(
      feature.map((x, j) => x - background[j]),
      439,
      permutation,
    )
    const match = memoir.route(memoir.matches(mask, stored, 439), 0.45)
    return () => match?.overlap ?? 0
  }
}

const call = await { edits, prefill, pieces, routing }[values.task]()
const setupSeconds = (performance.now() - started) / 1000
await serve({ setupSeconds, megabytes: process.memoryUsage().rss / 1e6 }, call)
