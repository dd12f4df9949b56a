/** @file Runs of a study, sweeps, reports, tables and samples, ended at every change of a file. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { writeOwnFiles } from '../../src/base/outputFolder.ts'
import { type Executor, executeRun, planSweep, runSweep } from '../../src/lab/index.ts'
import { synthetic } from '../lab/stopping/synthetic.ts'
import { normalMeans } from '../lab/study/toyStudy.ts'
import { command } from './command.ts'
import { endAtEveryChange } from './everyChange.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-kills-lab-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (...names: string[]): string => join(root, ...names)

/** Files of a run that hold times. */
const runFiles = {
  varies: /(^|[\\/])(sessions\.json|log\.txt)$/,
  grows: /\.jsonl$/,
  same(name: string, text: string): string {
    if (!name.endsWith('summary.json')) return text
    const { timing, ...rest } = JSON.parse(text) as Record<string, unknown>
    return JSON.stringify(rest)
  },
}
const config = (count: number) => normalMeans.config.parse({ count, draws: 2 }) as never

beforeAll(async () => {
  writeFileSync(at('sweep.yaml'), `experiment: normal-means\nset: { draws: 2 }\ngrid: { count: [8, 9] }\n`)
  for (const count of [8, 9]) await executeRun(normalMeans, config(count), { root: at('given'), threads: 1 })
})

it('a study', async () => {
  const out = at('study')
  const run = () => executeRun(normalMeans, config(8), { root: out, threads: 1 })
  expect(await endAtEveryChange({ out, run, ...runFiles })).toBeGreaterThan(30)
})

it('a study begun afresh over a finished run', async () => {
  const out = at('fresh')
  const prepare = (): void => cpSync(at('given'), out, { recursive: true })
  const run = () => executeRun(normalMeans, config(8), { root: out, threads: 1, fresh: true })
  expect(await endAtEveryChange({ out, prepare, run, isMadeAgain: true, ...runFiles })).toBeGreaterThan(30)
})

/** Runs of the study in this process. */
const here: Executor = {
  name: 'here',
  description: 'in this process',
  parallel: () => 1,
  start: ({ config: own, root: out }) => ({
    interrupt: () => {},
    ended: executeRun(normalMeans, own as never, { root: out, threads: 1 }).then(
      () => ({ kind: 'finished' as const }),
      (error: Error) => ({ kind: 'failed' as const, message: error.message }),
    ),
  }),
}

it('a sweep', async () => {
  const out = at('sweep')
  const run = async (): Promise<void> => {
    const { runs } = await planSweep(at('sweep.yaml'), { root: out, findExperiment: () => normalMeans })
    const { runs: all } = await runSweep(runs, { executor: here, root: out, parallel: 1, threads: 1 })
    const states = all.map(({ state }) => state)
    if (states.includes('failed')) throw new Error(states.join())
  }
  expect(await endAtEveryChange({ out, run, ...runFiles })).toBeGreaterThan(60)
})

it('collect', async () => {
  const out = at('table.csv')
  await endAtEveryChange({ out, run: command('collect', at('given'), '--out', out) })
})

it('stop --svg', async () => {
  const out = at('stop.svg')
  const rows = [32, 64].flatMap((P) =>
    synthetic({ P, tau: 10 * P }).steps.map((one) => `${P},${one.step},${one.validationLoss}\n`),
  )
  writeFileSync(at('curves.csv'), `P,step,validationLoss\n${rows.join('')}`)
  await endAtEveryChange({ out, run: command('stop', at('curves.csv'), '--svg', out) })
})

it('files that are written anew whenever they are asked for, as a report is', async () => {
  const out = at('report')
  const files = (text: string, ...names: string[]) => new Map(names.map((name) => [name, `${name} ${text}`]))
  const prepare = (): void =>
    writeOwnFiles(out, 'report', files('old', 'report.html', 'figures/a', 'figures/b'))
  const run = async () => writeOwnFiles(out, 'report', files('new', 'report.html', 'figures/a', 'figures/c'))
  expect(await endAtEveryChange({ out, prepare, run })).toBeGreaterThan(15)
})

it('grammar sample', async () => {
  const grammar = at('grammar.json')
  await command('grammar', 'make', '--v', '3', '--m', '2', '--s', '2', '--L', '2', '--out', grammar)()
  const out = at('sampled.json')
  await endAtEveryChange({ out, run: command('grammar', 'sample', grammar, '--count', '5', '--out', out) })
})
