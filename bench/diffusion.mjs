/**
 * @file `npm run bench -- diffusion`: training steps and sampling of the tree U-Net, ours beside PyTorch's, in the published
 * setting. Every side is a child process that waits; rounds take turns. PyTorch's network is checked to be ours first.
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
  say,
  torchOrSay,
  writeResults,
} from './lib/sides.mjs'
import { checkPeer, makeProblem, setting } from './lib/treeDiffusion.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const peer = join(here, 'peers', 'diffusion_torch.py')

export const usage = `npm run bench -- diffusion [options]
  --widths LIST     widths of the training step (64,256,1024)
  --sample LIST     widths of the sampling of ${setting.samples} strings (64); "none" for no sampling
  --check           only compare PyTorch's network with ours: logits and loss of the same weights
  --threads N       threads of every side (2)
  --python PATH     a Python with PyTorch (else TREELINE_PYTHON, else python3)
  --rounds N        rounds of every side (7)
  --out DIR         where the results go (bench/results)
  --force           measure although other programs are at work`

const eager = 'PyTorch eager'
const rewritten = 'PyTorch reshapes, compiled'
const ways = [
  { label: eager, args: ['--form', 'conv'] },
  { label: 'PyTorch compiled', args: ['--form', 'conv', '--mode', 'compile'] },
  { label: rewritten, args: ['--form', 'matmul', '--mode', 'compile'] },
]

/** The project's targets: the most that ours may take of PyTorch's time. */
const targets = {
  train: { 64: { [eager]: 0.5 }, 256: { [eager]: 0.5 }, 1024: { [eager]: 0.85 } },
  sample: { 64: { [eager]: 0.3 } },
}
const mostOfRewritten = 1.1

/** Widths of an option; undefined, once it has been said, when it is no list of them. */
function widthsOf(name, text) {
  if (text === 'none') return []
  const widths = text.split(',').map(Number)
  if (widths.every((width) => Number.isSafeInteger(width) && width >= 1)) return widths
  say(`--${name} ${text}: expected whole numbers from 1 on, such as 64,256`)
  return undefined
}

/** Steps in a round: a few seconds; multiples of what a call of ours does. */
const stepsOf = ({ task, width }) => (task === 'sample' ? 1 : 8 * Math.max(2, Math.ceil(2e5 / width ** 2)))

/** Sides of a step: ours and, with PyTorch, its ways. */
function sidesOf({ task, width, path, threads, torch }) {
  const common = ['--problem', path, '--task', task, '--width', String(width), '--threads', String(threads)]
  const count = stepsOf({ task, width })
  const own = [...common, '--count', String(count)]
  const env = { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) }
  return [
    { label: 'treeline', command: process.execPath, args: [join(here, 'diffusionOurs.mjs'), ...own] },
    ...(torch.command
      ? ways.map(({ label, args }) => ({ label, command: torch.command, args: [peer, ...common, ...args] }))
      : []),
  ].map((side) => ({ ...side, task: `${task} ${width}`, env, count }))
}

/** Ours over each other side: medians over rounds of the time in the same round, and processor time over processor time. */
function ratiosOf({ task, width, rows }) {
  const [ours, ...others] = rows
  if (ours?.label !== 'treeline') return []
  return others.map((row) => {
    const isRewritten = task === 'train' && row.label === rewritten
    const target = isRewritten ? mostOfRewritten : targets[task][width]?.[row.label]
    return {
      label: row.label,
      wall: pairedRatio(ours, row),
      processor: ours.processor === undefined ? null : ours.processor / row.processor,
      ...(target !== undefined && { most: target, met: pairedRatio(ours, row) <= target }),
    }
  })
}

