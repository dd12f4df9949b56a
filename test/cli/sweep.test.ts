/** @file Sweeps as a user meets them: killed, nothing is lost; plans, failures, interruption, tables. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { csvText, executeRun, isFinished, loadRuns, parquetBytes, tableOf } from '../../src/lab/index.ts'
import { planFile, toyPath } from '../lab/sweepHelp.ts'
import { treeline as inProcess } from './caught.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
let root: string
beforeAll(() => {
  if (!existsSync(main)) throw new Error(`${main} is missing: run \`npm run build\` first`)
  root = mkdtempSync(join(tmpdir(), 'treeline-sweep-cli-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  out: string
  err: string
}

/** Start the program in a process group of its own, so that all of it can be killed at once. */
function start(
  words: readonly string[],
  env: NodeJS.ProcessEnv = {},
): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [main, ...words], {
    cwd: root,
    detached: true,
    env: { ...process.env, TREELINE_DEBUG: '', ...env },
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk) => (out += chunk))
  child.stderr.on('data', (chunk) => (err += chunk))
  const ended = new Promise<Ended>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, out, err })),
  )
  return { child, ended }
}
const treeline = (...words: string[]) => start(words).ended

/** Calls back with each line on standard error that tells of a finished run. */
function onFinished(child: ChildProcess, action: (count: number) => void): void {
  let count = 0
  createInterface({ input: child.stderr! }).on('line', (line) => {
    if (/^\[\d+\/\d+\] done/.test(line)) action(++count)
  })
}

const write = (name: string, text: string): string => {
  writeFileSync(join(root, name), text)
  return name
}
const oneLine = (text: string) => expect(text).toMatch(/^treeline: [^\n]+\n$/)

// every change of a file at which the runs of a sweep can end is in test/kills/lab.test.ts
describe('a sweep killed with SIGKILL', () => {
  const file = `experiment: ${toyPath}\ngrid: { a: [1, 2, 3, 4, 5, 6] }\nrepeat: 2\n`

  it('with all its runs ends with the same table as an undisturbed one', async () => {
    write('many.yaml', file)
    const folder = join(root, 'killed')
    const { runs } = await planFile(join(root, 'many.yaml'), folder)
    const words = ['sweep', 'many.yaml', '--out', 'killed', '--parallel', '2']
    const isLeft = (run: (typeof runs)[number]): boolean => !isFinished(run.folder)
    // within a run that is not done yet, between two of its writes; then when a run has finished, wherever the next ones are
    for (const phase of ['half', 'state', undefined]) {
      const { a, seed } = runs.find(isLeft)!.config as unknown as { a: number; seed: number }
      const target = { a, seed, step: 2, phase }
      const { child, ended } = start(words, phase ? { TREELINE_TOY_KILL: JSON.stringify(target) } : {})
      if (!phase) onFinished(child, (count) => count === 1 && process.kill(-child.pid!, 'SIGKILL'))
      expect((await ended).signal).toBe('SIGKILL')
      expect(runs.filter(isLeft).length).toBeGreaterThan(0)
    }
    const before = runs.length - runs.filter(isLeft).length
    const last = await treeline(...words)
    expect([last.code, last.signal]).toEqual([0, null])
    expect(last.out).toMatch(new RegExp(`^${runs.length - before} done · ${before} done before\\n$`))

    // undisturbed: one after another in this process
    const calm = join(root, 'calm')
    for (const { experiment, config } of (await planFile(join(root, 'many.yaml'), calm)).runs)
      await executeRun(experiment, config, { root: calm, threads: 1 })
    for (const metrics of [false, true]) {
      const [expected, found] = [calm, folder].map((path) => tableOf(loadRuns([path]), { metrics }))
      expect(found!.rows).toBe(metrics ? 60 : 12)
      expect(csvText(found!)).toBe(csvText(expected!))
      expect(Buffer.compare(parquetBytes(found!), parquetBytes(expected!))).toBe(0)
    }
    const collected = await Promise.all(
      ['killed', 'calm'].map((path) => treeline('collect', path, '--quiet')),
    )
    expect(collected[0]!.out).toBe(collected[1]!.out)
    expect(collected[0]!.out.split('\r\n')).toHaveLength(14)
  }, 120_000)

  it('alone leaves children that end by themselves; begun again at once it comes to the same end', async () => {
    write('slow.yaml', `experiment: ${toyPath}\nset: { steps: 30, pause: 20 }\ngrid: { a: [1, 2, 3] }\n`)
    const words = ['sweep', 'slow.yaml', '--out', 'orphans', '--parallel', '2']
    const { child, ended } = start(words)
    onFinished(child, () => child.kill('SIGKILL'))
    expect((await ended).signal).toBe('SIGKILL')
    const again = await treeline(...words)
    expect([again.code, again.out]).toEqual([0, expect.stringMatching(/done/)])
    const table = (path: string) => csvText(tableOf(loadRuns([join(root, path)])))
    await treeline('sweep', 'slow.yaml', '--out', 'whole')
    expect(table('orphans')).toBe(table('whole'))
  })
})

