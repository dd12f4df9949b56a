/** @file Runs: complete folders, skip, resume, interruption, locks, damaged folders. */
import { spawn } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  composeConfig,
  executeRun,
  findRunFolders,
  isInterruption,
  loadRun,
  loadRuns,
  lockFolder,
  readMetrics,
} from '../../src/lab/index.ts'
import { makeToy } from './toy.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'treeline-lab-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const config = composeConfig(makeToy(), {})
const quiet = () => ({ root, threads: 1 })
const contents = (folder: string) => ({
  metrics: readFileSync(join(folder, 'metrics.jsonl'), 'utf8'),
  state: readFileSync(join(folder, 'state.safetensors')),
  result: loadRun(folder).result,
})

describe('a run', () => {
  it('leaves a complete folder, done written last', async () => {
    const lines: string[] = []
    const progress: number[] = []
    const { folder, summary, skipped, resumed } = await executeRun(makeToy(), config, {
      ...quiet(),
      onLog: (line) => lines.push(line),
      onProgress: ({ done }) => progress.push(done),
    })
    expect({ skipped, resumed }).toEqual({ skipped: false, resumed: false })
    expect(folder).toBe(join(root, 'toy', summary.hash.slice(0, 12)))
    expect(readdirSync(folder).sort()).toEqual([
      'config.json',
      'done',
      'log.txt',
      'metrics.jsonl',
      'points.json',
      'sessions.json',
      'state.safetensors',
      'summary.json',
    ])
    const file = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'))
    expect(file).toMatchObject({
      experiment: 'toy',
      version: 1,
      hash: summary.hash,
      treeline: '0.1.0',
      config,
    })
    const written = JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8'))
    expect(written).toEqual(summary)
    expect(written.result.nothing).toBeNull()
    expect(written.verdicts).toHaveLength(1)
    expect(written.timing).toMatchObject({ sessions: 1, threads: 1 })
    expect(readMetrics(join(folder, 'metrics.jsonl')).map(({ step }) => step)).toEqual(progress)
    expect(progress).toHaveLength(20)
    expect(lines).toEqual(['all steps taken'])
    expect(readFileSync(join(folder, 'log.txt'), 'utf8')).toMatch(
      /started\n.*all steps taken\n.*finished: final value/,
    )
  })

  it('is skipped when finished, and done again with fresh', async () => {
    const ran: string[] = []
    const toy = makeToy({ ran })
    const first = await executeRun(toy, config, quiet())
    const second = await executeRun(toy, config, quiet())
    expect(second).toEqual({ ...first, skipped: true })
    const third = await executeRun(toy, config, { ...quiet(), fresh: true })
    expect(third.skipped).toBe(false)
    expect(ran).toEqual(['fresh', 'fresh'])
  })

  it('resumes after a crash at any step with the same metrics, state and result', async () => {
    const whole = contents((await executeRun(makeToy(), config, { root: join(root, 'whole') })).folder)
    for (const cut of [1, 4, 5, 6, 13, 20]) {
      const ran: string[] = []
      const crash = makeToy({
        ran,
        at: (step) => {
          if (step === cut) throw new Error('power cut')
        },
      })
      const options = { root: join(root, `cut-${cut}`), threads: 1 }
      await expect(executeRun(crash, config, options)).rejects.toThrow('power cut')
      const [folder] = findRunFolders(options.root)
      expect(existsSync(join(folder!, 'done'))).toBe(false)
      expect(readFileSync(join(folder!, 'log.txt'), 'utf8')).toContain('failed: Error: power cut')
      // what a kill in the middle of a write leaves behind
      appendFileSync(join(folder!, 'metrics.jsonl'), '{"step": 99, "w')
      writeFileSync(join(folder!, 'state.safetensors.1a2b3c4d.tmp'), 'half')
      const outcome = await executeRun(makeToy({ ran }), config, options)
      expect(contents(folder!)).toEqual(whole)
      expect(ran).toEqual(['fresh', cut > 5 ? 'resumed' : 'fresh'])
      expect(outcome.summary.timing.sessions).toBe(2)
      expect(existsSync(join(folder!, 'state.safetensors.1a2b3c4d.tmp'))).toBe(false)
    }
  })

  it('stops on an abort with the state saved and says how to go on', async () => {
    const controller = new AbortController()
    const toy = makeToy({ at: (step) => step === 7 && controller.abort() })
    const whole = contents((await executeRun(makeToy(), config, { root: join(root, 'whole') })).folder)
    const stopped = executeRun(toy, config, { ...quiet(), signal: controller.signal })
    const error = await stopped.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(isInterruption(error)).toBe(true)
    expect((error as Error).message).toContain(`resume with: npx treeline run toy --out ${root}`)
    const [folder] = findRunFolders(join(root, 'toy'))
    expect(existsSync(join(folder!, 'lock'))).toBe(false)
    const { resumed } = await executeRun(makeToy(), config, quiet())
    expect(resumed).toBe(true)
    expect(contents(folder!)).toEqual(whole)
  })

  it('refuses a resumed run that never said where it goes on', async () => {
    const crash = makeToy({
      at: (step) => {
        if (step === 8) throw new Error('cut')
      },
    })
    await expect(executeRun(crash, config, quiet())).rejects.toThrow('cut')
    const forgetful = {
      ...makeToy(),
      run: async (context: { metric: (m: { step: number }) => void }) => {
        context.metric({ step: 1 })
        return {}
      },
    }
    await expect(executeRun(forgetful, config, quiet())).rejects.toThrow(/must call resumeFrom/)
  })

  it("refuses to write outside its folder or over the lab's own files", async () => {
    for (const name of ['../x.json', 'config.json', 'a.txt']) {
      const bad = {
        ...makeToy(),
        run: async (context: { write: (n: string, v: unknown) => void }) => {
          context.write(name, 1)
          return {}
        },
      }
      await expect(executeRun(bad, config, { ...quiet(), fresh: true })).rejects.toThrow(
        /write: expected a name/,
      )
    }
  })

  it('says what to do when the folder cannot be made', async () => {
    writeFileSync(join(root, 'file'), '')
    await expect(executeRun(makeToy(), config, { root: join(root, 'file') })).rejects.toThrow(
      /cannot make .*a part of the path is a file/,
    )
  })
})

