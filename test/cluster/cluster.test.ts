/**
 * @file Real Slurm and real Redis on this machine: the same numbers as here, and what is killed loses nothing. Part of CI where
 * they can be installed; `npm run test:cluster`. What is not there is left out, and said.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { toyPath } from '../lab/sweepHelp.ts'
import { end, hasRedis, hasSlurm, openRedis, openSlurm, until } from './machines.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
let root = ''
let env: NodeJS.ProcessEnv = process.env
let slurm: Awaited<ReturnType<typeof openSlurm>> | undefined
let redis: Awaited<ReturnType<typeof openRedis>> | undefined
beforeAll(async () => {
  for (const [name, is] of Object.entries({ Slurm: hasSlurm, Redis: hasRedis }))
    if (!is) console.log(`there is no ${name} here: its tests are left out`)
  root = mkdtempSync(join(tmpdir(), 'treeline-cluster-'))
  if (hasSlurm) slurm = await openSlurm(join(root, 'slurm'))
  if (slurm) env = slurm.env
  if (hasRedis) redis = await openRedis(join(root, 'redis'))
})
afterAll(async () => {
  await slurm?.close()
  await redis?.close()
  rmSync(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}
function start(...words: string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [main, ...words], { cwd: root, env })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk) => (out += chunk))
  child.stderr.on('data', (chunk) => (err += chunk))
  return { child, ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err }))) }
}
const treeline = (...words: string[]) => start(...words).ended
const worker = (...words: string[]): ChildProcess =>
  start('worker', redis!.url, '--modules', '/', ...words).child

/** What runs say, without when, where and how fast; of studies also every row as it was kept. */
function said(out: string, experiment: string): unknown {
  const folders = readdirSync(join(root, out, experiment))
    .sort()
    .map((name) => join(root, out, experiment, name))
  return folders.map((folder) => {
    const { timing, machine, ...rest } = JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8'))
    const jobs = join(folder, 'jobs.jsonl')
    return [rest, existsSync(jobs) ? readFileSync(jobs, 'utf8').split('\n').sort() : []]
  })
}
const sessions = (out: string): number[] =>
  readdirSync(join(root, out, 'walk')).map(
    (name) => JSON.parse(readFileSync(join(root, out, 'walk', name, 'summary.json'), 'utf8')).timing.sessions,
  )
const sweep = (name: string, text: string): string => {
  writeFileSync(join(root, name), `experiment: ${toyPath}\n${text}\n`)
  return name
}

const words = ['run', 'plateaus', '--preset', 'tiny', '--quiet', '--out']
let here: Promise<unknown> | undefined
const asHere = () => {
  here ??= treeline(...words, 'here', '--threads', '1').then(() => said('here', 'plateaus'))
  return here
}

describe.runIf(hasSlurm)('Slurm', () => {
  it('gives the numbers of this machine', async () => {
    expect(await treeline(...words, 'slurm-run', '--executor', 'slurm', '--task-minutes', '0')).toMatchObject(
      { code: 0 },
    )
    expect(said('slurm-run', 'plateaus')).toEqual(await asHere())
  })

  it('goes on when the submitter is killed, and controller and node daemon are started again', async () => {
    const file = sweep('s.yaml', 'grid: { a: [1, 2, 3] }\nset: { steps: 30, pause: 100 }')
    const all = ['sweep', file, '--out', 'restarted', '--executor', 'slurm', '--task-minutes', '0']
    const { child, ended } = start(...all)
    await until(() => existsSync(join(root, 'restarted/walk')))
    await end(child)
    await ended
    await slurm!.restartController()
    await slurm!.restartNode()
    expect(await treeline(...all)).toMatchObject({ code: 0 })
    expect(sessions('restarted')).toEqual([1, 1, 1])
  })

  it('refuses what Slurm refuses, in its words', async () => {
    const file = sweep('p.yaml', 'grid: { a: [1] }')
    const { code, err } = await treeline(
      'sweep',
      file,
      '--quiet',
      '--executor',
      'slurm',
      '--slurm',
      'partition=gpu',
    )
    expect(code).toBe(1)
    expect(err).toMatch(/sbatch refused: .*partition/)
  })
})

describe.runIf(hasRedis)('Redis', () => {
  it('gives the numbers of this machine, by three workers, with and without a shared folder', async () => {
    const workers = [worker(), worker('--shared', root), worker('--parallel', '2')]
    const to = ['--executor', 'redis', '--redis', redis!.url]
    expect(await treeline(...words, 'redis-run', ...to)).toMatchObject({ code: 0 })
    expect(said('redis-run', 'plateaus')).toEqual(await asHere())
    const file = sweep('r.yaml', 'grid: { a: [1, 2, 3, 4] }')
    await treeline('sweep', file, '--out', 'sweep-here', '--quiet')
    expect(await treeline('sweep', file, '--out', 'sweep-redis', ...to)).toMatchObject({ code: 0 })
    expect(said('sweep-redis', 'walk')).toEqual(said('sweep-here', 'walk'))
    await Promise.all(workers.map((one) => end(one, 'SIGTERM')))
  })

  it('loses nothing when Redis and a worker are killed', async () => {
    const file = sweep('k.yaml', 'grid: { a: [1, 2, 3] }\nset: { steps: 30, pause: 50 }')
    const { ended } = start('sweep', file, '--out', 'killed', '--executor', 'redis', '--redis', redis!.url)
    const first = worker('--shared', root)
    await until(() => existsSync(join(root, 'killed/walk')))
    await redis!.restart()
    await end(first, 'SIGTERM')
    const second = worker('--shared', root)
    expect(await ended).toMatchObject({ code: 0 })
    await end(second, 'SIGTERM')
  })

  it('refuses hostile jobs, and says what is wrong with an address without its password', async () => {
    const { err } = await treeline('worker', 'redis://me:secret@127.0.0.1:1', '-q')
    expect(err).toMatch(
      /^treeline: redis:\/\/127\.0\.0\.1:1\/0: no Redis answers there \(connection refused\).*\n$/,
    )
    const locked = await openRedis(join(root, 'locked'), 'right')
    try {
      const wrong = await treeline('worker', locked.url.replace('//', '//:wrong@'), '-q')
      expect(wrong.err).toMatch(/does not take the password/)
      expect(wrong.err).not.toContain('wrong@')
    } finally {
      await locked.close()
    }
    const { Queue } = await import('bullmq')
    const { hostname, port } = new URL(redis!.url)
    const queue = new Queue('hostile', { connection: { host: hostname, port: Number(port) } })
    const data = { format: 'treeline-job/1', id: 'f'.repeat(32), experiment: '../../etc/passwd' }
    const job = await queue.add('x', data, { jobId: data.id })
    await treeline('worker', redis!.url, '--queue', 'hostile', '--drain', '-q')
    expect((await queue.getJob(job.id!))!.failedReason).toMatch(/treeline: expected what a job/)
    await queue.close()
  })
})
