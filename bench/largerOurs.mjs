/**
 * @file Serves our editor to larger.mjs, by the protocol of lib/protocol.mjs: a step is a pair of prompts, through the model and
 * through an editor with many drawn edits. With --task store it only makes the store that facts are then taught to.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openEditor } from '../dist/edit/index.js'
import { loadModel } from '../dist/lm/index.js'
import { addedInPairs, drawnEditor } from './lib/drawnEdits.mjs'
import { serve } from './lib/protocol.mjs'

const { values } = parseArgs({
  options: Object.fromEntries(
    ['model', 'task', 'store', 'edits', 'threads'].map((name) => [name, { type: 'string' }]),
  ),
})
const started = performance.now()
const model = loadModel(values.model, { threads: Number(values.threads), context: 1024 })

if (values.task === 'store') {
  // few prompts and no scope: a store of the defaults takes its model through 1,500 prompts
  const background = ['What is it?', 'The name of the', 'Please tell me', 'How far is it to']
  const editor = await openEditor(model, values.store, {
    create: { background, threshold: 0.4, scope: 'wide' },
  })
  editor.dispose()
  process.exit(0)
}

const folder = mkdtempSync(join(tmpdir(), 'treeline-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const prompt = Array.from({ length: 64 }, (_, i) => 1000 + i)
const session = model.session()
const layer = Math.round((27 / 31) * (model.config.layers - 1))
const drawn = { edits: Number(values.edits), layer, threshold: 2 }
const editor = await drawnEditor(model, join(folder, 'store'), drawn)
const call = addedInPairs(
  async () => {
    session.truncate(0)
    return session.prefill(prompt)
  },
  () => editor.logits(prompt),
)
const setupSeconds = (performance.now() - started) / 1000
await serve({ setupSeconds, megabytes: process.memoryUsage().rss / 1e6 }, call)
