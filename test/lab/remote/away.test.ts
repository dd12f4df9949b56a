/**
 * @file Work on other machines, as a user meets it, by a fake Slurm and by commands on this machine: every executor gives the same
 * rows, and nothing is lost or done twice, whoever is killed. Real Slurm and Redis: `npm run test:cluster`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { toyPath } from '../sweepHelp.ts'

const main = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url))
const fake = fileURLToPath(new URL('./fakeSlurm.mjs', import.meta.url))
let root = ''
let env: NodeJS.ProcessEnv = {}
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'treeline-away-'))
  for (const name of ['bin', 'slurm']) mkdirSync(join(root, name))
  for (const name of ['sbatch', 'squeue', 'scancel', 'scontrol']) symlinkSync(fake, join(root, 'bin', name))
  env = {
    ...process.env,
    PATH: `${join(root, 'bin')}:${process.env['PATH']}`,
    FAKE_SLURM: join(root, 'slurm'),
  }
})
afterEach(() => rmSync(root, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}
function start(
  words: readonly string[],
  more: NodeJS.ProcessEnv = {},
): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [main, ...words], { cwd: root, env: { ...env, ...more } })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk) => (out += chunk))
  child.stderr.on('data', (chunk) => (err += chunk))
  return { child, ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err }))) }
}
const treeline = (...words: string[]) => start(words).ended
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 50))
}

/** What a run says, without when, where and how fast. */
function said(folder: string): unknown {
  const { timing, machine, ...rest } = JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8'))
  return rest
}
const runs = (out: string): string[] =>
  existsSync(join(root, out, 'walk'))
    ? readdirSync(join(root, out, 'walk'))
        .sort()
        .map((name) => join(root, out, 'walk', name))
    : []

const sweepFile = (text: string): string => {
  writeFileSync(join(root, 's.yaml'), `experiment: ${toyPath}\n${text}\n`)
  return 's.yaml'
}
const command = ['--executor', 'command', '--command', '{command}']
const slurm = ['--executor', 'slurm']
const calls = (): string[] =>
  readFileSync(join(root, 'slurm', 'calls'), 'utf8')
    .split('\n')
    .filter(Boolean)

describe.each([
  ['slurm', slurm],
  ['command', command],
])('%s', (_, executor) => {
  it('gives the rows and the findings of this machine, bit for bit', async () => {
    const words = ['run', 'plateaus', '--preset', 'tiny', '--quiet']
    const here = await treeline(...words, '--out', 'here', '--threads', '1')
    expect(here).toMatchObject({ code: 0 })
    const away = await treeline(...words, '--out', 'away', ...executor)
    expect(away).toMatchObject({ code: 0, err: '' })
    const [name] = readdirSync(join(root, 'here/plateaus'))
    expect(said(join(root, 'away/plateaus', name!))).toEqual(said(join(root, 'here/plateaus', name!)))
    const kept = (out: string): string[] =>
      readFileSync(join(root, out, 'plateaus', name!, 'jobs.jsonl'), 'utf8')
        .split('\n')
        .sort()
    expect(kept('away')).toEqual(kept('here'))
  })

  it('does a sweep as here, failures with their reason', async () => {
    const file = sweepFile('grid: { a: [1, 2, 3], mood: [well, failing] }')
    expect(await treeline('sweep', file, '--out', 'here', '--quiet')).toMatchObject({ code: 1 })
    const away = await treeline('sweep', file, '--out', 'away', ...executor)
    expect(away.code).toBe(1)
    expect(away.err.match(/step 1: the loss is NaN/g)!.length).toBeGreaterThanOrEqual(3)
    expect(away.out).toContain('3 done · 3 failed')
    const finished = (out: string) => runs(out).filter((folder) => existsSync(join(folder, 'done')))
    expect(finished('away').map(said)).toEqual(finished('here').map(said))
  })
})

