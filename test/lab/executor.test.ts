/** @file Carrying out plans: states, failures, waiting for others, processes that die, interruption. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import {
  type Ending,
  type Executor,
  executors,
  findExecutor,
  findRunFolders,
  isFinished,
  loadRuns,
  localExecutor,
  lockFolder,
  lockHolder,
  type RunOrder,
  runSweep,
  type SweepOptions,
  type SweepRun,
  workDone,
} from '../../src/lab/index.ts'
import { hereExecutor, planFile, testFolder, toyPath } from './sweepHelp.ts'

const { path: root, file } = testFolder()
const plan = async (text: string) =>
  (await planFile(file('s.yaml', `experiment: ${toyPath}\n${text}\n`), root())).runs
const run = async (text: string, options: Partial<SweepOptions> = {}) =>
  await runSweep(await plan(text), {
    executor: hereExecutor,
    root: root(),
    parallel: 2,
    threads: 1,
    ...options,
  })
const states = ({ runs }: { runs: readonly SweepRun[] }) => runs.map(({ state }) => state)
const logOf = ({ planned }: SweepRun) => readFileSync(join(planned.folder, 'log.txt'), 'utf8')

/** An executor that only writes down what it was asked, and ends as it is told. */
function scripted(
  end: (order: RunOrder, start: number) => Ending | Promise<Ending>,
): Executor & { orders: RunOrder[] } {
  const orders: RunOrder[] = []
  return {
    name: 'scripted',
    description: '',
    parallel: () => 1,
    orders,
    start(order) {
      orders.push(order)
      return { interrupt: () => {}, ended: Promise.resolve().then(() => end(order, orders.length)) }
    },
  }
}

