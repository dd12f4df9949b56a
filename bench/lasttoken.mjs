/**
 * @file `npm run bench -- lasttoken`: online steps of the networks of `scaling-laws`, ours beside PyTorch's, fresh strings at every
 * step on both sides. Every side is a child process that waits; rounds take turns. PyTorch's networks are checked to be ours first.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkPeer, makeProblem, setting } from './lib/lastToken.mjs'
import { machineText } from './lib/machine.mjs'
import { milliseconds } from './lib/report.mjs'
import {
  inFolder,
  measureSides,
  optionsOf,
  pairedRatio,
  quietMachine,
  say,
  torchOrSay,
  writeResults,
} from './lib/sides.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const peer = join(here, 'peers', 'lasttoken_torch.py')

export const usage = `npm run bench -- lasttoken [options]
  --only LIST       of cnn-256, cnn-512, attention-3, attention-4 (all)
  --check           only compare PyTorch's networks with ours: logits of the same weights
  --threads N       threads of every side (2)
  --python PATH     a Python with PyTorch (else TREELINE_PYTHON, else python3)
  --rounds N        rounds of every side (7)
  --out DIR         where the results go (bench/results)
  --force           measure although other programs are at work`

/** What is timed: steps in a round, and the most that ours may take of the faster of PyTorch eager and compiled. */
const steps = {
  'cnn-256': { network: 'cnn', width: 256, layers: setting.L, count: 128, most: 0.4 },
  'cnn-512': { network: 'cnn', width: 512, layers: setting.L, count: 48, most: 0.4 },
  'attention-3': { network: 'attention', width: 256, layers: 3, count: 16, most: 0.85 },
  'attention-4': { network: 'attention', width: 256, layers: 4, count: 12, most: 0.85 },
}
/** The most of its time that ours may spend on strings. */
const mostDrawing = 0.05

const formsOf = ({ network }) => (network === 'cnn' ? ['conv', 'matmul'] : ['conv'])

/** Sides of a step: ours and, with PyTorch, its ways; as the authors have it, and the CNN as reshapes and matrix products. */
function sidesOf(step, { path, threads, torch }) {
  const { network, width, layers, count } = step
  const sizes = ['--network', network, '--width', String(width), '--layers', String(layers)]
  const common = [...sizes, '--threads', String(threads)]
  const env = { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) }
  const ours = [join(here, 'lasttokenOurs.mjs'), ...common, '--count', String(count)]
  const ways = [
    ...['eager', 'compile'].map((mode) => ({ label: `PyTorch ${mode}`, form: 'conv', mode })),
    ...(network === 'cnn' ? [{ label: 'PyTorch reshapes, compile', form: 'matmul', mode: 'compile' }] : []),
  ]
  return [
    { label: 'treeline', command: process.execPath, args: ours },
    ...(torch.command
      ? ways.map(({ label, form, mode }) => ({
          ...{ label, command: torch.command },
          args: [peer, '--problem', path, ...common, '--form', form, '--mode', mode],
        }))
      : []),
  ].map((side) => ({ ...side, env, count }))
}

/** Ours over the faster of PyTorch as the authors have it; paired by rounds. */
function ratioOf({ most, rows }) {
  const [ours, ...others] = rows
  const ordinary = others.filter(({ label }) => label === 'PyTorch eager' || label === 'PyTorch compile')
  if (ours?.label !== 'treeline' || ordinary.length === 0) return null
  const faster = ordinary.reduce((a, b) => (b.median < a.median ? b : a))
  const wall = pairedRatio(ours, faster)
  const processor = ours.processor === undefined ? null : ours.processor / faster.processor
  return { label: faster.label, wall, processor, most, met: wall <= most }
}

