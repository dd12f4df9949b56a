/**
 * @file The unit that travels: one measurement of a study, or one run, as plain data. It is named by its content – experiment,
 * version, config, cell, replica, and what it reads –, so that work done twice is one result. What arrives from elsewhere is
 * read as hostile: `parseJob` takes nothing that `makeJob` would not make.
 */
import { fail, isObject, type Json, toJson } from '../../base/index.ts'
import { contentHash } from '../canonical.ts'

const format = 'treeline-job/1'

/** One replica of one cell of a study; its result is a list of rows. */
interface CellWork {
  readonly kind: 'cell'
  readonly config: Readonly<Record<string, unknown>>
  readonly cell: object
  readonly replica: number
  readonly prepared?: unknown
}

/** A whole run, in a folder that it resumes from; its result is that folder. */
interface RunWork {
  readonly kind: 'run'
  readonly config: Readonly<Record<string, unknown>>
}

/** Where a job writes when submitter and workers see the same folders; absolute. Not part of its name. */
interface Place {
  /** Of a cell its own folder, of a run the folder of all runs. */
  readonly folder: string
}

export interface Job {
  readonly format: typeof format
  /** 32 hexadecimal digits. */
  readonly id: string
  /** The package's version. */
  readonly treeline: string
  readonly experiment: string
  /** The experiment's version. */
  readonly version: number
  /** The module that exports the experiment, when it is none of Treeline's own. */
  readonly module?: string
  /** SHA-256 of files and folders that the config names, by path. */
  readonly reads?: Readonly<Record<string, string>>
  readonly threads: number
  /** Expected seconds on one core; null where nothing is known. */
  readonly seconds: number | null
  readonly work: CellWork | RunWork
  readonly place?: Place
}

const nameOf = ({ experiment, version, module, reads, work }: Omit<Job, 'id' | 'format'>): string =>
  contentHash({ experiment, version, module: module ?? null, reads: reads ?? {}, work }).slice(0, 32)

/** A job with its name. */
export function makeJob(parts: Omit<Job, 'id' | 'format'>): Job {
  const plain = toJson(parts) as unknown as typeof parts
  return { format, id: nameOf(plain), ...plain }
}

const isText = (value: unknown, most: number): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= most && !value.includes('\0')
const isCount = (value: unknown, most: number): boolean =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most

/** What a field of a job must be; the first that is not is named. */
const fields: readonly (readonly [name: string, is: (job: Readonly<Record<string, unknown>>) => boolean])[] =
  [
    ['format', ({ format: given }) => given === format],
    ['id', ({ id }) => typeof id === 'string' && /^[0-9a-f]{32}$/.test(id)],
    ['treeline', ({ treeline }) => isText(treeline, 100)],
    ['experiment', ({ experiment }) => isText(experiment, 100) && /^[a-z][a-z0-9-]*$/.test(experiment)],
    ['version', ({ version }) => isCount(version, 1e6)],
    ['module', ({ module }) => module === undefined || isText(module, 4000)],
    [
      'reads',
      ({ reads }) =>
        reads === undefined ||
        (isObject(reads) && Object.values(reads).every((hash) => /^[0-9a-f]{64}$/.test(String(hash)))),
    ],
    ['threads', ({ threads }) => isCount(threads, 1024) && threads !== 0],
    [
      'seconds',
      ({ seconds }) =>
        seconds === null || (typeof seconds === 'number' && Number.isFinite(seconds) && seconds >= 0),
    ],
    [
      'work',
      ({ work }) =>
        isObject(work) &&
        isObject(work['config']) &&
        (work['kind'] === 'run' ||
          (work['kind'] === 'cell' && isObject(work['cell']) && isCount(work['replica'], 1e9))),
    ],
    ['place', ({ place }) => place === undefined || (isObject(place) && isText(place['folder'], 4000))],
  ]

/** A job that came from elsewhere. Throws TL_BAD_FILE naming the first field that is wrong, or a name that is not its content's. */
export function parseJob(value: unknown, where = 'job'): Job {
  if (!isObject(value))
    fail('TL_BAD_FILE', `${where}: expected a job, got ${JSON.stringify(value)?.slice(0, 60)}`)
  for (const [name, is] of fields)
    if (!is(value))
      fail(
        'TL_BAD_FILE',
        `${where}: ${name}: expected what a job of this Treeline has, got ${JSON.stringify(value[name])?.slice(0, 60)}`,
      )
  const job = value as unknown as Job
  const { id, format: _, ...parts } = job
  if (nameOf(parts) !== id)
    fail('TL_BAD_FILE', `${where}: ${id}: the job is not what its name says; it was changed on the way`)
  return job
}

/** What became of a job. */
export type Done =
  | { readonly id: string; readonly rows: Json; readonly made: Made; readonly seconds: number }
  | {
      readonly id: string
      readonly finished: true
      readonly made: Made
      readonly seconds: number
      readonly files?: Files
    }
  | { readonly id: string; readonly failed: string }

/** Where a result was made: other processors and other versions of Node round differently. */
export interface Made {
  readonly node: string
  readonly cpu: string
  readonly host: string
}

/** Files of a run folder by name, in base64, where no folder is shared. */
export type Files = Readonly<Record<string, string>>

/** A result that came from elsewhere. */
export const isDone = (value: unknown): value is Done =>
  isObject(value) &&
  typeof value['id'] === 'string' &&
  (typeof value['failed'] === 'string' || Array.isArray(value['rows']) || value['finished'] === true)
