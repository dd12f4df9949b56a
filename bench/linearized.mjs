/**
 * @file `npm run bench -- linearized`: a training step of a transformer and of its tangent model, ours beside PyTorch's, time and memory.
 * Every side is a child process that waits; rounds take turns. That the tangent model is the right one is a test
 * (test/nn/linearized.test.ts); that PyTorch's transformer is ours, too (test/nn/networks.test.ts).
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { machineText } from './lib/machine.mjs'
import { milliseconds } from './lib/report.mjs'
import {
  inFolder,
  measureSides,
  optionsOf,
  pairedRatio,
  quietMachine,
  torchOrSay,
  writeResults,
} from './lib/sides.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const peer = join(here, 'peers', 'linearized_torch.py')

export const usage = `npm run bench -- linearized [options]
  --threads N       threads of every side (2)
  --python PATH     a Python with PyTorch (else TREELINE_PYTHON, else python3)
  --rounds N        rounds of every side (7)
  --out DIR         where the results go (bench/results)
  --force           measure although other programs are at work`

/** Most that a linear step may take: of our plain step, of PyTorch's linear one, and of the memory of our plain training. */
const most = { plain: 1.8, torch: 1, memory: 2.2 }
/** Steps in a round. */
const count = 10

const setting = {
  width: 128,
  heads: 4,
  layers: 4,
  context: 32,
  vocabulary: 64,
  batchSize: 32,
  learningRate: 1e-4,
}

async function makeProblem() {
  const { random } = await import('../dist/tensor/index.js')
  const { batchSize, context, vocabulary } = setting
  const rows = (seed) => {
    const all = Array.from(random.sampleIntegers(random.key(seed), batchSize * context, vocabulary))
    return Array.from({ length: batchSize }, (_, i) => all.slice(i * context, (i + 1) * context))
  }
  return { ...setting, tokens: rows(1), targets: rows(2) }
}

function sidesOf({ path, threads, torch }) {
  const env = { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) }
  const common = ['--problem', path, '--threads', String(threads)]
  const ours = ['plain', 'linear'].map((mode) => ({
    ...{ label: `treeline, ${mode}`, command: process.execPath },
    args: [join(here, 'linearizedOurs.mjs'), ...common, '--mode', mode, '--count', String(count)],
  }))
  const theirs = ['plain', 'jvp'].map((mode) => ({
    ...{ label: `PyTorch, ${mode}`, command: torch.command, args: [peer, ...common, '--mode', mode] },
  }))
  return [...ours, ...(torch.command ? theirs : [])].map((side) => ({ ...side, env, count }))
}

const judged = (ratio, bound) => `${ratio.toFixed(2)} (${ratio <= bound ? 'at most' : 'ABOVE'} ${bound})`

function ratiosOf(rows) {
  const of = (label) => rows.find((row) => row.label === label)
  const [plain, linear, jvp] = ['treeline, plain', 'treeline, linear', 'PyTorch, jvp'].map(of)
  const processor = (a, b) => (a.processor && b.processor ? a.processor / b.processor : null)
  return {
    plain: { wall: pairedRatio(linear, plain), processor: processor(linear, plain) },
    ...(jvp && { torch: { wall: pairedRatio(linear, jvp), processor: processor(linear, jvp) } }),
    ...(linear.peakMegabytes && { memory: linear.peakMegabytes / plain.peakMegabytes }),
  }
}

function markdown({ machine, settings, rows, ratios, torch }) {
  const lines = rows.map(
    ({ label, median, least, most: longest, processor, peakMegabytes }) =>
      `| ${label} | ${milliseconds(median)} (${milliseconds(least)}–${milliseconds(longest)}) | ${processor === undefined ? '' : milliseconds(processor)} | ${peakMegabytes?.toFixed(0) ?? ''} |`,
  )
  const said = ({ wall, processor }, bound) =>
    `${judged(wall, bound)} by the clock${processor === null ? '' : `, ${processor.toFixed(2)} in processor time`}`
  return `# Training steps of a tangent model

${machineText(machine, torch)}

A transformer of ${setting.layers} blocks of width ${setting.width} on ${setting.batchSize} sequences of ${setting.context} tokens; Adam (PyTorch: fused); ${settings.threads} ${settings.threads === 1 ? 'thread' : 'threads'}. Plain: as it is. Linear, jvp: its tangent model at the start. Medians (range) of ${settings.rounds} rounds that take turns; a ratio is the median over rounds. Peak: the most that was resident of the process.

| | wall ms | processor ms | peak MB |
|---|---|---|---|
${lines.join('\n')}

- Linear step to plain step: ${said(ratios.plain, most.plain)}.
${ratios.torch ? `- Linear step to PyTorch's with torch.func.jvp: ${said(ratios.torch, most.torch)}.\n` : ''}${ratios.memory ? `- Peak memory of linear training to plain training: ${judged(ratios.memory, most.memory)}.\n` : ''}`
}

/** Returns the exit code. */
export async function linearized(args) {
  const options = { out: { type: 'string', default: join(here, 'results') } }
  const { values, code } = optionsOf('linearized', usage, options, args)
  if (!values) return code
  const settings = { ...values, timeout: 900 }
  const torch = torchOrSay(values.python)
  return inFolder(async (folder) => {
    const path = join(folder, 'problem.json')
    writeFileSync(path, JSON.stringify(await makeProblem()))
    const machine = await quietMachine(values.force)
    if (!machine) return 1
    const { threads, rounds } = settings
    const rows = await measureSides(sidesOf({ path, threads, torch }), settings)
    const ratios = ratiosOf(rows)
    const results = {
      machine,
      torch: torch.torch ?? null,
      settings: { threads, rounds },
      setting,
      rows,
      ratios,
    }
    writeResults(values.out, 'linearized', results, markdown({ ...results, torch }))
    return 0
  })
}
