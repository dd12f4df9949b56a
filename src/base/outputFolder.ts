/**
 * @file One rule for every folder that a command writes. It is locked while somebody works there; it is made, but not the
 * folders above it; it must be empty or hold unfinished work of the same task, unless `force` is given. Work happens in a
 * hidden folder within; at its end everything gets its name, and a record says what was made, so that the same command
 * knows that nothing is left to do.
 */
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fail } from './errors.ts'
import { explainSystemError, makeFolder, writeAtomically } from './files.ts'
import { prettyJson } from './json.ts'
import { whenLeaving } from './leaving.ts'
import { lockFolder } from './lock.ts'
import { bytes } from './numbers.ts'
import {
  holds,
  isSame,
  isTaken,
  type OutputRule,
  refuseInput,
  requireParent,
  type Status,
  statusOf,
} from './outputs.ts'

/** What is to be made in a folder. */
export interface FolderWork extends OutputRule {
  /** One word for it, such as `merge`. */
  readonly task: string
  /** A name for what was asked for, whatever the inputs hold: the same request may begin anew what it has left unfinished. */
  readonly request: string
  /** A name for everything that decides the output: the same mark, the same output. */
  readonly mark: string
  /** Files that belong to such an output, whoever made it: with `force` all of them go when the new ones come. */
  readonly owns: (name: string) => boolean
  /** Files and folders that may lie beside it: they are neither in the way nor replaced. */
  readonly spares?: (name: string) => boolean
}

/** A folder that is ours until it is closed. */
export interface OutputFolder {
  /** The result of the same work, when an earlier run has finished it and its files are as they were; else undefined. */
  readonly result: unknown
  /** Where to work: a hidden folder within. `begin` makes it. */
  readonly staging: string
  /** An earlier run of the same work was cut off; what it left is in `staging`. */
  readonly isResumed: boolean
  /** Note that what is in `staging` belongs to this work: the next run of it goes on there. */
  readonly begin: () => void
  /** Give these files their names in the folder, in this order, in place of what was there; then note the result. */
  readonly publish: (files: readonly string[], result: object) => void
  /** Remove unfinished work, unless it has begun to replace what was there: then the same command must end it. */
  readonly abandon: () => void
  /** Let go of the folder. What was made for work that has written nothing is removed. */
  readonly close: () => void
}

const lockName = '.treeline.lock'
/** The record of files that are written anew whenever they are asked for, such as a report. */
const ownRecordName = (task: string): string => `.treeline.${task}.json`
const recordName = '.treeline.json'
const recordFormat = 'treeline-output/1'
const markName = 'mark.txt'
/** Made once what was there is out of the way: from here on the files in the folder are ours. */
const publishingName = 'publishing'
const replacedName = 'replaced'

/** The hidden folder of unfinished work. */
const stagingName = (task: string): string => `.treeline-${task}`

interface OutputRecord {
  readonly format: string
  readonly task: string
  readonly request: string
  readonly mark: string
  /** By name: what the file was like. */
  readonly files: Readonly<Record<string, string>>
  readonly result: object
}

/** Files up to this size are known by their content, larger ones by size and time. */
const hashedBytes = 1 << 24

function stampOf(path: string): string {
  const { size, mtimeMs } = statSync(path)
  return size > hashedBytes
    ? `${size} ${mtimeMs}`
    : createHash('sha256').update(readFileSync(path)).digest('hex')
}

function readRecord(folder: string): OutputRecord | undefined {
  try {
    const value = JSON.parse(readFileSync(join(folder, recordName), 'utf8')) as OutputRecord
    return value.format === recordFormat && typeof value.files === 'object' ? value : undefined
  } catch {
    return undefined
  }
}

/** The files of a record that are not as they were. */
const changedFiles = (folder: string, { files }: OutputRecord): string[] =>
  Object.entries(files)
    .filter(([name, stamp]) => {
      try {
        return stampOf(join(folder, name)) !== stamp
      } catch {
        return true
      }
    })
    .map(([name]) => name)

