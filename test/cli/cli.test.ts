/** @file The program as scripts meet it: exit codes, JSON on standard output, one line for every mistake. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { treeline as inProcess } from './caught.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const toy = fileURLToPath(new URL('./toy.mjs', import.meta.url))
let root: string
beforeAll(() => {
  if (!existsSync(main)) throw new Error(`${main} is missing: run \`npm run build\` first`)
  root = mkdtempSync(join(tmpdir(), 'treeline-cli-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

interface Ended {
  code: number | null
  out: string
  err: string
}

function start(
  words: readonly string[],
  env: NodeJS.ProcessEnv = {},
): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [main, ...words], {
    cwd: root,
    env: { ...process.env, TREELINE_CACHE: join(root, 'cache'), TREELINE_DEBUG: '', ...env },
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk) => (out += chunk))
  child.stderr.on('data', (chunk) => (err += chunk))
  const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, out, err })))
  return { child, ended }
}
const treeline = (...words: string[]) => start(words).ended

/** Resolves when the process has said `words` on standard error. */
const said = (child: ChildProcess, words: string) =>
  new Promise<void>((resolve) => {
    let text = ''
    child.stderr!.on('data', (chunk) => {
      text += chunk
      if (text.includes(words)) resolve()
    })
  })

/** What a headline says of a result that is not finite: the toy's `ratio`. */
const infinite = ' (not finite: ratio is Infinity)'
const oneLine = (text: string) => expect(text).toMatch(/^treeline: [^\n]+\n$/)