describe('slurm', () => {
  it('submits arrays below the controller’s limit, and asks seldom', async () => {
    const file = sweepFile('grid: { a: [1, 2, 3, 4, 5, 6, 7] }')
    const { code, err } = await treeline(
      'sweep',
      file,
      ...slurm,
      '--task-minutes',
      '0',
      '--slurm',
      'partition=cpu,time=5',
    )
    expect([code, err]).toEqual([0, expect.stringContaining('submitted 3 tasks as')])
    const sbatch = calls().filter((line) => line.startsWith('sbatch --'))
    expect(sbatch.map((line) => /--array=(\S+)/.exec(line)![1])).toEqual(['0-2', '0-2', '0-0'])
    expect(sbatch[0]).toContain('--partition=cpu --time=5')
    expect(calls().filter((line) => line.startsWith('squeue')).length).toBeLessThan(3)
    expect(calls().some((line) => line.startsWith('sacct'))).toBe(false)
  })

  it('is left and attached to again; a killed submitter loses and repeats nothing', async () => {
    const file = sweepFile('grid: { a: [1, 2] }\nset: { steps: 40, pause: 100 }')
    const words = ['sweep', file, ...slurm, '--task-minutes', '1']
    const left = await treeline(...words, '--detach')
    expect(left).toMatchObject({ code: 0, out: expect.stringContaining('attaches again') })
    const { child, ended } = start(words)
    await until(() => runs('runs').length > 0)
    const twice = await treeline(...words)
    expect(twice.code).toBe(1)
    expect(twice.err).toMatch(/in use by process/)
    child.kill('SIGKILL')
    await ended
    expect(await treeline(...words)).toMatchObject({ code: 0 })
    for (const folder of runs('runs'))
      expect(JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8')).timing.sessions).toBe(1)
    expect(calls().filter((line) => line.startsWith('sbatch --'))).toHaveLength(1)
  })

  it('puts a task that is told of its end back into the queue, and it goes on', async () => {
    const file = sweepFile('set: { steps: 30, pause: 100 }')
    const { ended } = start(['sweep', file, ...slurm])
    const task = () => readdirSync(join(root, 'slurm')).find((name) => /^\d+_0$/.test(name))
    for (let turn = 0; turn < 2; turn++) {
      const sessions = () =>
        runs('runs')[0] && existsSync(join(runs('runs')[0]!, 'sessions.json'))
          ? JSON.parse(readFileSync(join(runs('runs')[0]!, 'sessions.json'), 'utf8')).length
          : 0
      await until(() => sessions() === turn + 1 && existsSync(join(runs('runs')[0]!, 'state.safetensors')))
      process.kill(JSON.parse(readFileSync(join(root, 'slurm', task()!), 'utf8')).pid, 'SIGUSR1')
    }
    expect(await ended).toMatchObject({ code: 0 })
    expect(JSON.parse(readFileSync(join(runs('runs')[0]!, 'summary.json'), 'utf8')).timing.sessions).toBe(3)
  })

  it('cancels what it has submitted', async () => {
    const file = sweepFile('grid: { a: [1, 2] }\nset: { steps: 1000, pause: 100 }')
    await treeline('sweep', file, ...slurm, '--detach')
    expect(await treeline('sweep', file, ...slurm, '--cancel')).toMatchObject({
      code: 0,
      out: '1 submissions ended\n',
    })
    expect(readdirSync(join(root, 'slurm')).filter((name) => /^\d+_\d+$/.test(name))).toEqual([])
  })

  it('says in one line what is wrong', async () => {
    const file = sweepFile('grid: { a: [1] }')
    const refusal = async (words: readonly string[], more: NodeJS.ProcessEnv = {}) => {
      const { code, err } = await start(['sweep', file, '--quiet', ...words], more).ended
      expect(code).not.toBe(0)
      return err
    }
    expect(await refusal([...slurm, '--slurm', 'partiton=cpu'])).toMatch(
      /^treeline: .*did you mean "partition"\?.*\n$/,
    )
    expect(await refusal([...slurm, '--slurm', 'array=1-3'])).toMatch(/Treeline sets it itself/)
    expect(await refusal(slurm, { FAKE_SLURM_REFUSE: 'invalid partition specified: gpu' })).toContain(
      'sbatch refused: invalid partition specified: gpu (nothing was submitted)',
    )
    expect(await refusal(slurm, { PATH: '/usr/nowhere' })).toContain('there is no scontrol on this machine')
    expect(await refusal(['--slurm', 'time=5'])).toContain('belongs to --executor slurm')
    expect(await refusal(['--executor', 'slrm'])).toContain('did you mean "slurm"?')
    expect(await refusal(['--executor', 'command'])).toContain('expected --command TEMPLATE')
    expect(await refusal(['--executor', 'command', '--command', 'qsub x'])).toContain(
      'expected {command} in it',
    )
    expect(await refusal(['--executor', 'command', '--command', 'nowhere {command}'])).toContain(
      'exit code 127',
    )
  })
})