/** Names in a folder that people see. */
const visible = (folder: string): string[] => readdirSync(folder).filter((name) => !name.startsWith('.'))

const listed = (names: readonly string[]): string =>
  names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')

/** Refuse a place where no folder can be, or which is an input; what is there already. */
function requirePlace(path: string, inputs: OutputRule['inputs']): Status | undefined {
  if (path === '') fail('TL_USAGE', 'expected the name of a folder to write, got an empty one')
  const status = statusOf(path)
  if (status && !status.isDirectory())
    fail('TL_EXISTS', `${path}: a file, expected a folder: choose another name`)
  if (!status && isTaken(path))
    fail('TL_EXISTS', `${path}: a link that leads nowhere: remove it, or choose another name`)
  if (!status) requireParent(path)
  const same = inputs?.find((input) => isSame(path, input))
  if (same !== undefined) refuseInput(path, [same])
  return status
}

/**
 * Lock a folder for output, making it (but not its parents) if need be. Returns what lets go of it. Throws TL_EXISTS for a
 * file, TL_USAGE for an input, TL_IO for a missing parent, TL_BUSY naming the process that holds it.
 */
export function claimFolder(path: string, { inputs }: OutputRule = {}): () => void {
  const status = requirePlace(path, inputs)
  let isMade = false
  try {
    if (!status) {
      mkdirSync(path)
      isMade = true
    }
  } catch (error) {
    if (!statusOf(path)?.isDirectory()) explainSystemError(error, `cannot write ${path}`)
  }
  const leave = (): void => {
    try {
      if (isMade && readdirSync(path).length === 0) rmdirSync(path)
    } catch {
      // somebody else is there already
    }
  }
  // registered before the lock, so done after it is given back
  const forget = whenLeaving(leave)
  try {
    const unlock = lockFolder(path, lockName)
    // of processes that were killed while they wrote one of these
    for (const name of readdirSync(path))
      if (/^\.treeline\..*\.tmp$/.test(name)) rmSync(join(path, name), { force: true })
    return () => {
      unlock()
      forget()
      leave()
    }
  } catch (error) {
    forget()
    leave()
    throw error
  }
}

/** Whose unfinished work a hidden folder holds. */
function readMark(staging: string): { request: string; mark: string } | undefined {
  try {
    const [request = '', mark = ''] = readFileSync(join(staging, markName), 'utf8').split('\n')
    return { request, mark }
  } catch {
    return undefined
  }
}

/** Unfinished work of others in a folder: hidden folders with a mark. */
function othersWork(path: string, own: string): string[] {
  return readdirSync(path)
    .filter((name) => name.startsWith('.treeline-') && name !== own)
    .filter((name) => existsSync(join(path, name, markName)))
}

const inTheWay = (path: string, spares: (name: string) => boolean = () => false): string[] =>
  visible(path).filter((name) => !spares(name))

/** Throws TL_EXISTS when a folder holds anything but what `spares` names. */
export function requireRoom(path: string, spares?: (name: string) => boolean): void {
  const names = statusOf(path)?.isDirectory() ? inTheWay(path, spares) : []
  if (names.length > 0) refuseNames(path, `the folder is not empty (${listed(names)})`)
}

const refuseNames = (path: string, what: string): never =>
  fail('TL_EXISTS', `${path}: ${what}: choose another folder, or replace what it holds with --force`)

/** Throws TL_EXISTS when the folder holds something that is not this work's. */
function refuseOccupied(path: string, { task, request, mark, spares }: FolderWork): void {
  const staging = join(path, stagingName(task))
  const others = othersWork(path, stagingName(task))
  const left = readMark(staging)
  if (left && left.request !== request) others.push(stagingName(task))
  if (others.length > 0)
    fail(
      'TL_EXISTS',
      `${path}: another ${others[0]!.replace('.treeline-', '')} was interrupted here: finish it with its own command, choose another folder, or discard it with --force`,
    )
  if (left?.mark === mark && existsSync(join(staging, publishingName))) return
  const names = inTheWay(path, spares)
  if (names.length === 0) return
  const record = readRecord(path)
  const isSame = record?.task === task && record.request === request
  if (isSame && record.mark !== mark)
    refuseNames(path, `it holds this very ${task} of inputs that have changed since`)
  const changed = isSame ? changedFiles(path, record) : []
  if (changed.length > 0) refuseNames(path, `it holds this very ${task}, changed since (${listed(changed)})`)
  refuseNames(path, `the folder is not empty (${listed(names)})`)
}

