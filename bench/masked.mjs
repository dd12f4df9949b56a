/**
 * @file `npm run bench -- masked`: training steps of the masked transformer of `text-diffusion`, ours beside PyTorch's, fresh windows
 * and masks at every step on both sides. Every side is a child process that waits; rounds take turns. PyTorch's network is checked to
 * be ours first, gradients too.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { machineText } from './lib/machine.mjs'
import { checkPeer, makeProblem, setting } from './lib/maskedText.mjs'
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
const peer = join(here, 'peers', 'masked_torch.py')

export const usage = `npm run bench -- masked [options]
  --check           only compare PyTorch's network with ours: logits and gradients of the same weights
  --no-compile      leave out PyTorch compiled
  --threads N       threads of every side (2)
  --python PATH     a Python with PyTorch (else TREELINE_PYTHON, else python3)
  --rounds N        rounds of every side (7)
  --out DIR         where the results go (bench/results)
  --force           measure although other programs are at work`

/** Steps in a round; the most that ours may take of the fastest of PyTorch's ways. */
const [count, mostOfTorch] = [16, 0.9]

const attentions = ['plain', 'sdpa']

/** Sides: ours and, with PyTorch, its ways. */
function sidesOf({ path, threads, torch, compiled }) {
  const env = { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) }
  const common = ['--problem', path, '--threads', String(threads)]
  const modes = compiled ? ['eager', 'compile'] : ['eager']
  const ways = modes.flatMap((mode) =>
    attentions.map((attention) => ({
      ...{ label: `PyTorch ${mode}, ${attention} attention`, command: torch.command },
      args: [peer, ...common, '--mode', mode, '--attention', attention],
    })),
  )
  return [
    {
      ...{ label: 'treeline', command: process.execPath },
      args: [join(here, 'maskedOurs.mjs'), ...common, '--count', String(count)],
    },
    ...(torch.command ? ways : []),
  ].map((side) => ({ ...side, env, count }))
}

/** Ours over the fastest other side, paired by rounds. */
function ratioOf([ours, ...others]) {
  if (ours?.label !== 'treeline' || others.length === 0) return null
  const fastest = others.reduce((a, b) => (b.median < a.median ? b : a))
  const wall = pairedRatio(ours, fastest)
  const processor = ours.processor === undefined ? null : ours.processor / fastest.processor
  return { label: fastest.label, wall, processor, most: mostOfTorch, met: wall <= mostOfTorch }
}

function markdown({ machine, settings, rows, ratio, checks, torch }) {
  const { v, d, width, heads, layers, batchSize } = setting
  const lines = rows.map(({ label, median, least, most, processor }) => {
    const isHeld = ratio?.label === label
    const cells = [
      ...[label, `${milliseconds(median)} (${milliseconds(least)}–${milliseconds(most)})`],
      processor === undefined ? '' : milliseconds(processor),
      isHeld ? `${ratio.wall.toFixed(2)} (${ratio.met ? 'at most' : 'ABOVE'} ${ratio.most})` : '',
      isHeld && ratio.processor !== null ? ratio.processor.toFixed(2) : '',
    ]
    return `| ${cells.join(' | ')} |`
  })
  return `# Training steps of a masked transformer

${machineText(machine, torch)}

${layers} layers of width ${width}, ${heads} heads, ${batchSize} windows of ${d} of ${v} symbols, drawn and masked anew at every step on both sides; AdamW, gradient clipped; ${settings.threads} ${settings.threads === 1 ? 'thread' : 'threads'}. Medians (range) of ${settings.rounds} rounds that take turns; a wall ratio is the median over rounds of ours over theirs in the same round, for the fastest of PyTorch's ways.

| | wall ms | processor ms | ours to it, wall | ours to it, processor |
|---|---|---|---|---|
${lines.join('\n')}

${checks.map(({ attention, logit, gradient }) => `PyTorch's network (${attention} attention) on our weights, in float64: logits differ by ${logit.toExponential(1)} of the largest, gradients by ${gradient.toExponential(1)}.`).join('\n')}
`
}

/** Returns the exit code. */
export async function masked(args) {
  const { values, code } = optionsOf(
    'masked',
    usage,
    {
      check: { type: 'boolean', default: false },
      'no-compile': { type: 'boolean', default: false },
      out: { type: 'string', default: join(here, 'results') },
    },
    args,
  )
  if (!values) return code
  const settings = { ...values, timeout: 900 }
  const torch = torchOrSay(values.python)
  if (torch.reason && values.check) return 1
  return inFolder(async (folder) => {
    const path = join(folder, 'problem.json')
    writeFileSync(path, JSON.stringify(await makeProblem()))
    const checks = []
    for (const attention of torch.command ? attentions : []) {
      checks.push(await checkPeer({ path, python: torch.command, peer, attention, folder }))
      const { logit, gradient } = checks.at(-1)
      say(
        `the same network (${attention}): logits within ${logit.toExponential(1)}, gradients within ${gradient.toExponential(1)}`,
      )
    }
    if (values.check) return 0
    const machine = await quietMachine(values.force)
    if (!machine) return 1
    const { threads, rounds } = settings
    const rows = await measureSides(
      sidesOf({ path, threads, torch, compiled: !values['no-compile'] }),
      settings,
    )
    const ratio = ratioOf(rows)
    const results = {
      machine,
      torch: torch.torch ?? null,
      settings: { threads, rounds },
      setting,
      checks,
      rows,
      ratio,
    }
    writeResults(values.out, 'masked', results, markdown({ machine, settings, rows, ratio, checks, torch }))
    return 0
  })
}
