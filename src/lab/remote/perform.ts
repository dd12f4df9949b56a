/** @file Doing a job, wherever it arrived: the experiment in the job's own version, what it reads checked, rows or a run folder out. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { fail, toJson } from '../../base/index.ts'
import { packageVersion } from '../../base/version.ts'
import type { Report } from '../../base/workers.ts'
import { completeConfig } from '../config.ts'
import { executeRun } from '../execute.ts'
import type { AnyExperiment } from '../experiment.ts'
import { importExperiment } from '../importExperiment.ts'
import { thisMachine } from '../machine.ts'
import { closeResources, measureWith } from '../study/measure.ts'
import type { AnyStudy } from '../study/study.ts'
import type { Done, Files, Job, Made } from './job.ts'
import { checkReads } from './reads.ts'

/** Where a worker works, and what it may load. */
export interface Workshop {
  /** A module whose `loadExperiment(name)` gives Treeline's experiments. */
  readonly registry: string
  /** The folder in which modules of the user's own may lie; undefined: none is loaded. `/` allows all. */
  readonly modules?: string
  /** Jobs write here, not where they say: no folder is shared. */
  readonly out?: string
  /** A folder that submitters see, too: jobs whose place is within it write there all the same. */
  readonly shared?: string
  readonly signal: AbortSignal
  readonly report?: Report
}

/** Whether a path lies in a folder. */
const isInside = (folder: string, path: string): boolean =>
  resolve(path).startsWith(resolve(folder) === '/' ? '/' : `${resolve(folder)}/`)

/** Files of a run that come back through a queue; a larger one needs a shared folder. */
const mostBytes = 8e6

const madeHere = (): Made => {
  const { node, cpu } = thisMachine()
  return { node, cpu, host: hostname() }
}

async function experimentOf(job: Job, { registry, modules }: Workshop): Promise<AnyExperiment> {
  const { experiment, module, version, treeline } = job
  if (treeline !== packageVersion())
    fail(
      'TL_UNSUPPORTED',
      `the job is of treeline ${treeline}, this worker is treeline ${packageVersion()}: install the same version on both sides`,
    )
  let found: AnyExperiment
  if (module === undefined) {
    const { loadExperiment } = (await import(registry)) as {
      loadExperiment: (name: string) => Promise<AnyExperiment>
    }
    found = await loadExperiment(experiment)
  } else {
    // another machine may have it under another folder
    const path =
      modules === undefined || isInside(modules, module) ? module : join(resolve(modules), basename(module))
    if (modules === undefined || !existsSync(path))
      fail(
        'TL_UNSUPPORTED',
        `${module}: a module of your own, and this worker was given no folder that holds it: start it with --modules FOLDER`,
      )
    found = await importExperiment(path)
  }
  if (found.name !== experiment || found.version !== version)
    fail(
      'TL_UNSUPPORTED',
      `the job is of ${experiment} version ${version}, this worker has ${found.name} version ${found.version}: install the same version on both sides`,
    )
  return found
}

const studyOf = (experiment: AnyExperiment): AnyStudy =>
  'study' in experiment
    ? (experiment.study as AnyStudy)
    : fail('TL_UNSUPPORTED', `${experiment.name}: this experiment is no study, so it has no cells`)

/** Files of a finished run by name, `done` left out: it is written last where they arrive. */
function filesOf(folder: string): Files {
  const names = readdirSync(folder).filter(
    (name) =>
      !['done', 'lock'].includes(name) &&
      !name.endsWith('.tmp') &&
      statSync(join(folder, name)).isFile() &&
      statSync(join(folder, name)).size <= mostBytes,
  )
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name)).toString('base64')]))
}

const scratch = (): string => join(tmpdir(), `treeline-scratch-${process.pid}.tmp`)

/** Do one job. Throws what the experiment throws, TL_UNSUPPORTED for another version, TL_INTERRUPTED when the signal is aborted. */
export async function performJob(job: Job, workshop: Workshop): Promise<Done> {
  const start = performance.now()
  const experiment = await experimentOf(job, workshop)
  await checkReads(job.reads)
  const { id, threads, work, place, module } = job
  const { signal, report = () => {}, shared } = workshop
  const isShared = shared !== undefined && place !== undefined && isInside(shared, place.folder)
  const out = isShared ? undefined : workshop.out
  const config = completeConfig(experiment, work.config)
  const seconds = (): number => (performance.now() - start) / 1000
  if (work.kind === 'cell') {
    const study = studyOf(experiment)
    const folder = out === undefined && place ? place.folder : join(out ?? tmpdir(), 'cells', id)
    const rows = await measureWith(
      study,
      {
        ...{ study: study.name, module: '', config, threads, folder, scratch: scratch() },
        ...{ cell: work.cell, replica: work.replica },
        ...(work.prepared !== undefined && { prepared: work.prepared }),
      },
      signal,
      report,
    )
    return { id, rows: toJson(rows), made: madeHere(), seconds: seconds() }
  }
  const root = out ?? place?.folder ?? fail('TL_BAD_FILE', `${id}: the job of a run says no folder`)
  const { folder } = await executeRun(experiment, config, {
    ...{ root, threads, module, signal, work: id },
    onProgress: ({ done, total, detail }) => report({ share: total > 0 ? done / total : 0, detail }),
  })
  return {
    ...{ id, finished: true, made: madeHere(), seconds: seconds() },
    ...(out !== undefined && { files: filesOf(folder) }),
  }
}

/** Give back what this process holds between jobs. */
export async function closeShop(): Promise<void> {
  await closeResources()
  rmSync(scratch(), { recursive: true, force: true })
}