/** What an output would replace: files of the last one, and those that belong to any such output. */
function replaceable(path: string, owns: (name: string) => boolean): string[] {
  const recorded = readRecord(path)?.files ?? {}
  return visible(path).filter(
    (name) => (owns(name) || Object.hasOwn(recorded, name)) && !statusOf(join(path, name))?.isDirectory(),
  )
}

/** Refuse a folder in which an input would be replaced, be it by another name of it. Throws TL_USAGE. */
export function refuseInputsIn(
  path: string,
  owns: (name: string) => boolean,
  inputs: readonly string[],
): void {
  for (const name of replaceable(path, owns)) refuseInput(join(path, name), inputs)
}

/** Refuse work that the disk has no room for. Throws TL_IO. */
export function requireSpace(path: string, needed: number): void {
  let free: bigint
  try {
    const { bavail, bsize } = statfsSync(statusOf(path) ? path : dirname(resolve(path)), { bigint: true })
    free = bavail * bsize
  } catch {
    // a file system that does not say
    return
  }
  if (free < BigInt(Math.ceil(needed)))
    fail(
      'TL_IO',
      `${path}: the output takes ${bytes(needed)}, and the disk has ${bytes(Number(free))} free: free some space or choose another folder`,
    )
}

/**
 * Could `openOutputFolder` begin this work, which writes so many bytes? Throws as it does, and TL_IO when the disk has no
 * room; nothing is written.
 */
export function checkOutputFolder(path: string, work: FolderWork, needed: number): void {
  const { task, mark, owns, force = false, inputs = [] } = work
  const status = requirePlace(path, inputs)
  try {
    accessSync(status ? path : dirname(resolve(path)), constants.W_OK)
    const record = status ? readRecord(path) : undefined
    const isDone =
      !force && record?.task === task && record.mark === mark && changedFiles(path, record).length === 0
    if (isDone) return
    if (status && !force) refuseOccupied(path, work)
    if (status) refuseInputsIn(path, owns, inputs)
    // unfinished work has taken its part already
    if (readMark(join(path, stagingName(task)))?.mark !== mark) requireSpace(path, needed)
  } catch (error) {
    explainSystemError(error, `cannot write ${path}`)
  }
}

/** Open a folder for a piece of work. `release` is given when the folder is claimed already. */
export function openOutputFolder(
  path: string,
  work: FolderWork,
  release: () => void = claimFolder(path, work),
): OutputFolder {
  const { task, request, mark, owns, spares = () => false, force = false, inputs = [] } = work
  const staging = join(path, stagingName(task))
  const marker = join(staging, publishingName)
  const markFile = join(staging, markName)
  try {
    const record = readRecord(path)
    const isDone =
      !force && record?.task === task && record.mark === mark && changedFiles(path, record).length === 0
    const isResumed = readMark(staging)?.mark === mark
    if (isDone) {
      // killed between the record and the end
      if (isResumed || !existsSync(markFile)) rmSync(staging, { recursive: true, force: true })
    } else {
      if (!force) refuseOccupied(path, work)
      refuseInputsIn(path, owns, inputs)
      if (!isResumed) rmSync(staging, { recursive: true, force: true })
      if (force)
        for (const name of othersWork(path, stagingName(task)))
          rmSync(join(path, name), { recursive: true, force: true })
    }
    return {
      result: isDone ? record!.result : undefined,
      staging,
      isResumed: isResumed && !isDone,
      begin() {
        makeFolder(staging)
        writeAtomically(markFile, `${request}\n${mark}\n`)
      },
      publish(files, result) {
        try {
          const names = files.map((file) => basename(file))
          if (!existsSync(marker)) {
            const old = replaceable(path, (name) => owns(name) || names.includes(name)).filter(
              (name) => !spares(name),
            )
            if (!force && old.length > 0)
              fail(
                'TL_EXISTS',
                `${path}: somebody has put ${listed(old)} there meanwhile: move it, or replace it with --force`,
              )
            makeFolder(join(staging, replacedName))
            rmSync(join(path, recordName), { force: true })
            for (const name of old) renameSync(join(path, name), join(staging, replacedName, name))
            writeAtomically(marker, '')
          }
          for (const file of files) if (existsSync(file)) renameSync(file, join(path, basename(file)))
          const record: OutputRecord = {
            format: recordFormat,
            task,
            request,
            mark,
            files: Object.fromEntries(names.map((name) => [name, stampOf(join(path, name))])),
            result,
          }
          writeAtomically(join(path, recordName), prettyJson(record))
          discard(staging)
        } catch (error) {
          explainSystemError(error, `cannot write ${path}`)
        }
      },
      abandon() {
        if (!existsSync(marker)) discard(staging)
      },
      close: release,
    }
  } catch (error) {
    release()
    return explainSystemError(error, `cannot write ${path}`)
  }
}