describe('a sweep', () => {
  it('does all runs once, tells every state, and skips what is done', async () => {
    const seen: string[] = []
    const first = await run('grid: { a: [1, 2, 3] }', {
      onState: ({ planned, state }) => seen.push(`${planned.label} ${state}`),
    })
    expect(states(first)).toEqual(['finished', 'finished', 'finished'])
    expect(first.interrupted).toBe(false)
    expect(seen.filter((line) => line.startsWith('a=1'))).toEqual(['a=1 running', 'a=1 finished'])
    expect(first.runs.every(({ seconds }) => typeof seconds === 'number')).toBe(true)
    const again = await run('grid: { a: [1, 2, 3, 4] }')
    expect(states(again)).toEqual(['skipped', 'skipped', 'skipped', 'finished'])
    expect(workDone(again.runs)).toEqual({ done: 4, total: 4 })
  })

  it('notes a failure with its reason and goes on; the log is kept, the next sweep tries again', async () => {
    const text = 'grid: { a: [1, 2], mood: [well, failing, throwing] }'
    const outcome = await run(text)
    expect(states(outcome)).toEqual(['finished', 'failed', 'failed', 'finished', 'failed', 'failed'])
    // a module's own mistake has its place
    expect(outcome.runs[1]!.message).toMatch(/^test\/lab\/sweepToy\.mjs:\d+: .*step 1: the loss is NaN$/)
    expect(logOf(outcome.runs[1]!)).toMatch(/failed: TreelineError: .*step 1: the loss is NaN/)
    expect(workDone(outcome.runs).done).toBe(6)
    expect(states(await run(text))).toEqual(['skipped', 'failed', 'failed', 'skipped', 'failed', 'failed'])
  })

  it('never has more at work than it may', async () => {
    let [now, most] = [0, 0]
    const executor: Executor = {
      ...hereExecutor,
      start(order, events) {
        most = Math.max(most, ++now)
        const handle = hereExecutor.start(order, events)
        return { ...handle, ended: handle.ended.finally(() => now--) }
      },
    }
    expect(states(await run('grid: { a: [1, 2, 3, 4, 5, 6, 7] }', { executor, parallel: 3 }))).toHaveLength(7)
    expect(most).toBe(3)
    await expect(run('', { parallel: 0 })).rejects.toThrow('parallel: expected a number >= 1, got 0')
  })

  it('waits for a process that works in a folder, and takes what it made', async () => {
    const [first, second] = await plan('grid: { a: [1, 2] }')
    await runSweep([first!], { executor: hereExecutor, root: root(), parallel: 1, threads: 1 })
    // as if it were still being made
    rmSync(join(first!.folder, 'done'))
    const unlock = lockFolder(first!.folder)
    expect(lockHolder(first!.folder)).toMatchObject({
      here: true,
      who: expect.stringContaining(`process ${process.pid}`),
    })
    const seen: string[] = []
    const outcome = await run('grid: { a: [1, 2] }', {
      onState({ planned, state, message }) {
        seen.push(`${planned.label} ${state}`)
        if (planned.hash === first!.hash && state === 'busy')
          expect(message).toContain(`in use by process ${process.pid}`)
        if (planned.hash !== second!.hash || state !== 'finished') return
        writeFileSync(join(first!.folder, 'done'), 'x')
        unlock()
      },
    })
    expect(states(outcome)).toEqual(['finished', 'finished'])
    expect(seen).toEqual(['a=1 busy', 'a=2 running', 'a=2 finished', 'a=1 finished'])
  })

  it('does not wait for a process of another machine', async () => {
    const [only] = await plan('grid: { a: [1] }')
    await run('grid: { a: [1], mood: [failing] }')
    writeFileSync(
      file(`walk/${only!.hash.slice(0, 12)}/lock`, ''),
      JSON.stringify({ pid: 1, host: 'elsewhere', birth: null, since: 'today', token: 'x' }),
    )
    const { runs } = await run('grid: { a: [1] }')
    expect(runs[0]).toMatchObject({
      state: 'failed',
      message: expect.stringContaining('in use by process 1 on elsewhere'),
    })
  })

  it('a run ended from outside goes on, three times at most', async () => {
    const executor = scripted(() => ({ kind: 'killed', message: 'was ended by SIGKILL' }))
    const { runs } = await run('grid: { a: [1, 2] }', { executor })
    expect(executor.orders.map(({ config }) => config['a']).sort()).toEqual([1, 1, 1, 2, 2, 2])
    expect(runs.map(({ state, message }) => [state, message])).toEqual([
      ['failed', 'was ended by SIGKILL'],
      ['failed', 'was ended by SIGKILL'],
    ])
    expect(executor.orders[0]).toEqual({
      experiment: 'walk',
      module: expect.stringContaining('sweepToy.mjs'),
      config: expect.objectContaining({ seed: 0, a: 1 }),
      root: root(),
      folder: runs[0]!.planned.folder,
      threads: 1,
    })
  })

  it('believes the folder, not the executor', async () => {
    const { runs } = await run('grid: { a: [1] }', { executor: scripted(() => ({ kind: 'finished' })) })
    expect(runs[0]).toMatchObject({ state: 'failed', message: 'it stopped before it was finished' })
    const [folder] = (await run('grid: { a: [2] }')).runs.map(({ planned }) => planned.folder)
    writeFileSync(join(folder!, 'summary.json'), '{')
    const damaged = await run('grid: { a: [2] }')
    expect(damaged.runs[0]).toMatchObject({
      state: 'failed',
      message: expect.stringContaining('it is damaged'),
    })
  })

  it('stops when interrupted: nothing new begins, what is at work is asked to stop', async () => {
    const controller = new AbortController()
    let begun = 0
    const outcome = await run('grid: { a: [1, 2, 3, 4] }\nset: { steps: 50, pause: 1 }', {
      signal: controller.signal,
      onProgress: ({ progress }) => {
        if (progress!.done === 3 && ++begun === 2) controller.abort()
      },
    })
    expect(outcome.interrupted).toBe(true)
    expect(states(outcome).sort()).toEqual(['interrupted', 'interrupted', 'waiting', 'waiting'])
    expect(findRunFolders(root())).toHaveLength(2)
    const after = await run('grid: { a: [1, 2, 3, 4] }\nset: { steps: 50, pause: 0 }')
    expect(states(after)).toEqual(['finished', 'finished', 'finished', 'finished'])
  })

  it('weighs runs, and parts of them', () => {
    const [a, b, c] = [1, 2, 3].map((weight) => ({
      weight,
      planned: undefined as never,
      state: 'waiting' as const,
    }))
    const runs: SweepRun[] = [
      { ...a!, state: 'skipped' },
      { ...b!, state: 'running', progress: { done: 1, total: 4 } },
      { ...c!, state: 'interrupted', progress: { done: 1, total: 4 } },
    ]
    expect(workDone(runs)).toEqual({ done: 1.5, total: 6 })
  })
})

