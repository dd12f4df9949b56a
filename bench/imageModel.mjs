/**
 * @file `npm run bench -- imagemodel`: one prediction of noise by a network with the shape of the public CIFAR-10 DDPM and random
 * weights, ours beside diffusers in PyTorch, and the memory of both. They are compared on the same images first.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeImageModel } from './lib/imageModel.mjs'
import { machineText } from './lib/machine.mjs'
import { findTorch, has } from './lib/python.mjs'
import { milliseconds } from './lib/report.mjs'
import {
  inFolder,
  measureSides,
  optionsOf,
  pairedRatio,
  quietMachine,
  say,
  writeResults,
} from './lib/sides.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))

export const usage = `npm run bench -- imagemodel [options]
  --batches LIST    images in one call (1,16)
  --threads N       threads of every side (2)
  --python PATH     a Python with PyTorch and diffusers (else TREELINE_PYTHON, else python3)
  --rounds N        rounds of every side (7)
  --out DIR         where the results go (bench/results)
  --force           measure although other programs are at work`

/** The project's targets: times of PyTorch's, and megabytes at the height of one image. */
const [mostTime, mostMegabytes] = [1, 1200]

const floats = (path) => new Float32Array(readFileSync(path).buffer.slice(0))

/** The largest difference of two predictions. */
function compare(sides, folder) {
  const [ours, theirs] = sides.map(({ command, args }, i) => {
    const path = join(folder, `output-${i}`)
    execFileSync(command, [...args, '--output', path], { stdio: ['ignore', 'ignore', 'inherit'] })
    return floats(path)
  })
  return ours.reduce((most, value, i) => Math.max(most, Math.abs(value - theirs[i])), 0)
}

function sidesOf({ batch, model, threads, torch }) {
  const common = ['--model', model, '--batch', String(batch), '--threads', String(threads)]
  const env = { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads), HF_HUB_OFFLINE: '1' }
  const ours = { label: 'treeline', command: process.execPath, args: [join(here, 'imageModelOurs.mjs')] }
  const theirs = {
    label: 'diffusers',
    command: torch.command,
    args: [join(here, 'peers', 'image_torch.py')],
  }
  return [ours, ...(torch.command ? [theirs] : [])].map((side) => ({
    ...side,
    args: [...side.args, ...common],
    env,
    count: batch === 1 ? 4 : 1,
  }))
}

function markdown({ machine, settings, found, difference, torch }) {
  const lines = found.flatMap(({ batch, rows }) =>
    rows.map((row) => {
      const other = rows.find(({ label }) => label !== 'treeline')
      const ratio = other && row !== other ? pairedRatio(row, other) : undefined
      const judged =
        ratio === undefined
          ? ''
          : `${ratio.toFixed(2)} (${ratio <= mostTime ? 'at most' : 'ABOVE'} ${mostTime})`
      const { label, median, least, most, processor, peakMegabytes: peak } = row
      const memory =
        label === 'treeline' && batch === 1
          ? ` (${peak <= mostMegabytes ? 'at most' : 'ABOVE'} ${mostMegabytes})`
          : ''
      return `| ${batch} | ${label} | ${milliseconds(median)} (${milliseconds(least)}–${milliseconds(most)}) | ${processor === undefined ? '' : milliseconds(processor)} | ${judged} | ${peak === undefined ? '' : `${peak.toFixed(0)}${memory}`} |`
    }),
  )
  return `# A diffusion model of images: one prediction

${machineText(machine, torch)}

\`UNet2DModel\`, 35.7 M parameters, images 3 × 32 × 32, random weights; ${settings.threads} ${settings.threads === 1 ? 'thread' : 'threads'}. Medians (range) of ${settings.rounds} rounds that take turns; the ratio is the median over rounds of ours over theirs in the same round.

| images | | wall ms | processor ms | ours to it | peak MB |
|---|---|---|---|---|---|
${lines.join('\n')}
${difference === undefined ? '' : `\nPredictions of the same images differ by at most ${difference.toExponential(1)}.\n`}`
}

/** Returns the exit code. */
export async function imagemodel(args) {
  const { values, code } = optionsOf(
    'imagemodel',
    usage,
    {
      batches: { type: 'string', default: '1,16' },
      out: { type: 'string', default: join(here, 'results') },
    },
    args,
  )
  if (!values) return code
  const batches = values.batches.split(',').map(Number)
  if (!batches.every((n) => Number.isSafeInteger(n) && n >= 1 && n <= 256)) {
    say(`--batches ${values.batches}: expected whole numbers from 1 to 256, such as 1,16`)
    return 2
  }
  const settings = { ...values, timeout: 900 }
  const torch = findTorch(values.python)
  if (torch.command && !has(torch.command, 'diffusers')) torch.reason = 'it has no diffusers'
  if (torch.reason) {
    say(`without diffusers: ${torch.reason}`)
    torch.command = undefined
  }
  return inFolder(async (folder) => {
    const model = join(folder, 'model')
    writeImageModel(model)
    const machine = await quietMachine(settings.force)
    if (!machine) return 1
    const common = { model, threads: settings.threads, torch }
    const difference = torch.command ? compare(sidesOf({ ...common, batch: 1 }), folder) : undefined
    const found = []
    for (const batch of batches) {
      say(`${batch} ${batch === 1 ? 'image' : 'images'} …`)
      found.push({ batch, rows: await measureSides(sidesOf({ ...common, batch }), settings) })
    }
    const { threads, rounds } = settings
    const results = { machine, torch: torch.torch ?? null, settings: { threads, rounds }, difference, found }
    writeResults(settings.out, 'imagemodel', results, markdown({ ...results, torch }))
    return 0
  })
}
