/** @file A store of edits with drawn masks and memory, which no training takes, and what it adds to a prompt. Needs `npm run build`. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { writeSafetensors } from '../../dist/checkpoint/index.js'
import { openEditor } from '../../dist/edit/index.js'
import { drawPermutation, maskText, topHash } from '../../dist/edit/memoir/masks.js'
import { random } from '../../dist/tensor/index.js'
import { median } from './report.mjs'

/** The editor of a new store at `path`, all of whose edits are compared with every prompt. */
export async function drawnEditor(model, path, { edits, layer, threshold }) {
  const create = { layer, gate: 'none', threshold, background: ['What is it?'] }
  const empty = await openEditor(model, path, { create })
  const { hidden, width, ones } = empty.config
  empty.dispose()
  const key = random.key(1)
  const draw = (i, n) => random.sampleNormal(random.foldIn(key, i), n)
  const permutation = drawPermutation(key, hidden)
  const lines = Array.from({ length: edits }, (_, i) => {
    const mask = maskText(topHash(draw(i, hidden), ones, permutation))
    const own = { event: 'edit', number: i + 1, prompt: `Question ${i}?`, target: `answer ${i}`, mask }
    return `${JSON.stringify(own)}\n`
  })
  await writeSafetensors(join(path, `memory-${edits}.safetensors`), {
    memory: { dtype: 'F32', shape: [hidden, width], data: draw(100_000, hidden * width).map((x) => x / 100) },
  })
  writeFileSync(join(path, 'edits.jsonl'), lines.join(''))
  return openEditor(model, path, { readOnly: true })
}

/** Per cent that one side takes longer than the other: pairs in turns within one process, so that what else happens is shared. */
export function addedInPairs(...sides) {
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
