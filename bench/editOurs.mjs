/**
 * @file Serves our edits to edit.mjs, by the protocol of lib/protocol.mjs: a step is one edit of 30 steps, from texts to a store
 * on disk; or one prompt of 64 tokens through the model, or through an editor with 700 edits; or both in turns.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { writeSafetensors } from '../dist/checkpoint/index.js'
import { defaultTraining, openEditor } from '../dist/edit/index.js'
import { drawPermutation, maskText, topHash } from '../dist/edit/memoir/masks.js'
import { loadModel } from '../dist/lm/index.js'
import { random } from '../dist/tensor/index.js'
import { serve } from './lib/protocol.mjs'
import { median } from './lib/report.mjs'

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
  const path = folderOfOurs()
  const create = { layer, gate: 'none', threshold, background: ['What is it?'] }
  const empty = await openEditor(model, path, { create })
  const { hidden, width, ones } = empty.config
  empty.dispose()
  const key = random.key(1)
  const draw = (i, n) => random.sampleNormal(random.foldIn(key, i), n)
  const permutation = drawPermutation(key, hidden)
  const lines = Array.from({ length: 700 }, (_, i) => {
    const mask = maskText(topHash(draw(i, hidden), ones, permutation))
    const own = { event: 'edit', number: i + 1, prompt: `Question ${i}?`, target: `answer ${i}`, mask }
    return `${JSON.stringify(own)}\n`
  })
  await writeSafetensors(join(path, 'memory-700.safetensors'), {
    memory: { dtype: 'F32', shape: [hidden, width], data: draw(1000, hidden * width).map((x) => x / 100) },
  })
  writeFileSync(join(path, 'edits.jsonl'), lines.join(''))
  const editor = await openEditor(model, path, { readOnly: true })
  return async () => (await editor.logits(prompt)).logits[0]
}

const single = (work) => async () => {
  const value = await work()
  return () => value
}

/** Per cent that the editor adds to the model's prefill: pairs in turns within one process, so that what else happens is shared. */
async function added() {
  const sides = [prefillOf(), await editedOf(2)]
  const ratios = { wall: [], processor: [] }
  return async (i) => {
    const took = []
    for (const side of i % 2 ? [0, 1] : [1, 0]) {
      // threads of the other program look for work for a while
      await pause(20)
      const [before, start] = [process.cpuUsage(), performance.now()]
      await sides[side]()
      const wall = performance.now() - start
      const { user, system } = process.cpuUsage(before)
      took[side] = { wall, processor: user + system }
    }
    for (const name of ['wall', 'processor']) ratios[name].push(100 * (took[1][name] / took[0][name] - 1))
    return () => ({ wall: median(ratios.wall), processor: median(ratios.processor) })
  }
}

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