function table(found) {
  const lines = found.flatMap(({ name, rows, ratio, drawing }) =>
    rows.map(({ label, median, least, most, processor }) => {
      const cells = [
        ...[name, label, `${milliseconds(median)} (${milliseconds(least)}–${milliseconds(most)})`],
        processor === undefined ? '' : milliseconds(processor),
        ratio?.label === label
          ? `${ratio.wall.toFixed(2)} (${ratio.met ? 'at most' : 'ABOVE'} ${ratio.most})`
          : '',
        ratio?.label === label && ratio.processor !== null ? ratio.processor.toFixed(2) : '',
        label === 'treeline'
          ? `${(100 * drawing).toFixed(1)} % (${drawing <= mostDrawing ? 'at most' : 'ABOVE'} ${100 * mostDrawing} %)`
          : '',
      ]
      return `| ${cells.join(' | ')} |`
    }),
  )
  return [
    '| step | | wall ms | processor ms | ours to it, wall | ours to it, processor | drawing strings |',
    '|---|---|---|---|---|---|---|',
    ...lines,
  ].join('\n')
}

function markdown({ machine, settings, found, checks, torch }) {
  const { v, m, s, L, batchSize, heads } = setting
  return `# Online steps of last-token networks

${machineText(machine, torch)}

v = ${v}, m = ${m}, s = ${s}, L = ${L}, ${batchSize} fresh strings at every step, drawn on both sides; CNN with SGD, stack of attention (embedding 256, ${heads} heads) with Adam; ${settings.threads} ${settings.threads === 1 ? 'thread' : 'threads'}. Medians (range) of ${settings.rounds} rounds that take turns; a wall ratio is the median over rounds of ours over theirs in the same round, for the faster of PyTorch eager and compiled.

${table(found)}

${checks.map(({ network, width, layers, form, logit }) => `PyTorch's network (${network}, width ${width}, ${layers} layers, ${form}) on our weights, in float64: logits differ by ${logit.toExponential(1)} of the largest.`).join('\n')}
`
}

/** Returns the exit code. */
export async function lasttoken(args) {
  const { values, code } = optionsOf(
    'lasttoken',
    usage,
    {
      only: { type: 'string', default: Object.keys(steps).join(',') },
      check: { type: 'boolean', default: false },
      out: { type: 'string', default: join(here, 'results') },
    },
    args,
  )
  if (!values) return code
  const names = values.only.split(',')
  const unknown = names.find((name) => !Object.hasOwn(steps, name))
  if (unknown !== undefined) {
    say(`--only ${unknown}: expected some of ${Object.keys(steps).join(', ')}`)
    return 2
  }
  const settings = { ...values, timeout: 900 }
  const torch = torchOrSay(values.python)
  if (torch.reason && values.check) return 1
  return inFolder(async (folder) => {
    const path = join(folder, 'problem.json')
    writeFileSync(path, JSON.stringify(await makeProblem()))
    const checks = []
    for (const name of torch.command ? names : [])
      for (const form of formsOf(steps[name])) {
        const { network, width, layers } = steps[name]
        const options = { path, python: torch.command, peer, form, folder }
        checks.push(await checkPeer({ network, width, layers }, options))
        say(`the same network (${name}, ${form}): logits within ${checks.at(-1).logit.toExponential(1)}`)
      }
    if (values.check) return 0
    const machine = await quietMachine(values.force)
    if (!machine) return 1
    const found = []
    for (const name of names) {
      say(`${name} …`)
      const step = steps[name]
      const rows = await measureSides(sidesOf(step, { path, threads: settings.threads, torch }), settings)
      const [ours] = rows
      found.push({ name, ...step, rows, ratio: ratioOf({ ...step, rows }), drawing: ours.drawing })
    }
    const { threads, rounds } = settings
    const results = {
      ...{ machine, torch: torch.torch ?? null },
      ...{ settings: { threads, rounds }, setting, checks, found },
    }
    writeResults(values.out, 'lasttoken', results, markdown({ machine, settings, found, checks, torch }))
    return 0
  })
}