describe('the lock', () => {
  it('refuses a second worker while the first lives, and lets go afterwards', async () => {
    const folder = join(root, 'run')
    mkdirSync(folder)
    const unlock = lockFolder(folder)
    expect(() => lockFolder(folder)).toThrow(new RegExp(`in use by process ${process.pid} on`))
    unlock()
    lockFolder(folder)()
    expect(readdirSync(folder)).toEqual([])
  })

  it('is taken over from a dead process, from a pid used again, and from a half-written file grown old', async () => {
    const folder = join(root, 'run')
    mkdirSync(folder)
    const child = spawn(process.execPath, ['-e', ''])
    await new Promise((resolve) => child.on('exit', resolve))
    const lock = (owner: object) => writeFileSync(join(folder, 'lock'), JSON.stringify(owner))
    lock({ pid: child.pid, host: hostname(), birth: null, since: '', token: 'x' })
    lockFolder(folder)()
    if (process.platform === 'linux') {
      lock({ pid: process.pid, host: hostname(), birth: '1', since: '', token: 'x' })
      lockFolder(folder)()
    }
    lock({ pid: child.pid, host: 'another-machine', birth: null, since: 'yesterday', token: 'x' })
    expect(() => lockFolder(folder)).toThrow(/on another-machine \(since yesterday\).*delete/)
    writeFileSync(join(folder, 'lock'), '{"pid"')
    expect(() => lockFolder(folder)).toThrow(/in use by another process/)
  })

  it('keeps two runs of the same config apart', async () => {
    let inner: Promise<unknown> | undefined
    const toy = makeToy({
      at: (step) => {
        if (step === 3) inner = executeRun(makeToy(), config, quiet()).catch((error: Error) => error.message)
      },
    })
    await executeRun(toy, config, quiet())
    expect(await inner).toMatch(/in use by process/)
  })
})

describe('reading runs', () => {
  it('finds finished runs below a folder and says which are not', async () => {
    await executeRun(makeToy(), config, quiet())
    await executeRun(makeToy(), composeConfig(makeToy(), { set: ['seed=1'] }), quiet())
    const crash = makeToy({
      at: () => {
        throw new Error('cut')
      },
    })
    await executeRun(crash, composeConfig(makeToy(), { set: ['seed=2'] }), quiet()).catch(() => {})
    const unfinished: string[] = []
    expect(loadRuns([root], (folder) => unfinished.push(folder))).toHaveLength(2)
    expect(unfinished).toHaveLength(1)
    expect(() => loadRuns(unfinished)).toThrow(/is not finished; run it again to resume/)
  })

  it('explains an absent, an empty and a damaged folder', async () => {
    expect(() => loadRuns([join(root, 'nowhere')])).toThrow(/there is no such folder/)
    writeFileSync(join(root, 'plain'), '')
    expect(() => loadRuns([join(root, 'plain', 'x')])).toThrow(/there is no such folder/)
    expect(() => loadRuns([root])).toThrow(/no runs here/)
    const { folder } = await executeRun(makeToy(), config, quiet())
    writeFileSync(join(folder, 'metrics.jsonl'), '{"step":1}\nrubbish\n{"step":3}\n')
    expect(() => loadRun(folder)).toThrow(/metrics\.jsonl:2: expected a JSON object with a step, got rubbish/)
    writeFileSync(join(folder, 'summary.json'), '{"half":')
    expect(() => loadRun(folder)).toThrow(/summary\.json: expected a JSON object; it is damaged/)
    await expect(executeRun(makeToy(), config, quiet())).rejects.toThrow(/--fresh/)
    writeFileSync(join(folder, 'config.json'), '[]')
    expect(() => loadRun(folder)).toThrow(/config\.json: expected a JSON object/)
    const { skipped } = await executeRun(makeToy(), config, { ...quiet(), fresh: true })
    expect(skipped).toBe(false)
  })
})
