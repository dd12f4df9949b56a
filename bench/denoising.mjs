/**
 * @file `npm run bench -- denoising`: training steps of the perceptron of `image-memorization`, ours beside PyTorch's, fresh times and
 * noise at every step on both sides. Every side is a child process that waits; rounds take turns. That PyTorch's network is ours, its
 * gradients too, is a test (test/nn/networks.test.ts).
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
const peer = join(here, 'peers', 'denoising_torch.py')

export const usage = `npm run bench -- denoising [options]
  --no-compile      leave out PyTorch compiled
  --threads N       threads of every side (2)
  --python PATH     a Python with PyTorch (else TREELINE_PYTHON, else python3)
  --rounds N        rounds of every side (7)
  --out DIR         where the results go (bench/results)
  --force           measure although other programs are at work`

/** Steps in a round; the most that ours may take of the fastest of PyTorch's ways. */
const [count, mostOfTorch] = [200, 0.9]

const setting = { P: 128, size: 196, width: 256, layers: 3, time: 64, batchSize: 64, learningRate: 1e-3 }

/** Sizes, ᾱ of T = 1000 times, and images of noise: what a step costs does not depend on them. */
async function makeProblem() {
  const { parseScheduler } = await import('../dist/diffusion/index.js')
  const { random } = await import('../dist/tensor/index.js')
  const { alphaBar } = parseScheduler({ _class_name: 'DDIMScheduler', prediction_type: 'sample' }, 'bench')
  const pixels = random.sampleNormal(random.key(1), setting.P * setting.size)
  const images = Array.from({ length: setting.P }, (_, i) => [
    ...pixels.slice(i * setting.size, (i + 1) * setting.size),
  ])
  return { ...setting, alphaBar: [...alphaBar], images }
}

/** Sides: ours and, with PyTorch, its ways. */
function sidesOf({ path, threads, torch, compiled }) {
  const env = { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) }
  const common = ['--problem', path, '--threads', String(threads)]
  const modes = ['eager', 'fused', ...(compiled ? ['compile'] : [])]
  const ours = {
    ...{ label: 'treeline', command: process.execPath },
    args: [join(here, 'denoisingOurs.mjs'), ...common, '--count', String(count)],
  }
  const ways = modes.map((mode) => ({
    ...{ label: `PyTorch, ${mode}`, command: torch.command },
    args: [peer, ...common, '--mode', mode],
  }))
  return [ours, ...(torch.command ? ways : [])].map((side) => ({ ...side, env, count }))
}

/** Ours over each other side: walls paired by rounds, processor time over processor time. */
const ratiosOf = ([ours, ...others]) =>
  others.map((row) => ({
    label: row.label,
    wall: pairedRatio(ours, row),
    processor: ours.processor === undefined ? null : ours.processor / row.processor,
  }))

function markdown({ machine, settings, rows, ratios, torch }) {
  const fastest = ratios.toSorted((a, b) => b.wall - a.wall)[0]
  const lines = rows.map(({ label, median, least, most, processor }) => {
    const ratio = ratios.find((one) => one.label === label)
    const judged =
      ratio === fastest && ratio ? ` (${ratio.wall <= mostOfTorch ? 'at most' : 'ABOVE'} ${mostOfTorch})` : ''
    const cells = [
      ...[label, `${milliseconds(median)} (${milliseconds(least)}–${milliseconds(most)})`],
      processor === undefined ? '' : milliseconds(processor),
      ratio ? `${ratio.wall.toFixed(2)}${judged}` : '',
      typeof ratio?.processor === 'number' ? ratio.processor.toFixed(2) : '',
    ]
    return `| ${cells.join(' | ')} |`
  })
  return `# Training steps of a denoising perceptron

${machineText(machine, torch)}

${setting.layers} residual layers of width ${setting.width}, ${setting.batchSize} images of ${setting.size} pixels, times and noise drawn anew at every step on both sides; Adam (PyTorch: eager as it comes, fused with its fused update); ${settings.threads} ${settings.threads === 1 ? 'thread' : 'threads'}. Medians (range) of ${settings.rounds} rounds that take turns; a wall ratio is the median over rounds of ours over theirs in the same round.

| | wall ms | processor ms | ours to it, wall | ours to it, processor |
|---|---|---|---|---|
${lines.join('\n')}
`
}

/** Returns the exit code. */
export async function denoising(args) {
  const { values, code } = optionsOf(
    'denoising',
    usage,
    {
      'no-compile': { type: 'boolean', default: false },
      out: { type: 'string', default: join(here, 'results') },
    },
    args,
  )
  if (!values) return code
  const settings = { ...values, timeout: 900 }
  const torch = torchOrSay(values.python)
  return inFolder(async (folder) => {
    const path = join(folder, 'problem.json')
    writeFileSync(path, JSON.stringify(await makeProblem()))
    const machine = await quietMachine(values.force)
    if (!machine) return 1
    const { threads, rounds } = settings
    const rows = await measureSides(
      sidesOf({ path, threads, torch, compiled: !values['no-compile'] }),
      settings,
    )
    const ratios = ratiosOf(rows)
    const results = {
      machine,
      torch: torch.torch ?? null,
      settings: { threads, rounds },
      setting,
      rows,
      ratios,
    }
    writeResults(values.out, 'denoising', results, markdown({ ...results, torch }))
    return 0
  })
}
