/** @file A thread that works on inputs [from, to) of targets. It says in shared memory which input it is at, so that a hang has a name. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { getHeapStatistics } from 'node:v8'
import { parentPort, workerData } from 'node:worker_threads'
import { TreelineError } from '../../dist/base/index.js'
import { makeInput } from './input.mjs'
import { targets } from './targets.mjs'

// traces of a million refusals are most of the time
Error.stackTraceLimit = 0

const { seed, folder, progress } = workerData
/** Garbage of a parse that is no large allocation; beyond it four times the file are allowed. */
const slack = 16 * 2 ** 20
const at = new Int32Array(progress)
mkdirSync(folder, { recursive: true })

const used = () => {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics()
  return heap + external
}

/** What a second look says of an input, with traces. */
async function explain(target, prepared, index) {
  Error.stackTraceLimit = 20
  try {
    await prepared.parse(makeInput(target, prepared, seed, index))
    return 'the second time it was taken'
  } catch (error) {
    return String(error?.stack ?? error)
  } finally {
    Error.stackTraceLimit = 0
  }
}

const known = new Map()
async function preparedOf(target) {
  const before = known.get(target)
  if (before) return before
  const own = join(folder, target.name.replace(/\W/g, '-'))
  mkdirSync(own, { recursive: true })
  const made = await target.prepare(own)
  known.set(target, made)
  return made
}

/** One input; what is wrong with how it was treated. */
async function treat(target, prepared, index, row) {
  const input = makeInput(target, prepared, seed, index)
  const before = used()
  const begun = performance.now()
  try {
    await prepared.parse(input)
    row.accepted++
  } catch (error) {
    row.refused++
    const isOurs = error instanceof TreelineError
    if (!isOurs || error.message.includes('\n') || error.message.length > 2000)
      row.found.push({
        index,
        kind: isOurs ? 'message' : 'crash',
        what: (await explain(target, prepared, index)).slice(0, 1500),
      })
  }
  let milliseconds = performance.now() - begun
  const grown = used() - before
  // a machine at other work lets any input wait: the fastest of four counts
  for (let again = 0; again < 3 && milliseconds > 500; again++) {
    const start = performance.now()
    try {
      await prepared.parse(input)
    } catch {}
    milliseconds = Math.min(milliseconds, performance.now() - start)
  }
  row.longest = Math.max(row.longest, milliseconds)
  if (milliseconds > 1000) row.found.push({ index, kind: 'slow', what: `${Math.round(milliseconds)} ms` })
  if (grown > 4 * input.length + slack)
    row.found.push({
      index,
      kind: 'memory',
      what: `${Math.round(grown / 2 ** 20)} MB for ${input.length} bytes`,
    })
}

parentPort.on('message', async ({ name, from, to }) => {
  const target = targets.find((one) => one.name === name)
  const prepared = await preparedOf(target)
  const row = { accepted: 0, refused: 0, longest: 0, found: [] }
  let index = from
  for (; index < to && row.found.length <= 50; index++) {
    Atomics.store(at, 0, index)
    await treat(target, prepared, index, row)
  }
  parentPort.postMessage({ ...row, done: index - from })
})