/** Remove unfinished work. Its mark goes first: what is left after a kill is nobody's. */
function discard(staging: string): void {
  rmSync(join(staging, markName), { force: true })
  rmSync(staging, { recursive: true, force: true })
}

/** Stamps of files that Treeline has written, by name; those of an interrupted run beside those of before. */
type OwnFiles = Readonly<Record<string, readonly string[]>>

function readOwnFiles(path: string): OwnFiles {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as { format: string; files: OwnFiles }
    return value.format === recordFormat ? value.files : {}
  } catch {
    return {}
  }
}

const sha256 = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex')

/**
 * Write files that are made of other files and may be made again at any time, such as a report: those that Treeline wrote
 * here, and nobody has changed since, are replaced or, when they are no longer wanted, removed. Names may be below a folder.
 * Throws TL_EXISTS, before anything is written, for files that are not Treeline's (unless `force`), TL_BUSY, TL_IO.
 */
export function writeOwnFiles(
  path: string,
  task: string,
  files: ReadonlyMap<string, string | Uint8Array>,
  { force = false }: OutputRule = {},
): void {
  const release = claimFolder(path)
  try {
    const recordPath = join(path, ownRecordName(task))
    const own = readOwnFiles(recordPath)
    const at = (name: string): string => join(path, name)
    const isOwn = (name: string): boolean =>
      !isTaken(at(name)) ||
      (statusOf(at(name))?.isFile() === true && own[name]?.includes(sha256(readFileSync(at(name)))) === true)
    const foreign = [...files].filter(
      ([name, content]) => !isOwn(name) && !(statusOf(at(name))?.isFile() && holds(at(name), content)),
    )
    if (foreign.length > 0 && !force)
      fail(
        'TL_EXISTS',
        `${at(foreign[0]![0])}: not written by Treeline, or changed since${foreign.length > 1 ? ` (like ${foreign.length - 1} more)` : ''}: move it away, choose another folder, or replace it (treeline ${task} --force)`,
      )
    const note = (known: OwnFiles): void =>
      writeAtomically(recordPath, prettyJson({ format: recordFormat, task, files: known }))
    const now = Object.fromEntries([...files].map(([name, content]) => [name, [sha256(content)]]))
    const both = Object.keys({ ...own, ...now }).map((name) => [
      name,
      [...(own[name] ?? []), ...(now[name] ?? [])],
    ])
    note(Object.fromEntries(both) as OwnFiles)
    for (const [name, content] of files) writeAtomically(at(name), content)
    for (const name of Object.keys(own))
      if (!files.has(name) && isOwn(name)) rmSync(at(name), { force: true })
    note(now)
  } catch (error) {
    explainSystemError(error, `cannot write ${path}`)
  } finally {
    release()
  }
}