describe('usage', () => {
  it('prints help with examples and the version, exit 0', async () => {
    const [help, runHelp, version] = await Promise.all([
      inProcess('--help'),
      inProcess('run', '--help'),
      treeline('--version'),
    ])
    for (const { code, err } of [help, runHelp, version]) expect([code, err]).toEqual([0, ''])
    for (const command of ['list', 'run', 'sweep', 'collect', 'report', 'data', 'export', 'doctor'])
      expect(help.out).toContain(command)
    expect(runHelp.out).toContain('Examples:')
    expect(runHelp.out).toContain('--preset')
    expect(version.out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it.each([
    [['rnu'], 'rnu: treeline has no such command: did you mean "run"?'],
    [['data', 'gte'], 'gte: treeline data has no such command: did you mean "get"?'],
    [['run', 'digits', '--sede', '3'], '--sede: treeline run has no such option: did you mean "--seed"?'],
    [['run', 'digitz'], 'experiment "digitz": there is no such experiment'],
    [['list', 'digitz'], 'experiment "digitz": there is no such experiment'],
    [['data', 'get', 'minst'], 'data set "minst": there is no such set: did you mean "mnist"?'],
    [['run'], "missing required argument 'name' (see treeline run --help)"],
    [['run', toy, '--threads', 'many'], '--threads: expected an integer from 1 to 1024, got many'],
    [['run', toy, '--seed', '-1'], '--seed: expected an integer from 0 to 4294967295, got -1'],
    [['run', toy, '--preset', 'quik'], 'preset "quik": counting has no such preset: did you mean "quick"?'],
    [['run', toy, '--set', 'setps=3'], 'config.setps: there is no such field: did you mean "steps"?'],
    [['run', toy, '--set', 'steps=0'], 'config.steps: expected an integer >= 1, got 0 (how far to count)'],
    [['run', toy, '--set'], 'argument missing'],
  ])('%j: exit 2 and one line', async (words, message) => {
    const { code, out, err } = await inProcess(...words)
    expect(code).toBe(2)
    expect(out).toBe('')
    oneLine(err)
    expect(err).toContain(message)
  })

  it('ends a process with the code of a mistake', async () => {
    const { code, out, err } = await treeline('rnu')
    expect([code, out]).toEqual([2, ''])
    oneLine(err)
  })

  it('shows help when there is no command', async () => {
    const { code, out, err } = await treeline()
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain('Usage: treeline')
  })
})

describe('list and doctor', () => {
  it('list as text and JSON', async () => {
    const [text, json] = await Promise.all([treeline('list'), inProcess('list', '--json')])
    expect(text.code).toBe(0)
    const { experiments } = JSON.parse(json.out)
    expect(Array.isArray(experiments)).toBe(true)
    const lines = text.out.split('\n').map((line) => line.replace(/ {2,}/, '  '))
    for (const { name, title } of experiments) expect(lines).toContain(`${name}  ${title}`)
  })

  it('doctor names versions, threads, cache and data sets', async () => {
    const [text, json] = await Promise.all([treeline('doctor'), treeline('doctor', '--json')])
    expect([text.code, json.code]).toEqual([0, 0])
    const report = JSON.parse(json.out)
    expect(report).toMatchObject({ ready: true, cache: { folder: join(root, 'cache') } })
    const names = report.checks.map(({ name }: { name: string }) => name)
    expect(names).toEqual(
      expect.arrayContaining(['node', 'onnxruntime', 'runs folder', 'cache', 'data mnist']),
    )
    expect(text.out).toContain(process.versions.node)
    expect(text.out).toContain('treeline data get mnist')
  })

  it('data list says what is cached', async () => {
    const [text, json] = await Promise.all([treeline('data', 'list'), treeline('data', 'list', '--json')])
    expect([text.code, json.code]).toEqual([0, 0])
    const { datasets } = JSON.parse(json.out)
    expect(datasets.find(({ name }: { name: string }) => name === 'mnist').state).toBe('absent')
    expect(text.out).toMatch(/mnist\s+not cached/)
  })

  it('data get offline without a cache fails in one line', async () => {
    const { code, out, err } = await treeline('data', 'get', 'mnist', '--offline')
    expect([code, out]).toEqual([1, ''])
    oneLine(err)
    expect(err).toContain('offline')
  })
})

describe('run and report', () => {
  it('runs, skips, runs afresh; JSON alone on standard output', async () => {
    const first = await treeline('run', toy, '--json', '--seed', '3', '--set', 'steps=4')
    expect(first.code).toBe(0)
    const summary = JSON.parse(first.out)
    expect(summary).toMatchObject({
      experiment: 'counting',
      config: { seed: 3, steps: 4 },
      result: { last: 4, ratio: null },
      verdicts: [],
      skipped: false,
      report: null,
    })
    expect(first.err).toContain('counting from 0')
    expect(first.err).toMatch(/counting: \d+ %/)
    expect(summary.folder).toBe(join('runs', 'counting', summary.hash.slice(0, 12)))
    const again = await treeline('run', toy, '--json', '--seed', '3', '--set', 'steps=4')
    expect(JSON.parse(again.out)).toEqual({ ...summary, skipped: true })
    const quiet = await treeline('run', toy, '--quiet', '--fresh', '--seed', '3', '--set', 'steps=4')
    expect(quiet).toEqual({ code: 0, out: `counted to 4${infinite}\n`, err: '' })
  })

  it('ends with the headline and the path of the report', async () => {
    const { code, out } = await treeline('run', toy, '--report', '--out', 'elsewhere', '--preset', 'quick')
    expect(code).toBe(0)
    const lines = out.trimEnd().split('\n')
    expect(lines.at(-2)).toBe(`counted to 2${infinite}`)
    expect(lines.at(-1)).toMatch(/^elsewhere\/counting\/[0-9a-f]{12}\/report\.html$/)
    const html = readFileSync(join(root, lines.at(-1)!), 'utf8')
    expect(html).toContain('It counted to 2.')
    expect(html).toContain(`npx treeline run ${toy} --set steps=2`)
    const folder = join(root, lines.at(-1)!, '..')
    expect(readdirSync(join(folder, 'figures'))).toEqual(['count.pdf', 'count.png', 'count.svg'])
    const report = await treeline('report', folder, '--experiment', toy, '--out', 'r', '--json')
    expect(JSON.parse(report.out)).toMatchObject({ report: join('r', 'report.html') })
    const unknown = await treeline('report', folder)
    expect([unknown.code, unknown.out]).toEqual([1, ''])
    expect(unknown.err).toContain(`--experiment ${toy}`)
    const network = await treeline('export', folder, 'x.onnx', '--experiment', toy)
    expect(network.code).toBe(1)
    expect(network.err).toContain('trains no network')
  })

  it('stops on Ctrl-C with exit 130 and goes on to the same end', async () => {
    const words = ['run', toy, '--set', 'steps=60,pause=30', '--json']
    const { child, ended } = start(words)
    await said(child, 'counting: ')
    child.kill('SIGINT')
    const cut = await ended
    expect([cut.code, cut.out]).toEqual([130, ''])
    const last = cut.err.trimEnd().split('\n').at(-1)
    expect(last).toMatch(
      /^treeline: interrupted; .*resume with: npx treeline run .*--set steps=60 --set pause=30$/,
    )
    const resumed = await treeline(...words)
    expect(resumed.code).toBe(0)
    expect(resumed.err).toMatch(/counting from [1-9]/)
    const { folder, timing } = JSON.parse(resumed.out)
    expect(timing.sessions).toBe(2)
    const metrics = readFileSync(join(root, folder, 'metrics.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
    expect(metrics.map((line) => JSON.parse(line).step)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1))
  })

  it('survives SIGKILL, and refuses a second process while one works', async () => {
    const words = ['run', toy, '--set', 'steps=50,pause=40']
    const { child, ended } = start(words)
    await said(child, 'counting: ')
    // or it could be over before the second has started
    child.kill('SIGSTOP')
    const second = await treeline(...words)
    expect([second.code, second.out]).toEqual([1, ''])
    oneLine(second.err)
    expect(second.err).toContain(`in use by process ${child.pid}`)
    child.kill('SIGKILL')
    await ended
    const after = await treeline(...words)
    expect([after.code, after.out]).toEqual([0, `counted to 50${infinite}\n`])
    expect(after.err).toMatch(/counting from [1-9]/)
  })

  it('fails in one line, without a stack trace, and keeps the details in log.txt', async () => {
    const failing = await treeline('run', toy, '--quiet', '--set', 'mood=failing')
    expect(failing).toEqual({
      code: 1,
      out: '',
      err: expect.stringMatching(/^treeline: .*toy\.mjs:\d+: step 1: the loss is NaN\n$/),
    })
    const broken = await treeline('run', toy, '--quiet', '--set', 'mood=broken')
    expect([broken.code, broken.out]).toEqual([1, ''])
    oneLine(broken.err)
    expect(broken.err).toMatch(
      /toy\.mjs:\d+: TypeError: Cannot read properties of undefined \(reading 'property'\)\n$/,
    )
    const debug = await start(['run', toy, '--quiet', '--set', 'mood=broken'], { TREELINE_DEBUG: '1' }).ended
    expect(debug.err).toContain('toy.mjs:')
  })

  it('explains folders that hold no runs and files that are no experiments', async () => {
    writeFileSync(join(root, 'empty.mjs'), 'export const nothing = 1\n')
    const cases: [string[], string][] = [
      [
        ['report', join(root, 'nowhere')],
        'nowhere: expected a run folder, or a folder of runs; there is no such folder',
      ],
      [['report', join(root, 'cache-that-is-not')], 'there is no such folder'],
      [['run', join(root, 'nothing.mjs')], 'nothing.mjs: no such file'],
      [['run', join(root, 'empty.mjs')], 'expected `export default defineStudy(import.meta.url, { … })` or'],
      [['export', root, join(root, 'x.onnx')], 'config.json'],
    ]
    for (const [words, message] of cases) {
      const { code, out, err } = await inProcess(...words)
      expect([words, code, out]).toEqual([words, 1, ''])
      oneLine(err)
      expect(err).toContain(message)
    }
  })
})
