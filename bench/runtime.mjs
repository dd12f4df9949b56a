/**
 * @file `npm run bench -- runtime`: training steps and tokens on the runtime's native library and on its WebAssembly build. Every
 * side is a child process that waits; rounds take turns, and processor time is measured beside wall time.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { machineFacts } from './lib/machine.mjs'
import { problems } from './lib/problems.mjs'
import { milliseconds } from './lib/report.mjs'
import { measureSides, optionsOf, pairedRatio, quietOrSay, say, writeResults } from './lib/sides.mjs'
import { wasmPeak } from './lib/wasmPeak.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const standard = fileURLToPath(
  new URL('../../shared/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf', import.meta.url),
)

export const usage = `npm run bench -- runtime [options]
  --only NAMES      ${problems.map((p) => p.name).join(', ')}, tokens
  --model FILE      SmolLM2-135M-Instruct as GGUF, for tokens (shared/models beside the project)
  --threads N       threads of every side (1)
  --rounds N        rounds of every side (7)
  --seconds S       length of a round (1)
  --out DIR         where the results go (bench/results)
  --force           measure although other programs are at work`

const builds = ['native', 'wasm']

/** What is compared: a name and the arguments of a program that waits. */
function rowsOf({ model, threads }) {
  const steps = problems.map(({ name, network, width, stepsPerCall = 1 }) => ({
    name,
    args: [
      ...[join(here, 'ours.mjs'), '--network', network, '--width', String(width), '--threads', threads],
      ...['--steps-per-call', String(stepsPerCall)],
    ],
  }))
  if (!existsSync(model)) {
    say(`no tokens: ${model} does not exist`)
    return steps
  }
  const tokens = ['f32', 'q4'].map((precision) => ({
    name: `token ${precision}`,
    args: [
      ...[join(here, 'lmOurs.mjs'), '--model', model, '--precision', precision],
      ...['--task', 'decode', '--threads', threads],
    ],
  }))
  return [...steps, ...tokens]
}

const summary = (row) =>
  row ? `${milliseconds(row.median)} (${milliseconds(row.least)}–${milliseconds(row.most)})` : 'failed'

/** Returns the exit code. */
export async function runtime(args) {
  const own = {
    only: { type: 'string', default: '' },
    model: { type: 'string', default: standard },
    seconds: { type: 'string', default: '1' },
    out: { type: 'string', default: join(here, 'results') },
  }
  const { values, code } = optionsOf('runtime', usage, own, ['--threads', '1', ...args])
  if (!values) return code
  const only = values.only.split(',').filter(Boolean)
  const rows = rowsOf({ ...values, threads: String(values.threads) }).filter(
    ({ name }) => only.length === 0 || only.includes(name) || only.includes(`${name.split(' ')[0]}s`),
  )
  const busy = await quietOrSay(values.force)
  if (busy === undefined) return 1
  const facts = { ...machineFacts(), busyCores: busy, wasmPeak: wasmPeak() }
  const measured = []
  for (const row of rows) {
    say(`${row.name} …`)
    const sides = builds.map((build) => ({
      ...{ label: build, command: process.execPath, args: row.args, env: { TREELINE_RUNTIME: build } },
    }))
    const settings = { rounds: values.rounds, env: {}, timeout: 600, seconds: Number(values.seconds) }
    measured.push({ name: row.name, timings: await measureSides(sides, settings) })
  }
  const lines = measured.map(({ name, timings }) => {
    const [native, wasm] = builds.map((build) => timings.find(({ label }) => label === build))
    const both = native && wasm
    const ratio = both ? pairedRatio(wasm, native).toFixed(2) : ''
    const processor =
      both && native.processor && wasm.processor ? (wasm.processor / native.processor).toFixed(2) : ''
    return `| ${name} | ${summary(native)} | ${summary(wasm)} | ${ratio} | ${processor} |`
  })
  const text = [
    '# The runtime: native and WebAssembly',
    '',
    `- ${facts.cpu}, ${facts.cores} cores, ${facts.vector.at(-1) ?? 'no vector facts'}, Node ${facts.node}`,
    `- ${values.threads} ${values.threads === 1 ? 'thread' : 'threads'}, ${values.rounds} rounds in turns of about ${values.seconds} s; ${busy.toFixed(2)} cores busy before`,
    `- WebAssembly's vectors multiply and add in registers at ${facts.wasmPeak.toFixed(1)} GFLOP/s on one thread: no matrix product is faster there`,
    '',
    'Milliseconds, median (least–most). Ratio: the median over rounds of WebAssembly / native in the same round; of processor',
    'time: that of the medians.',
    '',
    '| | native | WebAssembly | ratio | of processor time |',
    '|---|---|---|---|---|',
    ...lines,
    '',
  ].join('\n')
  writeResults(values.out, 'runtime', { machine: facts, settings: values, rows: measured }, text)
  return 0
}
