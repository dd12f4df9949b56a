/**
 * @file `npm run bench -- hierarchical`: the hierarchical CNN of the Random Hierarchy Model trained to a cross-entropy of 1e-3,
 * steps and seconds, against PyTorch on the same data. Sides are processes that wait; rounds take turns, each with a seed
 * of its own for weights and order.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { busyCores, machineFacts } from './lib/machine.mjs'
import { findTorch } from './lib/python.mjs'
import { median } from './lib/report.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))

/** Sizes of the paper's code's own example: v = n_c = 8, m = 4, s = 2, L = 3, P = 2048, width 64, rate 1 · width, no momentum. */
export const problem = {
  v: 8,
  classes: 8,
  m: 4,
  s: 2,
  L: 3,
  P: 2048,
  width: 64,
  rate: 1,
  batchSize: 128,
  stopLoss: 1e-3,
  maxSteps: 20_000,
}

export const usage = `npm run bench -- hierarchical [options]
  --rounds N        rounds of every side (5)
  --python PATH     a Python with PyTorch (else TREELINE_PYTHON, else python3)
  --out DIR         where the results go (bench/results)
  --force           measure although other programs are at work`

/** A side: a process that answers a line with a line. */
function open(label, command, args) {
  const child = spawn(command, args, {
    env: { ...process.env, OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ask = async (order) => {
    child.stdin.write(`${JSON.stringify(order)}\n`)
    const { value, done } = await answers.next()
    if (done) throw new Error(`${label}: ended without an answer`)
    return JSON.parse(value)
  }
  child.on('error', () => undefined)
  child.stdin.on('error', () => undefined)
  return { label, ask, close: () => child.stdin.end(), rounds: [] }
}

/** The same strings for every side: whitened one-hot rows and classes. */
async function makeData() {
  const { makeGrammar, oneHot, sampleDistinct, whiten } = await import('../dist/grammar/index.js')
  const { random } = await import('../dist/tensor/index.js')
  const grammar = makeGrammar(problem, random.key(1))
  const { levels } = sampleDistinct(grammar, random.key(2), problem.P)
  return { x: Array.from(whiten(oneHot(levels[problem.L], problem.v), problem.v)), labels: [...levels[0]] }
}

function summaryOf({ label, rounds }) {
  const of = (name) => rounds.map((round) => round[name])
  return {
    label,
    seconds: median(of('seconds')),
    least: Math.min(...of('seconds')),
    most: Math.max(...of('seconds')),
    steps: median(of('steps')),
    millisecondsPerStep: 1000 * median(rounds.map(({ seconds, steps }) => seconds / steps)),
    setupSeconds: median(of('setupSeconds')),
    reached: rounds.every(({ loss }) => loss < problem.stopLoss),
  }
}

function markdown({ machine, load, rounds, sides, ratio }) {
  const rows = sides.map(
    ({ label, seconds, least, most, steps, millisecondsPerStep, reached }) =>
      `| ${label} | ${seconds.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)}) | ${steps} | ${millisecondsPerStep.toFixed(3)} | ${reached ? 'yes' : 'NO'} |`,
  )
  return [
    '# Hierarchical CNN trained to a cross-entropy of 1e-3',
    '',
    `v = n_c = ${problem.v}, m = ${problem.m}, s = ${problem.s}, L = ${problem.L}, P = ${problem.P}, width ${problem.width}, learning rate ${problem.rate}·width, no momentum, batch ${problem.batchSize}, one thread. Medians of ${rounds} rounds, sides in turn; training ends when the mean loss of an epoch is below ${problem.stopLoss}.`,
    '',
    '| side | seconds (range) | steps | ms a step | reached |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    ratio === null ? '' : `Seconds, ours over the faster PyTorch: ${ratio.toFixed(2)}.`,
    '',
    `${machine.cpu}, ${machine.cores} cores, ${machine.system}; Node ${machine.node}, ONNX Runtime ${machine.onnxruntime}, commit ${machine.commit}; ${machine.date}; ${load.toFixed(2)} cores busy with other programs before.`,
    '',
  ].join('\n')
}

export async function hierarchical(args) {
  let values
  try {
    ;({ values } = parseArgs({
      args,
      options: {
        rounds: { type: 'string', default: '5' },
        python: { type: 'string' },
        out: { type: 'string', default: join(here, 'results') },
        force: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }))
    if (!/^[1-9]\d*$/.test(values.rounds))
      throw new Error(`--rounds: expected an integer >= 1, got "${values.rounds}"`)
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${usage}\n`)
    return 2
  }
  if (values.help) {
    process.stdout.write(`${usage}\n`)
    return 0
  }
  const load = await busyCores()
  if (load > 0.3 && !values.force) {
    process.stderr.write(
      `${load.toFixed(2)} cores are busy: timings would be worthless (--force measures all the same)\n`,
    )
    return 1
  }
  const torch = findTorch(values.python)
  if (torch.reason) process.stderr.write(`without PyTorch: ${torch.reason}\n`)
  const peer = join(here, 'peers', 'hierarchical_torch.py')
  const sides = [
    open('treeline', process.execPath, [join(here, 'hierarchicalOurs.mjs')]),
    ...(torch.command
      ? ['conv', 'matmul'].map((form) => open(`PyTorch, ${form}`, torch.command, [peer, '--form', form]))
      : []),
  ]
  try {
    const data = await makeData()
    for (const side of sides) await side.ask({ problem, ...data })
    const rounds = Number(values.rounds)
    // round 0 warms up
    for (let round = 0; round <= rounds; round++)
      for (const side of sides) {
        const answer = await side.ask({ seed: round })
        if (round > 0) side.rounds.push(answer)
        process.stderr.write(
          `${side.label}: ${answer.steps} steps, ${answer.seconds.toFixed(2)} s${round === 0 ? ' (warm-up)' : ''}\n`,
        )
      }
    const found = sides.map((side) => ({ ...summaryOf(side), rounds: side.rounds }))
    const peers = found.slice(1).map(({ seconds }) => seconds)
    const ratio = peers.length === 0 ? null : found[0].seconds / Math.min(...peers)
    const results = {
      problem,
      rounds,
      load,
      forced: values.force,
      torch: torch.torch ?? null,
      machine: machineFacts(),
      sides: found,
      ratio,
    }
    const text = markdown(results)
    mkdirSync(values.out, { recursive: true })
    const stamp = results.machine.date.slice(0, 10)
    const path = join(values.out, `hierarchical-${stamp}`)
    writeFileSync(`${path}.json`, `${JSON.stringify(results, null, 2)}\n`)
    writeFileSync(`${path}.md`, text)
    process.stdout.write(`${text}\n${relative(process.cwd(), path)}.md\n`)
    return found.every(({ reached }) => reached) ? 0 : 1
  } finally {
    for (const side of sides) side.close()
  }
}
