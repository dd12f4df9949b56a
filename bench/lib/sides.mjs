/** @file What benches of waiting child processes share: their options, rounds that take turns, the table, the files. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { busyCores, machineFacts, processSeconds, sleep } from './machine.mjs'
import { start } from './protocol.mjs'
import { findTorch } from './python.mjs'
import { median, milliseconds, summarize } from './report.mjs'

export const say = (text) => process.stderr.write(`${text}\n`)

/** The options' values, or the code to exit with once what there is to say has been said. */
export function optionsOf(name, usage, options, args) {
  let values
  try {
    ;({ values } = parseArgs({
      args,
      options: {
        ...options,
        threads: { type: 'string', default: '2' },
        python: { type: 'string', default: process.env.TREELINE_PYTHON || 'python3' },
        rounds: { type: 'string', default: '7' },
        force: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }))
  } catch (error) {
    say(`${error.message}\n(npm run bench -- ${name} --help lists the options)`)
    return { code: 2 }
  }
  if (values.help) {
    process.stdout.write(`${usage}\n`)
    return { code: 0 }
  }
  for (const key of ['threads', 'rounds']) {
    if (/^[1-9]\d*$/.test(values[key])) continue
    say(`--${key} ${values[key]}: expected a whole number from 1 on`)
    return { code: 2 }
  }
  return { values: { ...values, threads: Number(values.threads), rounds: Number(values.rounds) } }
}

/** Work in a folder that goes again. Returns its exit code; 1 where it fails, once it has been said why. */
export async function inFolder(work) {
  const folder = mkdtempSync(join(os.tmpdir(), 'treeline-bench-'))
  try {
    return await work(folder)
  } catch (error) {
    say(error.message)
    return 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A Python with PyTorch; where there is none, why is said. */
export function torchOrSay(python) {
  const torch = findTorch(python)
  if (torch.reason) say(`without PyTorch: ${torch.reason}`)
  return torch
}

/** Facts of a machine that may measure; undefined, once it has been said, where other programs keep it busy. */
export async function quietMachine(force) {
  const busy = await quietOrSay(force)
  return busy === undefined ? undefined : { ...machineFacts(), busyCores: busy }
}

/** Cores that other programs keep at work; undefined, once it has been said, where that forbids to measure. */
export async function quietOrSay(force) {
  const busy = await busyCores()
  if (busy <= 0.25 || force) return busy
  say(`other programs keep ${busy.toFixed(2)} cores at work: end them, or say --force`)
  return undefined
}

/**
 * Milliseconds a step of every side { label, task, command, args, env }, wall and processor time, over rounds that take turns. A round has
 * as many steps as the side's `count` says, or as fit into `seconds`. A side that says so has the share of its time that drawing
 * data takes. A side that does not start is left out, and it is said.
 */
export async function measureSides(sides, { rounds, env, timeout, seconds: wanted }) {
  const running = []
  for (const { label, task, command, args, count, env: own } of sides) {
    try {
      const server = await start(command, args, { ...env, ...own }, timeout)
      const side = { label, task, server, count, wall: [], processor: [], drawing: [] }
      if (count === undefined) {
        const { seconds, steps } = await server.run(3)
        side.count = Math.max(1, Math.round((wanted * steps) / seconds))
      }
      running.push(side)
    } catch (error) {
      say(`  ${label}: not compared (${error.message})`)
    }
  }
  for (let round = 0; round < rounds; round++)
    // there and back: whoever follows a busy neighbour does not always follow the same one
    for (const side of round % 2 ? running.toReversed() : running) {
      const before = processSeconds(side.server.pid)
      const { seconds, steps, drawing } = await side.server.run(side.count)
      if (drawing !== undefined) side.drawing.push(drawing)
      side.wall.push((1000 * seconds) / steps)
      if (before !== undefined)
        side.processor.push((1000 * (processSeconds(side.server.pid) - before)) / steps)
      await sleep(0.05)
    }
  return running.map(({ label, task, server, wall, processor, drawing }) => {
    const peakMegabytes = peakOf(server.pid)
    server.stop()
    const { version, setupSeconds, megabytes } = server.ready
    return {
      ...{
        label,
        ...(task && { task }),
        ...(version && { version }),
        setupSeconds,
        megabytes,
        ...(peakMegabytes && { peakMegabytes }),
        ...summarize(wall),
      },
      ...(processor.length && { processor: median(processor) }),
      ...(drawing.length && { drawing: median(drawing) }),
    }
  })
}

/** The most that was ever resident of a process, in megabytes; undefined where the system does not tell. */
function peakOf(pid) {
  try {
    const found = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return found ? (1024 * Number(found[1])) / 1e6 : undefined
  } catch {
    return undefined
  }
}

/** The median over rounds of a row's time over another's in the same round: what a machine whose speed drifts still tells. */
export const pairedRatio = (row, other) => median(row.rounds.map((t, i) => t / other.rounds[i]))

/** A table of rows; with the label of a peer, their times over its. */
export function sidesTable(rows, peer) {
  const other = rows.find(({ label }) => label === peer)
  const line = (row) => {
    const { label, median: m, least, most, processor, setupSeconds, megabytes } = row
    const ratio = other ? ` ${pairedRatio(row, other).toFixed(2)} |` : ''
    return `| ${label} | ${milliseconds(m)} (${milliseconds(least)}–${milliseconds(most)}) |${ratio} ${processor === undefined ? '' : milliseconds(processor)} | ${setupSeconds.toFixed(2)} | ${megabytes.toFixed(0)} |`
  }
  const ratio = other ? [` to ${peer} |`, '---|'] : ['', '']
  return [
    `| | ms |${ratio[0]} processor ms | ready in s | resident MB |`,
    `|---|---|${ratio[1]}---|---|---|`,
    ...rows.map(line),
  ].join('\n')
}

/** Write NAME-TIME.json and .md into a folder, and say the text. */
export function writeResults(out, name, { machine, ...results }, text) {
  mkdirSync(out, { recursive: true })
  const stem = join(out, `${name}-${machine.date.slice(0, 19).replaceAll(':', '')}`)
  const all = { format: `treeline-bench-${name}/1`, machine, ...results }
  writeFileSync(`${stem}.json`, `${JSON.stringify(all, null, 1)}\n`)
  writeFileSync(`${stem}.md`, text)
  process.stdout.write(`${text}\n${relative(process.cwd(), stem)}.md and .json\n`)
}
