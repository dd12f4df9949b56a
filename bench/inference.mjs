/**
 * @file `npm run bench -- inference`: exact posterior samples of a hierarchical grammar, ours against batched NumPy on the same
 * core. Every side is a child process that is warm and waits; rounds take turns between them.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { machineFacts, sleep } from './lib/machine.mjs'
import { start } from './lib/protocol.mjs'
import { milliseconds, summarize } from './lib/report.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))

export const usage = `npm run bench -- inference [options]
  --eps X           noise of the ε-process (0.7)
  --precision LIST  f32, f64 (both)
  --python PATH     a Python with NumPy (else TREELINE_PYTHON, else python3)
  --rounds N        rounds of every side (15)
  --calls N         calls in a round (5)
  --out DIR         where the results go (bench/results)`

/** The problem of the project's target: 32 data, 48 samples each, L = 9. */
const shape = { v: 32, classes: 32, m: 8, s: 2, L: 9 }
const data = 32
const samples = 48

const options = {
  eps: { type: 'string', default: '0.7' },
  precision: { type: 'string', default: 'f32,f64' },
  python: { type: 'string' },
  rounds: { type: 'string', default: '15' },
  calls: { type: 'string', default: '5' },
  out: { type: 'string', default: join(here, 'results') },
  help: { type: 'boolean', default: false },
}

function settingsFrom(args) {
  const { values } = parseArgs({ args, options })
  for (const name of ['rounds', 'calls'])
    if (!/^[1-9]\d*$/.test(values[name]))
      throw new Error(`--${name}: expected an integer >= 1, got "${values[name]}"`)
  const eps = Number(values.eps)
  if (!(eps > 0 && eps <= 1)) throw new Error(`--eps: expected 0 < eps <= 1, got "${values.eps}"`)
  const precisions = values.precision.split(',')
  for (const name of precisions)
    if (name !== 'f32' && name !== 'f64') throw new Error(`--precision ${name}: expected f32 or f64`)
  return { ...values, eps, precisions, rounds: Number(values.rounds), calls: Number(values.calls) }
}

const say = (text) => process.stderr.write(`${text}\n`)

async function writeProblem(path, eps) {
  const { makeGrammar, sampleTrees } = await import('../dist/grammar/index.js')
  const { random } = await import('../dist/tensor/index.js')
  const grammar = makeGrammar(shape, random.key(1))
  const leaves = sampleTrees(grammar, random.key(2), data).levels[shape.L]
  const rows = (list, width) =>
    Array.from({ length: list.length / width }, (_, i) => [...list.slice(i * width, (i + 1) * width)])
  const rules = grammar.rules.map((table) => rows(rows(table, shape.s), shape.m))
  writeFileSync(path, JSON.stringify({ shape, rules, leaves: rows(leaves, grammar.d), eps, samples }))
}

const sides = (problem, precision, python) =>
  [
    { label: 'treeline', command: process.execPath, args: [join(here, 'inferenceOurs.mjs')] },
    ...['rows', 'columns'].map((variant) => ({
      label: `numpy ${variant}`,
      command: python,
      args: [join(here, 'peers', 'inference_numpy.py'), '--variant', variant],
    })),
  ].map((side) => ({ ...side, args: [...side.args, '--problem', problem, '--precision', precision] }))

/** All sides must mean the same: the evidence to rounding, the share of leaves kept to five standard errors and a bit. */
function checkAgreement(running, precision) {
  const [ours, ...peers] = running.map((side) => side.last)
  const tolerance = precision === 'f32' ? 1e-4 : 1e-10
  for (const theirs of peers) {
    if (Math.abs(ours.logEvidence / theirs.logEvidence - 1) > tolerance)
      throw new Error(`log evidence differs: ${ours.logEvidence} and ${theirs.logEvidence}`)
    if (Math.abs(ours.kept - theirs.kept) > 0.02)
      throw new Error(`share of kept leaves differs: ${ours.kept} and ${theirs.kept}`)
  }
}

