/**
 * @file Serves our edits to edit.mjs, by the protocol of lib/protocol.mjs: a step is one edit of 30 steps, from texts to a store
 * on disk; or one prompt of 64 tokens through the model, or through an editor with 700 edits; or both in turns.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { defaultTraining, openEditor } from '../dist/edit/index.js'
import { loadModel } from '../dist/lm/index.js'
import { addedInPairs, drawnEditor } from './lib/drawnEdits.mjs'
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

function folderOfOurs() {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'store')
}

async function edits() {
  const { facts, contexts } = JSON.parse(readFileSync(values.facts, 'utf8'))
  const training = {
    ...defaultTraining,
    ...{ maxSteps: 30, stop: { rule: 'loss', loss: 0 }, contexts },
  }
  const editor = await openEditor(model, folderOfOurs(), { create: { layer, training } })
  return async (i) => {
    const { losses } = await editor.add(facts[i % facts.length])
    return () => losses.last
  }
}

function prefillOf() {
  const session = model.session()
  return async () => {
    session.truncate(0)
    return (await session.prefill(prompt))[0]
  }
}

/** A store of 700 edits with drawn masks and memory, all of which are compared with every prompt. */
async function editedOf(threshold) {
  const editor = await drawnEditor(model, folderOfOurs(), { edits: 700, layer, threshold })
  return async () => (await editor.logits(prompt)).logits[0]
}

const single = (work) => async () => {
  const value = await work()
  return () => value
}

/** Per cent that the editor adds to the model's prefill. */
const added = async () => addedInPairs(prefillOf(), await editedOf(2))

const tasks = {
  edits,
  prefill: async () => single(prefillOf()),
  silent: async () => single(await editedOf(2)),
  answering: async () => single(await editedOf(0)),
  added,
}
const call = await tasks[values.task]()
const setupSeconds = (performance.now() - started) / 1000
await serve({ setupSeconds, megabytes: process.memoryUsage().rss / 1e6 }, call)
