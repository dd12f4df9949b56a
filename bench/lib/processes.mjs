/**
 * @file Runs a whole program and measures it from outside: wall time, processor time, and the most memory it ever had. Linux
 * tells memory in /proc, GNU time knows the kernel's own record; elsewhere only time is measured.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'

/** Milliseconds between looks at memory. */
const LOOK = 15

const read = (path) => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** A process and all that descend from it. */
function family(pid) {
  const children = read(`/proc/${pid}/task/${pid}/children`).trim()
  return [pid, ...(children ? children.split(' ').flatMap(family) : [])]
}

const kilobytes = (status, field) =>
  Number(status.match(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm'))?.[1] ?? 0)

/** Bytes now, summed over the processes: private and shared memory of their own (`own`), and all that is resident. */
function memoryOf(pids) {
  let [own, resident, high] = [0, 0, 0]
  for (const pid of pids) {
    const status = read(`/proc/${pid}/status`)
    own += kilobytes(status, 'RssAnon') + kilobytes(status, 'RssShmem')
    resident += kilobytes(status, 'VmRSS')
    high = Math.max(high, kilobytes(status, 'VmHWM'))
  }
  return { own: 1024 * own, resident: 1024 * resident, high: 1024 * high }
}

/** GNU time, that reports the kernel's record of a child; the shell's builtin of this name and BSD's cannot. */
function gnuTime() {
  const path = '/usr/bin/time'
  return existsSync(path) && os.platform() === 'linux' ? path : null
}

/**
 * Run `command` to its end. Returns { seconds, processorSeconds, peakBytes, ownPeakBytes, looks }: `peakBytes` is the
 * largest resident set of one process, file pages that it maps included; `ownPeakBytes` the largest sum of anonymous and
 * shared memory of it and its children, seen every few milliseconds. What cannot be measured here is null. Rejects with the program's
 * last words when it fails.
 */
export function measureProcess(command, args, { env = {}, cwd, secondsAtMost = 3600 } = {}) {
  const time = gnuTime()
  const folder = mkdtempSync(join(os.tmpdir(), 'treeline-bench-'))
  const record = join(folder, 'time')
  const [program, words] = time
    ? [time, ['-q', '-f', '%M %U %S', '-o', record, command, ...args]]
    : [command, args]
  return new Promise((resolve, reject) => {
    const start = performance.now()
    const child = spawn(program, words, {
      ...{ env: { ...process.env, ...env }, cwd, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
    })
    let [words8k, own, high, looks] = ['', 0, 0, 0]
    const keep = (chunk) => {
      words8k = (words8k + chunk).slice(-8000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    const timer = setInterval(() => {
      // GNU time itself has a megabyte: it is left out
      const pids = family(child.pid).slice(time ? 1 : 0)
      const now = memoryOf(pids)
      if (now.resident === 0) return
      looks++
      own = Math.max(own, now.own)
      high = Math.max(high, now.high)
    }, LOOK)
    const kill = () => {
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {}
    }
    const late = setTimeout(kill, 1000 * secondsAtMost)
    const interrupted = () => {
      kill()
      process.exit(130)
    }
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, interrupted)
    let ended
    const settle = (error, code, signal) => {
      if (ended) return
      ended = true
      clearInterval(timer)
      clearTimeout(late)
      for (const name of ['SIGINT', 'SIGTERM']) process.off(name, interrupted)
      const [peak, user, system] = read(record).trim().split('\n').at(-1).split(' ').map(Number)
      rmSync(folder, { recursive: true, force: true })
      if (error || code !== 0) {
        const last = words8k.trim().split('\n').filter(Boolean)
        const said = last.findLast((line) => /error/i.test(line)) ?? last.at(-1) ?? ''
        reject(new Error(error?.message ?? `${signal ?? `exit code ${code}`}: ${said.trim()}`))
        return
      }
      const seconds = (exited - start) / 1000
      const peakBytes = Math.max(high, Number.isFinite(peak) ? 1024 * peak : 0)
      resolve({
        seconds,
        processorSeconds: Number.isFinite(user + system) ? user + system : null,
        peakBytes: peakBytes || null,
        ownPeakBytes: looks > 0 ? own : null,
        looks,
        output: words8k,
      })
    }
    let exited
    child.on('error', (error) => settle(error))
    child.on('exit', () => {
      exited = performance.now()
    })
    child.on('close', (code, signal) => settle(undefined, code, signal))
  })
}
