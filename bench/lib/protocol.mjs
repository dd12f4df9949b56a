/**
 * @file The line protocol of the timed programs, on standard input and output, one JSON document a line. First
 * { ready: true, … }, then for each `run K` one { seconds, steps, loss } (loss of the last step), until `quit` or the end.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

/**
 * Serve a step. `call(i)` does the i-th `stepsPerCall` training steps and returns a function that reads the last loss. A run
 * of K steps is rounded up to whole calls, and says how many steps it was.
 */
export async function serve(info, call, stepsPerCall = 1) {
  const started = performance.now()
  let count = 0
  const run = async (steps) => {
    const calls = Math.ceil(steps / stepsPerCall)
    let loss
    const start = performance.now()
    for (let k = 0; k < calls; k++) loss = await call(count++)
    return { seconds: (performance.now() - start) / 1000, steps: calls * stepsPerCall, loss: loss() }
  }
  const firstLoss = (await run(1)).loss
  await run(3)
  print({ ready: true, ...info, firstLoss, warmSeconds: (performance.now() - started) / 1000 })
  for await (const line of createInterface({ input: process.stdin })) {
    const [word, number] = line.trim().split(/\s+/)
    if (word === 'quit') break
    if (word === 'run' && /^[1-9]\d*$/.test(number ?? '')) print(await run(Number(number)))
    else print({ error: `${JSON.stringify(line)}: expected "run K" with K at least 1, or "quit"` })
  }
  process.exit(0)
}

/**
 * A training loop that is held between orders: it calls `onLook` at the steps of `looks`, and goes on when as many steps are ordered.
 * The first `count` steps are warm-up; `facts()` goes with the word that it is ready, `more()` with the answer to each order.
 */
export function holdTraining(count, facts, more = () => ({})) {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  let [left, done, begun] = [count, 0, 0]
  async function onLook() {
    left -= count
    done += count
    if (left > 0) return true
    const seconds = (performance.now() - begun) / 1000
    print(begun === 0 ? { ready: true, ...facts() } : { seconds, steps: done, loss: 0, ...more(seconds) })
    for (;;) {
      const { value = 'quit', done: isOver } = await lines.next()
      const [word, number] = value.trim().split(/\s+/)
      if (isOver || word === 'quit') return false
      if (word === 'run' && /^[1-9]\d*$/.test(number ?? '')) {
        left = Math.ceil(Number(number) / count) * count
        done = 0
        begun = performance.now()
        return true
      }
      print({ error: `${JSON.stringify(value)}: expected "run K" with K at least 1, or "quit"` })
    }
  }
  const steps = 10_000 * count
  return { steps, looks: Array.from({ length: 10_000 }, (_, i) => (i + 1) * count), onLook }
}

/** Seconds since `started`, and what is resident, in megabytes. */
export const setupFacts = (started) => ({
  setupSeconds: (performance.now() - started) / 1000,
  megabytes: process.memoryUsage().rss / 1e6,
})

/** Start a timed program. Returns { ready, pid, run(K), stop() }; promises fail with the program's last words. */
export async function start(command, args, env, secondsToStart) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
  const answers = []
  const waiting = []
  let words = ''
  let ended
  const settle = () => {
    while (waiting.length > 0 && (answers.length > 0 || ended)) {
      const { resolve, reject } = waiting.shift()
      if (answers.length === 0) reject(ended)
      else {
        const answer = answers.shift()
        if (answer.error) reject(new Error(answer.error))
        else resolve(answer)
      }
    }
  }
  const end = (reason) => {
    const lines = words.split('\n').filter((line) => line.trim())
    const last = lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1)
    ended ??= new Error(last ? `${reason}: ${last.trim()}` : reason)
    settle()
  }
  child.stderr.on('data', (chunk) => {
    words = (words + chunk).slice(-8000)
  })
  child.stdin.on('error', () => undefined)
  child.on('error', (error) => end(error.message))
  child.on('close', (code, signal) => end(`ended with ${signal ?? `exit code ${code}`}`))
  createInterface({ input: child.stdout }).on('line', (line) => {
    try {
      answers.push(JSON.parse(line))
      settle()
    } catch {
      words += `\n${line}`
    }
  })
  const answer = () =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject })
      settle()
    })
  const stop = () => {
    child.stdin.end('quit\n')
    const timer = setTimeout(() => child.kill('SIGKILL'), 2000)
    child.once('close', () => clearTimeout(timer))
  }
  const late = setTimeout(() => {
    end(`not ready after ${secondsToStart} s`)
    child.kill('SIGKILL')
  }, secondsToStart * 1000)
  try {
    const ready = await answer()
    return {
      ready,
      pid: child.pid,
      stop,
      run: (steps) => {
        child.stdin.write(`run ${steps}\n`)
        return answer()
      },
    }
  } finally {
    clearTimeout(late)
  }
}