function table(found) {
  const lines = found.flatMap(({ task, width, rows, ratios }) =>
    rows.map(({ label, median, least, most, processor }) => {
      const ratio = ratios.find((one) => one.label === label)
      const limit = ratio?.most === undefined ? '' : ` (${ratio.met ? 'at most' : 'ABOVE'} ${ratio.most})`
      const what = task === 'train' ? `step, width ${width}` : `${setting.samples} strings, width ${width}`
      const cells = [
        ...[what, label, `${milliseconds(median)} (${milliseconds(least)}–${milliseconds(most)})`],
        processor === undefined ? '' : milliseconds(processor),
        ratio ? `${ratio.wall.toFixed(2)}${limit}` : '',
        typeof ratio?.processor === 'number' ? ratio.processor.toFixed(2) : '',
      ]
      return `| ${cells.join(' | ')} |`
    }),
  )
  return [
    '| | | wall ms | processor ms | ours to it, wall | ours to it, processor |',
    '|---|---|---|---|---|---|',
    ...lines,
  ].join('\n')
}

function markdown({ machine, settings, found, checks, torch }) {
  const { v, m, s, L, P, batchSize, T, learningRate } = setting
  return `# The tree U-Net as a denoiser: training steps and sampling

${machineText(machine, torch)}

v = ${v}, m = ${m}, s = ${s}, L = ${L}, P = ${P}, batch ${batchSize}, T = ${T}, uniform noise, β from 0.001 to 0.1, Adam with rate ${learningRate}; ${settings.threads} ${settings.threads === 1 ? 'thread' : 'threads'}. Medians (range) of ${settings.rounds} rounds that take turns; a wall ratio is the median over rounds of ours over theirs in the same round. Steps contain the draw of the batch and of its noise.

${table(found)}

${checks.map(({ form, logit, loss }) => `PyTorch's network (${form}) on our weights, in float64: logits differ by ${logit.toExponential(1)} of the largest, the loss by ${loss.toExponential(1)} of itself.`).join('\n')}
`
}

/** Returns the exit code. */
export async function diffusion(args) {
  const { values, code } = optionsOf(
    'diffusion',
    usage,
    {
      widths: { type: 'string', default: '64,256,1024' },
      sample: { type: 'string', default: '64' },
      check: { type: 'boolean', default: false },
      out: { type: 'string', default: join(here, 'results') },
    },
    args,
  )
  if (!values) return code
  const [widths, sampled] = [widthsOf('widths', values.widths), widthsOf('sample', values.sample)]
  if (!widths || !sampled) return 2
  const settings = { ...values, timeout: 900 }
  const torch = torchOrSay(values.python)
  if (torch.reason && values.check) return 1
  return inFolder(async (folder) => {
    const [problem, path] = [await makeProblem(), join(folder, 'problem.json')]
    writeFileSync(path, JSON.stringify(problem))
    const checks = []
    for (const form of torch.command ? ['conv', 'matmul'] : []) {
      checks.push(await checkPeer({ problem, path, python: torch.command, peer, form, folder }))
      const { logit, loss } = checks.at(-1)
      say(
        `the same network (${form}): logits within ${logit.toExponential(1)}, loss within ${loss.toExponential(1)}`,
      )
    }
    if (values.check) return 0
    const machine = await quietMachine(values.force)
    if (!machine) return 1
    const found = []
    const steps = [
      ...widths.map((width) => ({ task: 'train', width })),
      ...sampled.map((width) => ({ task: 'sample', width })),
    ]
    for (const step of steps) {
      say(`${step.task}, width ${step.width} …`)
      const sides = sidesOf({ ...step, path, threads: settings.threads, torch })
      const rows = await measureSides(sides, settings)
      found.push({ ...step, rows, ratios: ratiosOf({ ...step, rows }) })
    }
    const { threads, rounds } = settings
    const results = {
      machine,
      torch: torch.torch ?? null,
      settings: { threads, rounds },
      setting,
      checks,
      found,
    }
    writeResults(values.out, 'diffusion', results, markdown({ machine, settings, found, checks, torch }))
    return 0
  })
}