async function measure(problem, precision, { rounds, calls, python }) {
  const running = []
  for (const side of sides(problem, precision, python)) {
    const server = await start(side.command, side.args, { OMP_NUM_THREADS: '1' }, 120)
    running.push({ ...side, server, wall: [], cpu: [] })
  }
  try {
    for (let round = 0; round < rounds; round++)
      for (const side of running) {
        side.last = await side.server.run(calls)
        side.wall.push((1000 * side.last.seconds) / calls)
        side.cpu.push((1000 * side.last.cpu) / calls)
        await sleep(0.02)
      }
    checkAgreement(running, precision)
  } finally {
    for (const { server } of running) server.stop()
  }
  const numpy = running[1].server.ready.numpy
  const timings = Object.fromEntries(
    running.map(({ label, wall, cpu, last }) => [
      label,
      { wall: summarize(wall), cpu: summarize(cpu), logEvidence: last.logEvidence, kept: last.kept },
    ]),
  )
  return { precision, numpy, timings }
}

/** How many times as long as ours: by medians and by minima of the processor time, by medians of the time on the wall. */
const factors = ({ wall, cpu }, ours) => ({
  wall: wall.median / ours.wall.median,
  cpu: cpu.median / ours.cpu.median,
  least: cpu.least / ours.cpu.least,
})

function table(rows) {
  const head = ['', 'wall, ms', 'processor, ms', 'least', 'ours is faster by (wall, processor, least)']
  const lines = rows.flatMap(({ precision, timings }) =>
    Object.entries(timings).map(([label, t]) => {
      const f = factors(t, timings.treeline)
      return [
        `${precision} ${label}`,
        ...[milliseconds(t.wall.median), milliseconds(t.cpu.median), milliseconds(t.cpu.least)],
        label === 'treeline' ? '' : `${f.wall.toFixed(1)}, ${f.cpu.toFixed(1)}, ${f.least.toFixed(1)}`,
      ]
    }),
  )
  const all = [head, ...lines]
  const widths = head.map((_, i) => Math.max(...all.map((line) => line[i].length)))
  const show = (line) => `| ${line.map((text, i) => text.padEnd(widths[i])).join(' | ')} |`
  return [show(head), `|${widths.map((w) => '-'.repeat(w + 2)).join('|')}|`, ...lines.map(show)].join('\n')
}

const markdown = ({ machine, settings, rows }) =>
  [
    '# Exact posterior against batched NumPy',
    '',
    `- ${machine.cpu}, ${machine.cores} cores, ${machine.system}; Node ${machine.node}, NumPy ${rows[0].numpy}`,
    `- treeline ${machine.treeline}, commit ${machine.commit ?? 'unknown'}, ${machine.date}`,
    `- load average before ${machine.load.join(', ')}; ${settings.rounds} rounds of ${settings.calls} calls, sides in turn`,
    `- v = ${shape.v}, m = ${shape.m}, s = ${shape.s}, L = ${shape.L}, ε-process at ${settings.eps}: an upward pass for ${data} data and ${samples} exact posterior trees of each, one thread`,
    '',
    'Medians over the rounds of milliseconds a call. Processor time of a process counts its garbage collector and compiler',
    'threads as well, and does not count waiting for a busy core. `rows` is what one would write first in NumPy, `columns` the',
    'fastest found (bench/peers/inference_numpy.py).',
    '',
    table(rows),
    '',
  ].join('\n')

/** Returns the exit code. */
export async function inference(args) {
  let settings
  try {
    settings = settingsFrom(args)
  } catch (error) {
    say(`${error.message}\n\n${usage}`)
    return 2
  }
  if (settings.help) {
    process.stdout.write(`${usage}\n`)
    return 0
  }
  settings.python ??= process.env.TREELINE_PYTHON || 'python3'
  const machine = machineFacts()
  const folder = mkdtempSync(join(os.tmpdir(), 'treeline-bench-'))
  const rows = []
  try {
    const problem = join(folder, 'problem.json')
    await writeProblem(problem, settings.eps)
    for (const precision of settings.precisions) {
      say(`${precision} …`)
      rows.push(await measure(problem, precision, settings))
    }
  } catch (error) {
    say(`${error.message} (a Python with NumPy is needed: --python or TREELINE_PYTHON)`)
    return 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const { eps, rounds, calls } = settings
  const document = { format: 'treeline-bench-inference/1', machine, settings: { eps, rounds, calls }, rows }
  mkdirSync(settings.out, { recursive: true })
  const stem = join(settings.out, `inference-${machine.date.slice(0, 19).replaceAll(':', '')}`)
  writeFileSync(`${stem}.json`, `${JSON.stringify(document, null, 1)}\n`)
  writeFileSync(`${stem}.md`, markdown(document))
  process.stdout.write(`\n${table(rows)}\n\n${relative(process.cwd(), stem)}.md and .json\n`)
  return 0
}
