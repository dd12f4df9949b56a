/**
 * @file `npm run bench -- engine`: our training steps against PyTorch's and jax-js's, on the same cores. Every side is a child
 * process that is warm and waits; rounds take turns between them, so that a change in the machine's speed touches all.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { busyCores, busySeconds, machineFacts, processSeconds, sleep } from './lib/machine.mjs'
import { problems } from './lib/problems.mjs'
import { start } from './lib/protocol.mjs'
import { findTorch } from './lib/python.mjs'
import { markdown, milliseconds, ratios, summarize, table } from './lib/report.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))

export const usage = `npm run bench -- engine [options]
  --threads 1,2     numbers of threads to time, one after the other (1 and all cores)
  --only NAMES      ${problems.map((p) => p.name).join(', ')};
                    a network's name alone means all its widths
  --python PATH     a Python with PyTorch (else TREELINE_PYTHON, else python3)
  --peers NAMES     out of eager, compiled, rewritten, jax, none (all)
  --rounds N        rounds of every side (7)
  --seconds S       length of a round (1)
  --out DIR         where the results go (bench/results)
  --force           measure although other programs are at work`

class Usage extends Error {}

const list = (text) => text.split(',').map((s) => s.trim())

function wholeNumber(name, text) {
  if (/^[1-9]\d*$/.test(text)) return Number(text)
  throw new Usage(`--${name}: expected an integer >= 1, got "${text}"`)
}

function settingsFrom(args) {
  let values
  try {
    ;({ values } = parseArgs({
      args,
      options: {
        threads: { type: 'string' },
        only: { type: 'string' },
        python: { type: 'string' },
        peers: { type: 'string', default: 'eager,compiled,rewritten,jax' },
        rounds: { type: 'string', default: '7' },
        seconds: { type: 'string', default: '1' },
        out: { type: 'string', default: join(here, 'results') },
        force: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }))
  } catch (error) {
    throw new Usage(error.message)
  }
  const known = new Set(problems.flatMap((p) => [p.name, p.network]))
  const only = values.only ? list(values.only) : []
  for (const name of only)
    if (!known.has(name)) throw new Usage(`--only ${name}: expected ${[...known].join(', ')}`)
  const peers = values.peers === 'none' ? [] : list(values.peers)
  for (const name of peers)
    if (!['eager', 'compiled', 'rewritten', 'jax'].includes(name))
      throw new Usage(`--peers ${name}: expected eager, compiled, rewritten, jax, or none`)
  const seconds = Number(values.seconds)
  if (!(seconds > 0 && seconds <= 60)) throw new Usage(`--seconds: expected 0 to 60, got "${values.seconds}"`)
  const threads = values.threads ? list(values.threads) : [...new Set(['1', String(os.cpus().length)])]
  return {
    ...values,
    peers,
    seconds,
    rounds: wholeNumber('rounds', values.rounds),
    threads: threads.map((n) => wholeNumber('threads', n)),
    chosen: problems.filter((p) => only.length === 0 || only.includes(p.name) || only.includes(p.network)),
  }
}

/** The sides of one row: label, command, arguments. */
function sides(problem, threads, settings, torch, jax) {
  const common = ['--network', problem.network, '--width', String(problem.width)]
  const wanted = problem.peers.filter((p) => settings.peers.includes(p.rewritten ? 'rewritten' : p.label))
  const list = [
    {
      label: 'treeline',
      command: process.execPath,
      args: [
        join(here, 'ours.mjs'),
        ...[...common, '--threads', String(threads), '--steps-per-call', String(problem.stepsPerCall ?? 1)],
      ],
    },
  ]
  for (const peer of torch.command ? wanted : [])
    list.push({
      label: peer.label,
      command: torch.command,
      args: [
        join(here, 'peers', 'torch_steps.py'),
        ...[...common, '--threads', String(threads), '--mode', peer.mode, '--variant', peer.variant],
      ],
    })
  // jax-js runs on one thread in Node: it has nothing to say about more.
  if (jax && problem.jax && threads === 1 && settings.peers.includes('jax'))
    list.push({ label: 'jax-js', command: process.execPath, args: [join(here, 'jax.mjs'), ...common] })
  return list
}

const say = (text) => process.stderr.write(`${text}\n`)

/** Losses of single steps with random targets scatter: the least of the rounds must be below the first, the last not far above. */
const learns = ({ firstLoss, losses }) =>
  losses.every(Number.isFinite) && Math.min(...losses) < firstLoss && losses.at(-1) < 1.05 * firstLoss

