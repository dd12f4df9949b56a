/** @file Facts about the machine that a timing must come with, and whether it is quiet. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds))

/** Seconds of work of all cores together since boot. */
export function busySeconds() {
  let milliseconds = 0
  for (const { times } of os.cpus()) milliseconds += times.user + times.nice + times.sys + times.irq
  return milliseconds / 1000
}

/** Seconds of work of a process so far, all its threads together; undefined where /proc does not tell. */
export function processSeconds(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return undefined
  }
}

/** How many cores are at work on average, over `seconds`. */
export async function busyCores(seconds = 2) {
  const [before, start] = [busySeconds(), performance.now()]
  await sleep(seconds)
  return (busySeconds() - before) / ((performance.now() - start) / 1000)
}

/** The vector instructions that decide which kernels run, from the narrowest; Linux only. */
function vectorInstructions() {
  try {
    const flags = new Set(
      readFileSync('/proc/cpuinfo', 'utf8')
        .match(/^flags\s*:(.*)$/m)?.[1]
        .trim()
        .split(/\s+/),
    )
    return ['avx', 'avx2', 'fma', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_tile'].filter((f) =>
      flags.has(f),
    )
  } catch {
    return []
  }
}

function commit() {
  try {
    const git = (...args) => execFileSync('git', args, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] })
    const hash = git('rev-parse', '--short', 'HEAD').toString().trim()
    return git('status', '--porcelain', '--', 'src').toString().trim() ? `${hash} with changes in src` : hash
  } catch {
    return null
  }
}

export function machineFacts() {
  const runtime = createRequire(import.meta.url)('onnxruntime-node/package.json')
  const own = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return {
    date: new Date().toISOString(),
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.cpus().length,
    vector: vectorInstructions(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    load: os.loadavg().map((x) => Number(x.toFixed(2))),
    node: process.version,
    onnxruntime: runtime.version,
    treeline: own.version,
    commit: commit(),
  }
}

/** The machine in one line, and whose PyTorch the other side has. */
export const machineText = (machine, torch) =>
  `${machine.cpu}, ${machine.cores} cores, ${machine.system}, ${machine.date}; commit ${machine.commit}, Node ${machine.node}, ONNX Runtime ${machine.onnxruntime}, PyTorch ${torch.torch ?? 'not found'}. ${machine.busyCores.toFixed(2)} cores busy with other programs before, load average ${machine.load.join(', ')}.`