describe('the table of executors', () => {
  it('finds by name, and names the nearest', () => {
    expect(executors.map(({ name }) => name)).toEqual(['local', 'slurm', 'command', 'redis'])
    const local = findExecutor('local') as Executor
    expect(local.parallel(1)).toBeGreaterThanOrEqual(1)
    expect(local.parallel(1024)).toBe(1)
    expect(() => findExecutor('lokal')).toThrow('there is no such executor: did you mean "local"?')
  })
})

describe('the local executor', () => {
  const executor = localExecutor(fileURLToPath(new URL('../../dist/lab/sweep/child.js', import.meta.url)))
  const local = (text: string, options: Partial<SweepOptions> = {}) => run(text, { executor, ...options })

  it('runs in other processes, with the same result as here', async () => {
    const progress: number[] = []
    const logs: string[] = []
    const outcome = await local('grid: { a: [1, 2, 3] }', {
      onProgress: (each) => progress.push(each.progress!.done),
      onLog: (_, line) => logs.push(line),
    })
    expect(states(outcome)).toEqual(['finished', 'finished', 'finished'])
    expect(progress).toContain(5)
    expect(logs.filter((line) => line === 'walking from 0')).toHaveLength(3)
    const results = () => loadRuns([root()]).map(({ hash, result }) => [hash, result])
    const apart = results()
    for (const folder of findRunFolders(root())) rmSync(folder, { recursive: true })
    await run('grid: { a: [1, 2, 3] }')
    expect(results()).toEqual(apart)
  })

  it('keeps reason and last words of those that fail or die, and starts those that were killed again', async () => {
    const { runs } = await local('grid: { mood: [well, failing, throwing, dying, unlucky] }')
    expect(runs.map(({ state, message }) => [state, message])).toEqual([
      ['finished', undefined],
      ['failed', expect.stringMatching(/^test\/lab\/sweepToy\.mjs:\d+: step 1: the loss is NaN$/)],
      ['failed', expect.stringMatching(/^test\/lab\/sweepToy\.mjs:\d+: a mistake in two lines$/)],
      ['failed', 'the process of this run ended with exit code 7'],
      ['finished', undefined],
    ])
    expect(logOf(runs[1]!)).toMatch(/failed: TreelineError: .*step 1/)
    expect(logOf(runs[3]!)).toContain('ended with exit code 7; it said last:\nout of luck\n')
    expect(logOf(runs[4]!)).toMatch(/was ended by SIGKILL\n.*resumed\n/)
  })

  it('keeps its processes from run to run, replaces one that dies, and leaves none behind', async () => {
    const { runs } = await local('grid: { a: [1, 2, 3, 4], mood: [well, unlucky] }', { parallel: 1 })
    expect(states({ runs })).toEqual(Array(8).fill('finished'))
    const processes = new Set<string>()
    for (const run of runs)
      for (const [, pid] of logOf(run).matchAll(/walking in process (\d+)/g)) processes.add(pid!)
    // the first, and one for each that died
    expect(processes.size).toBe(5)
    for (const pid of processes) expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH')
  })

  it('says when a process cannot even begin', async () => {
    const { runs } = await local('grid: { a: [1] }', { executor: localExecutor(join(root(), 'nowhere.js')) })
    expect(runs[0]).toMatchObject({ state: 'failed', message: expect.stringContaining('exit code 1') })
  })

  it('passes interruption on, and the runs keep what they have', async () => {
    const controller = new AbortController()
    const outcome = await local('grid: { a: [1, 2] }\nset: { steps: 1000, pause: 5 }', {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    })
    expect(outcome.interrupted).toBe(true)
    const begun = outcome.runs.filter(({ state }) => state === 'interrupted')
    expect(begun.length).toBeGreaterThan(0)
    for (const { planned } of begun) {
      expect(isFinished(planned.folder)).toBe(false)
      if (existsSync(planned.folder)) expect(existsSync(join(planned.folder, 'lock'))).toBe(false)
    }
  })
})