async function measure(problem, threads, settings, torch, jax) {
  const env = { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) }
  const timings = {}
  const running = []
  for (const side of sides(problem, threads, settings, torch, jax)) {
    try {
      const server = await start(side.command, side.args, env, 600)
      const first = await server.run(3)
      const steps = Math.max(1, Math.round((settings.seconds * first.steps) / first.seconds))
      running.push({ ...side, server, steps, rounds: [], losses: [], firstLoss: server.ready.firstLoss })
    } catch (error) {
      timings[side.label] = { error: error.message }
    }
  }
  let disturbed = 0
  for (let round = -1; round < settings.rounds; round++)
    for (const side of running.filter((s) => !s.error)) {
      const elsewhere = () => busySeconds() - (processSeconds(side.server.pid) ?? 0)
      const before = elsewhere()
      try {
        const { seconds, steps, loss } = await side.server.run(side.steps)
        const own = processSeconds(side.server.pid) === undefined ? threads : 0
        const others = (elsewhere() - before) / seconds - own
        // The first round only warms up and sets the length of the others.
        if (round < 0) side.steps = Math.max(1, Math.round((settings.seconds * steps) / seconds))
        else {
          side.rounds.push((1000 * seconds) / steps)
          if (others > 0.3) disturbed++
        }
        side.losses.push(loss)
      } catch (error) {
        side.error = error.message
      }
      await sleep(0.05)
    }
  for (const side of running) {
    side.server.stop()
    const { variant, setupSeconds, warmSeconds, parameters } = side.server.ready
    if (side.error) timings[side.label] = { error: side.error }
    else if (!learns(side))
      timings[side.label] = {
        error: `the loss did not fall (${side.firstLoss} to ${side.losses.join(', ')})`,
      }
    else
      timings[side.label] = {
        ...summarize(side.rounds),
        ...{ steps: side.steps, firstLoss: side.firstLoss, lastLoss: side.losses.at(-1) },
        ...{ variant, setupSeconds, warmSeconds, parameters },
      }
  }
  const measurements = running.length * settings.rounds
  const { name, network, width, most, peers } = problem
  return {
    ...{ name, network, width, threads, most, timings, disturbed, measurements },
    peers: peers.map(({ label, mode, variant, rewritten = false }) => ({ label, mode, variant, rewritten })),
    ratios: ratios(timings, peers),
  }
}

/** Waits for a quiet machine. Returns busy cores, or null when it did not become quiet and --force is absent. */
async function quiet(force) {
  let busy = 0
  for (let tries = 0; tries < 10; tries++) {
    busy = await busyCores()
    if (busy < 0.25) return busy
    if (tries === 0) say(`waiting for a quiet machine (${busy.toFixed(2)} cores are at work)`)
  }
  say(
    `other programs keep ${busy.toFixed(2)} cores at work (load average ${os.loadavg()[0].toFixed(2)}): timings would be wrong`,
  )
  return force ? busy : null
}

function jaxVersion() {
  const path = join(here, 'node_modules', '@jax-js', 'jax', 'package.json')
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).version : null
}

/** Returns the exit code. */
export async function engine(args) {
  let settings
  try {
    settings = settingsFrom(args)
  } catch (error) {
    if (!(error instanceof Usage)) throw error
    say(`${error.message}\n(npm run bench -- engine --help lists the options)`)
    return 2
  }
  if (settings.help) {
    process.stdout.write(`${usage}\n`)
    return 0
  }
  const wantsTorch = settings.peers.some((p) => p !== 'jax')
  const torch = wantsTorch ? findTorch(settings.python) : {}
  if (torch.reason) {
    say(`no PyTorch to compare with (${torch.reason}); bench/README.md says how to make one`)
    if (torch.named) return 2
  } else if (torch.torch && !torch.torch.startsWith('2.9'))
    say(`PyTorch ${torch.torch}: the project's targets are against 2.9`)
  const jax = jaxVersion()
  if (!jax && settings.peers.includes('jax'))
    say('jax-js is not installed (npm install --prefix bench): not compared')
  const facts = { ...machineFacts(), torch: torch.torch ?? null, python: torch.python ?? null, jax }
  const busy = await quiet(settings.force)
  if (busy === null) {
    say('end them, or say --force (the results will say that the machine was busy)')
    return 1
  }
  facts.busyCores = busy

  const rows = []
  for (const threads of settings.threads)
    for (const problem of settings.chosen) {
      say(`${problem.name}, ${threads} ${threads === 1 ? 'thread' : 'threads'} …`)
      const row = await measure(problem, threads, settings, torch, jax)
      rows.push(row)
      for (const [label, t] of Object.entries(row.timings)) if (t.error) say(`  ${label} failed: ${t.error}`)
      for (const [label, t] of Object.entries(row.timings))
        if (t.median) say(`  ${label} ${milliseconds(t.median)} ms`)
      if (row.disturbed > row.measurements / 5)
        say(`  other programs were at work in ${row.disturbed} measurements`)
    }

  const { rounds, seconds } = settings
  const document = { format: 'treeline-bench-engine/1', machine: facts, settings: { rounds, seconds }, rows }
  const text = markdown(document)
  mkdirSync(settings.out, { recursive: true })
  const stem = join(settings.out, `engine-${facts.date.slice(0, 19).replaceAll(':', '')}`)
  writeFileSync(`${stem}.json`, `${JSON.stringify(document, null, 1)}\n`)
  writeFileSync(`${stem}.md`, text)
  for (const threads of settings.threads)
    process.stdout.write(
      `\n${threads} ${threads === 1 ? 'thread' : 'threads'}, ms a step\n${table(rows.filter((r) => r.threads === threads))}\n`,
    )
  process.stdout.write(`\n${relative(process.cwd(), stem)}.md and .json\n`)
  return rows.some((row) => row.timings.treeline?.error) ? 1 : 0
}
