/** What every study promises: presets that parse, the same numbers whatever the threads and interruptions, claims that are decided or say not, figures that can be read. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { experiments, loadExperiment } from '../../src/experiments/index.ts'
import {
  type AnyExperiment,
  composeConfig,
  executeRun,
  groupRuns,
  isInterruption,
  loadRun,
  type RunOptions,
  type StudyExperiment,
} from '../../src/lab/index.ts'

import { writeMadeUpDigits } from './madeUpDigits.ts'
import { madeUpText } from './madeUpText.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-contract-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
// what studies train once is kept here, not in the user's cache
process.env['TREELINE_CACHE'] = join(root, 'cache')
let folders = 0

const isStudy = (experiment: AnyExperiment): experiment is StudyExperiment => 'study' in experiment
const runnable = experiments.filter(isStudy).filter(({ requires = [] }) => requires.length === 0)

// digits and a text of our own in place of downloads
const drawn = join(root, 'digits')
mkdirSync(drawn)
writeMadeUpDigits(drawn)
const written = join(root, 'text.txt')
writeFileSync(written, madeUpText(20_000))
const inputs: Readonly<Record<string, object>> = {
  digits: { dataset: drawn },
  'image-transition': { images: drawn },
  'image-chunks': { images: drawn },
  'image-memorization': { dataset: drawn },
  'task-arithmetic': { dataset: drawn },
  'text-correlations': { text: written },
  'text-diffusion': { text: written },
  'text-chunks': { text: written },
  'text-memorization': { text: written },
}

const tiny = (experiment: AnyExperiment, seed = 0) =>
  composeConfig(experiment, { preset: 'tiny', values: { seed, ...inputs[experiment.name] } })

const run = async (experiment: AnyExperiment, seed = 0, options: RunOptions = {}) =>
  loadRun(
    (
      await executeRun(experiment, tiny(experiment, seed), {
        root: join(root, String(folders++)),
        threads: 1,
        ...options,
      })
    ).folder,
  )

/** All that a run says, without when and where. */
const said = ({ summary: { headline, result, claims } }: Awaited<ReturnType<typeof run>>) => ({
  headline,
  result,
  claims,
})

describe.each(experiments.map((experiment) => [experiment.name, experiment] as const))(
  '%s',
  (_, experiment) => {
    it('is found by its name without the others', async () => {
      expect(await loadExperiment(experiment.name)).toBe(experiment)
    })

    it('has a config in which everything has a default, and presets that parse', () => {
      for (const preset of Object.keys(experiment.presets))
        expect(() => composeConfig(experiment, { preset })).not.toThrow()
      expect(composeConfig(experiment, {}).seed).toBeTypeOf('number')
    })
  },
)

describe.each(runnable.map((study) => [study.name, study] as const))('%s', (_, study) => {
  it('has every preset', () => {
    expect(Object.keys(study.presets).sort()).toEqual(['paper', 'quick', 'tiny', 'tour'])
  })

  it('gives the same rows after an interruption, others with another seed, and claims with outcomes', async () => {
    const whole = await run(study)
    const rows = whole.result['rows'] as unknown[]
    expect(rows.length).toBeGreaterThan(0)
    const { claims } = whole.summary
    expect(claims.length).toBeGreaterThan(0)
    for (const claim of claims) {
      expect(['holds', 'fails', 'undecided']).toContain(claim.outcome)
      expect(claim.claim).toMatch(/\(.+\)$/)
      expect(JSON.stringify(claim)).not.toContain('NaN')
      // nothing is decided without a number
      if (claim.measured === null) expect(claim.outcome).toBe('undecided')
    }
    expect(new Set(claims.map(({ claim }) => claim)).size).toBe(claims.length)

    const config = tiny(study)
    let folder = ''
    /** The error of a run that is cut when its progress is as it should be; undefined where it ends before that. */
    async function cutAt(isReached: (done: number) => boolean): Promise<unknown> {
      const cut = new AbortController()
      folder = join(root, String(folders++))
      const options = {
        ...{ root: folder, signal: cut.signal, threads: 1 },
        onProgress: ({ done }: { done: number }) => isReached(done) && cut.abort(),
      }
      return executeRun(study, config, options).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
    }
    // as soon as some of the jobs are done; one quick job may be over before it has said so, and is cut at its first word
    const error = (await cutAt((done) => done > 0)) ?? (await cutAt(() => true))
    if (!(error instanceof Error)) throw new Error('the run was not cut')
    expect(isInterruption(error)).toBe(true)
    const resumed = await executeRun(study, config, { root: folder, threads: 1 })
    expect(said(loadRun(resumed.folder))).toEqual(said(whole))

    // a job that was cut while it was written is done again
    const jobs = join(resumed.folder, 'jobs.jsonl')
    rmSync(join(resumed.folder, 'done'))
    writeFileSync(jobs, readFileSync(jobs).subarray(0, -7))
    expect(said(loadRun((await executeRun(study, config, { root: folder, threads: 1 })).folder))).toEqual(
      said(whole),
    )

    const other = await run(study, 1)
    expect(other.result['rows']).not.toEqual(whole.result['rows'])

    // two seeds are more replicas of the same claims
    const [group] = groupRuns(study, [whole, other])
    const both = study.together!(group!.runs)
    expect(both.claims!.map(({ claim }) => claim).sort()).toEqual(
      [...new Set(both.claims!.map(({ claim }) => claim))].sort(),
    )
    for (const figures of [study.figures([whole], [group!]), study.figures(group!.runs, [group!])]) {
      expect(figures.length).toBeGreaterThan(0)
      expect(new Set(figures.map(({ name }) => name)).size).toBe(figures.length)
      for (const { name, title, caption, svg } of figures) {
        expect(name).toMatch(/^[a-z0-9-]+$/)
        expect(title.length).toBeGreaterThan(3)
        expect(caption.length).toBeGreaterThan(40)
        expect(svg).toMatch(/^<svg[^>]*(role="img"|aria-label)/)
        expect(svg).not.toMatch(/NaN|undefined|Infinity/)
      }
    }
    for (const { title, columns, rows: lines } of study.tables?.([whole], [group!]) ?? []) {
      expect(title.length).toBeGreaterThan(3)
      for (const line of lines) {
        expect(line).toHaveLength(columns.length)
        expect(line.map(String).join(' ')).not.toMatch(/NaN|undefined/)
      }
    }
  })
})

it.each(['index', 'load', 'plateau', '../lab/index'])('no experiment has the name %s', async (name) => {
  await expect(loadExperiment(name)).rejects.toThrow(`experiment "${name}": there is no such experiment`)
})
