/**
 * @file Loaded before the program (`node --import`): counts what it does to files below a folder, and its native calls, and at
 * one of these moments sends a signal to it or lets the disk be full. So a moment is the same one on every machine.
 */
import fs from 'node:fs'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isMainThread } from 'node:worker_threads'

/**
 * root: folder; at: the moment, from 1; send: signals; full: a write from then on fails; count: file for the number of
 * moments; native: count native calls too, and only where it says 'worker', only in worker threads; lines: count lines on
 * standard error too; group: send to the process group, as a terminal does; hold: milliseconds of that native call; set: a data
 * set of the test's own, in a file
 */
const { root, at = 0, send = [], full = false, count, native, lines, group, hold = 400, set } = JSON.parse(process.env.TREELINE_TEST_HOOK)
const fullMark = `${root}.full-${process.env.TREELINE_TEST_MARK}`
const isCounted = native === 'worker' ? !isMainThread : isMainThread
let moments = 0
let isFull = false

function stall(milliseconds) {
  for (const until = performance.now() + milliseconds; performance.now() < until; );
}

function moment(isWrite) {
  if (isCounted && ++moments === at) {
    if (full) isFull = true
    for (const signal of send) {
      process.kill(group ? 0 : process.pid, signal)
      // long work lets signals in every few milliseconds
      stall(25)
    }
  }
  // threads write the pieces of a merge: they know the disk by its mark
  if (isWrite && full && (isFull || fs.existsSync(fullMark))) {
    if (isFull && isMainThread) real.writeFileSync(fullMark, '')
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  }
}

const pathOf = (file) => {
  if (typeof file !== 'number') return resolve(file instanceof URL ? fileURLToPath(file) : String(file))
  try {
    return fs.readlinkSync(`/proc/self/fd/${file}`)
  } catch {
    return ''
  }
}

if (set) {
  const { datasets } = await import(new URL('../data/sources.js', pathToFileURL(process.argv[1])))
  Object.assign(datasets, JSON.parse(fs.readFileSync(set, 'utf8')))
}

const real = { ...fs }
for (const [name, isWrite] of Object.entries({
  readSync: false,
  readFileSync: false,
  renameSync: false,
  writeSync: true,
  writeFileSync: true,
  appendFileSync: true,
}))
  fs[name] = (file, ...rest) => {
    if (native !== 'worker' && pathOf(file).startsWith(root)) moment(isWrite)
    return real[name](file, ...rest)
  }
syncBuiltinESMExports()

if (lines) {
  const write = process.stderr.write.bind(process.stderr)
  process.stderr.write = (...given) => {
    moment(false)
    return write(...given)
  }
}

if (native) {
  const require = createRequire(process.argv[1])
  // the class behind every session: its `run` is the native call itself
  const { binding } = require(join(dirname(require.resolve('onnxruntime-node')), 'binding.js'))
  const Native = binding.InferenceSession
  binding.InferenceSession = class extends Native {
    run(...given) {
      moment(false)
      // a call that takes its time: what comes meanwhile finds the thread in native code
      if (native === 'worker' && isCounted && moments >= at)
        for (const until = performance.now() + hold; performance.now() < until; )
          try {
            super.run(...given)
          } catch {
            // a program that hands no result back ends so
          }
      return super.run(...given)
    }
  }
}

if (count && isMainThread) process.on('exit', () => real.writeFileSync(count, String(moments)))
