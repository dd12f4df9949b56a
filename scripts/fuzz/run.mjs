/**
 * @file `npm run fuzz`: damaged inputs for every parser, in threads that are watched. A parser may take an input or refuse it with
 * one line; a crash, a second of work or memory beyond four times the input is a finding, kept with the input that makes it.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { TreelineError } from '../../dist/base/index.js'
import { makeInput } from './input.mjs'
import { targets } from './targets.mjs'

const { values: flags } = parseArgs({
  options: {
    count: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    threads: { type: 'string', default: String(availableParallelism()) },
    out: { type: 'string', default: 'fuzz-findings' },
    at: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
})
if (flags.help) {
  console.log(`npm run fuzz -- [--count 1000000] [--seed 1] [--only ${targets.map(({ name }) => name).join(',')}] [--threads n] [--out DIR]
npm run fuzz -- --only NAME --at INDEX   make one input again, and parse it`)
  process.exit(0)
}
const wanted = flags.only?.split(',')
const chosen = targets.filter(({ name }) => !wanted || wanted.includes(name))
if (chosen.length === 0) {
  console.error(`--only ${flags.only}: expected some of ${targets.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}
const [count, seed, threads] = [flags.count, flags.seed, flags.threads].map(Number)
const root = join(tmpdir(), `treeline-fuzz-${process.pid}`)

if (flags.at !== undefined) {
  const [target] = chosen
  mkdirSync(root, { recursive: true })
  const prepared = await target.prepare(root)
  const input = makeInput(target, prepared, seed, Number(flags.at))
  console.log(`${target.name} ${flags.at}: ${input.length} bytes`)
  await prepared.parse(input)
  console.log('taken')
  process.exit(0)
}

// a target that cannot begin is a mistake here, not a finding
for (const [i, target] of chosen.entries()) {
  const folder = join(root, `first-${i}`)
  mkdirSync(folder, { recursive: true })
  const prepared = await target.prepare(folder)
  for (const seed of prepared.seeds)
    try {
      await prepared.parse(seed)
    } catch (error) {
      if (!(error instanceof TreelineError)) throw error
    }
}

/** A hang: the input after which a thread said nothing for this long. */
const patience = 60_000

/** Parts of each target's share, so that threads stay busy; a thread that hangs loses one part's rest, not the target's. */
const share = Math.ceil(count / chosen.length)
const part = Math.max(200, Math.min(20_000, Math.ceil(share / 8)))
const parts = chosen.flatMap(({ name }) =>
  Array.from({ length: Math.ceil(share / part) }, (_, i) => ({
    name,
    from: i * part,
    to: Math.min(share, (i + 1) * part),
  })),
)
const rows = new Map(
  chosen.map(({ name }) => [name, { inputs: 0, accepted: 0, refused: 0, longest: 0, found: [] }]),
)

let lanes = 0

/** A thread and the input it is at. */
function openWorker() {
  const progress = new SharedArrayBuffer(4)
  const worker = new Worker(new URL('./worker.mjs', import.meta.url), {
    workerData: { seed, folder: join(root, String(lanes++)), progress },
    resourceLimits: { maxOldGenerationSizeMb: 1024 },
  })
  return { worker, at: new Int32Array(progress) }
}

/** One part on a thread; a finding when the thread hangs or ends, which it does not survive. */
const carryOut = ({ worker, at }, { name, from, to }) =>
  new Promise((resolve) => {
    at[0] = -1
    let [last, since] = [-1, Date.now()]
    const end = (result) => {
      clearInterval(watch)
      worker.off('message', onMessage).off('error', onError)
      resolve(result)
    }
    const watch = setInterval(() => {
      const now = Atomics.load(at, 0)
      if (now !== last) [last, since] = [now, Date.now()]
      // the first word waits for the modules
      else if (now >= 0 && Date.now() - since > patience)
        end({ lost: { index: now, kind: 'hang', what: `nothing for ${patience / 1000} s` } })
    }, 500)
    const onMessage = (row) => end({ row })
    const onError = (error) =>
      end({
        lost: { index: Math.max(from, at[0]), kind: 'crash', what: `the thread ended: ${error.message}` },
      })
    worker.on('message', onMessage).on('error', onError)
    worker.postMessage({ name, from, to })
  })

const begun = performance.now()
let shown = 0
const queue = [...parts]

function show() {
  if (performance.now() - shown < 5000) return
  shown = performance.now()
  const all = [...rows.values()]
  const done = all.reduce((sum, { inputs }) => sum + inputs, 0)
  const found = all.reduce((sum, row) => sum + row.found.length, 0)
  const left = ((performance.now() - begun) / 1000) * (count / Math.max(1, done) - 1)
  console.error(
    `${done.toLocaleString('en')} of ${count.toLocaleString('en')} inputs, ${found} findings, ${Math.round(Math.max(0, left))} s left`,
  )
}

async function lane() {
  let thread = openWorker()
  for (let next = queue.shift(); next; next = queue.shift()) {
    const total = rows.get(next.name)
    const { row, lost } = await carryOut(thread, next)
    if (row) {
      total.inputs += row.done
      total.accepted += row.accepted
      total.refused += row.refused
      total.longest = Math.max(total.longest, row.longest)
      total.found.push(...row.found)
    } else {
      total.found.push(lost)
      total.inputs += lost.index + 1 - next.from
      await thread.worker.terminate()
      thread = openWorker()
      // what comes after it is another part
      if (lost.index + 1 < next.to && total.found.length < 50)
        queue.unshift({ ...next, from: lost.index + 1 })
    }
    show()
  }
  await thread.worker.terminate()
}
await Promise.all(Array.from({ length: threads }, lane))

console.log('| parser | inputs | taken | refused | longest, ms | findings |\n|---|---|---|---|---|---|')
let total = 0
for (const [name, { inputs, accepted, refused, longest, found }] of rows) {
  total += found.length
  console.log(`| ${name} | ${inputs} | ${accepted} | ${refused} | ${longest.toFixed(1)} | ${found.length} |`)
}
const sum = [...rows.values()].reduce((all, { inputs }) => all + inputs, 0)
console.log(
  `\n${sum.toLocaleString('en')} inputs in ${Math.round((performance.now() - begun) / 1000)} s, seed ${seed}: ${total} findings`,
)
for (const [name, { found }] of rows) {
  const target = targets.find((one) => one.name === name)
  const kinds = new Map()
  for (const finding of found) {
    const key = `${finding.kind}: ${finding.what.split('\n').slice(0, 3).join(' ')}`
    kinds.set(key, [...(kinds.get(key) ?? []), finding.index])
  }
  if (kinds.size === 0) continue
  const folder = join(root, 'again')
  mkdirSync(folder, { recursive: true })
  mkdirSync(flags.out, { recursive: true })
  const prepared = await target.prepare(folder)
  for (const [key, [index, ...others]] of kinds) {
    const file = join(flags.out, `${name}-${index}`)
    writeFileSync(file, makeInput(target, prepared, seed, index))
    console.log(
      `\n${name} ${index}${others.length ? ` and ${others.length} more` : ''}, in ${file}\n  ${key.slice(0, 600)}`,
    )
  }
}
process.exit(total > 0 ? 1 : 0)