describe('treeline sweep', () => {
  it('plans without doing anything, in words and as JSON', async () => {
    write(
      'plan.yaml',
      `experiment: ${toyPath}\ngrid: { a: [1, 2, 3], steps: [100, 200] }\nfilter: a * steps < 600\n`,
    )
    const words = ['sweep', 'plan.yaml', '--dry-run', '--parallel', '2', '--out', 'planned']
    const [text, json] = await Promise.all([treeline(...words), treeline(...words, '--json')])
    expect([text.code, json.code]).toEqual([0, 0])
    expect(text.out).toMatch(/^new {6}walk\/[0-9a-f]{12} +1\.0 s {2}a=1 steps=100\n/)
    expect(text.out).toContain('5 runs: 0 done, 0 begun, 5 new (1 left out by filters)\n')
    expect(text.out).toContain(
      "estimated time 3.5 s on 2 processes (7.0 s of work); walk: the experiment's own estimate\n",
    )
    const found = JSON.parse(json.out)
    expect(found).toMatchObject({
      filtered: 1,
      duplicates: 0,
      refused: [],
      estimate: { wallSeconds: 3.5, parallel: 2 },
    })
    expect(found.runs[0]).toMatchObject({
      experiment: 'walk',
      state: 'new',
      seconds: 1,
      config: { a: 1, steps: 100 },
    })
    expect(existsSync(join(root, 'planned'))).toBe(false)
  })

  it('lists all impossible configs before anything runs, or leaves them out', async () => {
    write('bad.yaml', `experiment: ${toyPath}\ngrid:\n  a: [1, 2, 0]\n  b: [1, 2]\n`)
    const refused = await treeline('sweep', 'bad.yaml', '--out', 'bad')
    expect([refused.code, refused.out]).toEqual([2, ''])
    expect(refused.err).toBe(
      'bad.yaml:3: config.a: expected at most b, got 2  [a=2 b=1]\n' +
        'bad.yaml:3: config.a: expected an integer >= 1 and <= 1000, got 0 (stride)  [a=0 b=1; a=0 b=2]\n' +
        'treeline: bad.yaml: 3 of 6 configs cannot be; correct the file, add a filter, or leave them out with --skip-invalid\n',
    )
    expect(existsSync(join(root, 'bad'))).toBe(false)
    const without = await treeline('sweep', 'bad.yaml', '--out', 'bad', '--skip-invalid', '--quiet', '--json')
    expect([without.code, without.err]).toEqual([0, ''])
    expect(JSON.parse(without.out)).toMatchObject({ done: 3, failed: 0, skippedInvalid: 3 })
  })

  it('goes on past failures, lists them with reason and log, exit 1', async () => {
    write('moods.yaml', `experiment: ${toyPath}\ngrid: { mood: [failing, well, dying] }\n`)
    const { code, out, err } = await treeline('sweep', 'moods.yaml', '--out', 'moods', '--report')
    expect(code).toBe(1)
    expect(out).toBe('1 done · 2 failed\nmoods/moods/report.html\n')
    expect(err).toMatch(
      /failed: mood=failing: \S+sweepToy\.mjs:\d+: step 1: the loss is NaN; see moods\/walk\/[0-9a-f]{12}\/log\.txt\n/,
    )
    expect(err).toMatch(/failed: mood=dying: the process of this run ended with exit code 7; see /)
    expect(err.trimEnd().split('\n').at(-1)).toBe(
      'treeline: 2 of 3 runs failed; the same command tries them again',
    )
    expect(existsSync(join(root, 'moods', 'moods', 'runs.parquet'))).toBe(true)
  })

  it('stops on Ctrl-C with exit 130, and the same command goes on', async () => {
    write('long.yaml', `experiment: ${toyPath}\nset: { steps: 25, pause: 10 }\ngrid: { a: [1, 2, 3, 4] }\n`)
    const words = ['sweep', 'long.yaml', '--out', 'long', '--parallel', '2']
    const { child, ended } = start(words)
    // as a terminal does: to all processes of the group
    onFinished(child, (count) => count === 1 && process.kill(-child.pid!, 'SIGINT'))
    const cut = await ended
    expect([cut.code, cut.out]).toEqual([130, ''])
    expect(cut.err.trimEnd().split('\n').at(-1)).toMatch(
      /^treeline: interrupted; [123] of 4 runs are done, and everything is kept; the same command goes on$/,
    )
    const again = await treeline(...words)
    expect(again.code).toBe(0)
    expect(again.out).toMatch(/^\d done · \d done before\n$/)
  })

  it.each([
    [['sweep', 'typo.yaml'], 'typo.yaml:2: config.stesp: there is no such field: did you mean "steps"?', 2],
    [
      ['sweep', 'unknown.yaml'],
      'unknown.yaml:1: experiment "digitz": there is no such experiment: did you mean "digits"?',
      2,
    ],
    [['sweep', 'absent.yaml'], 'cannot read absent.yaml: no such file or folder', 1],
    [['sweep', 'broken.yaml'], 'broken.yaml:2: ', 2],
    [
      ['sweep', 'good.yaml', '--set', 'stesp=3'],
      'config.stesp: there is no such field: did you mean "steps"?',
      2,
    ],
    [['sweep', 'good.yaml', '--executor', 'slrum'], 'executor "slrum": there is no such executor', 2],
    [['sweep', 'good.yaml', '--parallel', '0'], '--parallel: expected an integer from 1 to 1024, got 0', 2],
    [
      ['sweep', 'good.yaml', '--dryrun'],
      '--dryrun: treeline sweep has no such option: did you mean "--dry-run"?',
      2,
    ],
    [['run', toyPath, '--config', 'typo.yaml'], 'typo.yaml:1: config.experiment: there is no such field', 2],
    [['collect', 'nowhere'], 'nowhere: expected a run folder, or a folder of runs', 1],
    [['collect', '.', '--out', 'table.xls'], 'table.xls: expected a file that ends in .parquet or .csv', 2],
  ])('%j: one line', async (words, message, expected) => {
    write('typo.yaml', `experiment: ${toyPath}\nset: { stesp: 3 }\n`)
    write('unknown.yaml', 'experiment: digitz\n')
    write('broken.yaml', 'grid: [1, {\n')
    write('good.yaml', `experiment: ${toyPath}\n`)
    const isHere = (word: string): boolean => /\.(yaml|xls)$|^(\.|nowhere)$/.test(word)
    const { code, out, err } = await inProcess(
      ...words.map((word) => (isHere(word) ? join(root, word) : word)),
    )
    expect([code, out]).toEqual([expected, ''])
    oneLine(err)
    expect(err.replaceAll(join(root, '/'), '')).toContain(message)
  })

  it('run takes a config file', async () => {
    write('config.yaml', 'steps: 3\nnoise: { size: 2 }\n')
    const { code, out } = await treeline(
      'run',
      toyPath,
      '--config',
      'config.yaml',
      '--set',
      'noise.on=false',
      '--json',
      '--quiet',
    )
    expect(code).toBe(0)
    expect(JSON.parse(out).config).toMatchObject({ steps: 3, noise: { size: 2, on: false } })
  })

  it('collect and report leave out what is damaged or unfinished, say so, and keep the rest', async () => {
    write('few.yaml', `experiment: ${toyPath}\ngrid: { a: [1, 2, 3] }\n`)
    const swept = await treeline('sweep', 'few.yaml', '--out', 'few', '--quiet', '--json')
    const folders: string[] = JSON.parse(swept.out).runs.map(({ folder }: { folder: string }) => folder)
    writeFileSync(join(root, folders[0]!, 'summary.json'), '{"half":')
    rmSync(join(root, folders[1]!, 'done'))
    const collected = await treeline('collect', 'few', '--out', 'few.csv')
    expect([collected.code, collected.out]).toEqual([1, 'few.csv: 1 rows, 22 columns\n'])
    expect(collected.err).toContain(`${folders[1]}: not finished, left out\n`)
    expect(collected.err).toMatch(/summary\.json: expected a JSON object; it is damaged .*; left out\n/)
    expect(collected.err.trimEnd().split('\n').at(-1)).toBe('treeline: 1 damaged run folder is left out')
    expect(readFileSync(join(root, 'few.csv'), 'utf8').split('\r\n')).toHaveLength(3)
    const report = await treeline('report', 'few', '--experiment', toyPath, '--out', 'few-report', '--quiet')
    expect([report.code, report.out]).toEqual([1, 'few-report/report.html\n'])
    expect(existsSync(join(root, 'few-report', 'runs.parquet'))).toBe(true)
  })
})
