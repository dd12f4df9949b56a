/**
 * @file A merge in the making: a folder within the output that holds the shards and a list of finished pieces. Killed at
 * any moment, the next run of the same merge goes on there; of another merge, it begins anew.
 */
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { explainSystemError, makeFolder, writeAtomically } from '../../../base/files.ts'
import { fail } from '../../../base/index.ts'
import type { Shard } from './layout.ts'

const folderName = '.treeline-merge'
const markName = 'mark.txt'

/** The folder of a merge that is not finished. */
export interface Unfinished {
  readonly folder: string
  /** Pieces that an earlier run has finished. */
  readonly done: ReadonlySet<number>
  readonly shardPath: (shard: Shard) => string
  /** Note that a piece is in its shard. */
  readonly finish: (piece: number) => void
  /** Notes are no longer taken. */
  readonly close: () => void
  /** Small values that pieces depend on, computed once. */
  readonly recall: (name: string) => unknown
  readonly remember: (name: string, value: unknown) => void
}

/** Size and time of a model's files: an input that has changed makes another merge. */
export function fileMarks(model: string): string[] {
  try {
    const status = statSync(model)
    const mark = (path: string, name: string): string => {
      const { size, mtimeMs } = statSync(path)
      return `${name} ${size} ${mtimeMs}`
    }
    if (!status.isDirectory()) return [mark(model, '')]
    const names = readdirSync(model).filter((name) => /\.(safetensors|json|gguf|bin|pt|pth|npz)$/.test(name))
    return names.sort().map((name) => mark(join(model, name), name))
  } catch (error) {
    return explainSystemError(error, `cannot read ${model}`)
  }
}

/** A name for everything that decides the output's bytes. */
export const fingerprint = (parts: unknown): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex')

/** Files that make a folder a model. */
const modelFile = (name: string): boolean => /\.(safetensors|gguf|bin)$/.test(name) || name === 'config.json'

/** Another merge was killed while its files got their names: beginning anew would leave some of them among ours. */
function refuseMixture(out: string, markFile: string): void {
  const found = existsSync(markFile) && readdirSync(out).find(modelFile)
  if (found)
    fail(
      'TL_IO',
      `${out}: another merge was interrupted here when some of its files were in place (${found}); finish it with its own command, choose another folder, or remove this one`,
    )
}

/** An output folder that holds a model which is not ours to overwrite. */
export function refuseOccupied(out: string): void {
  if (!existsSync(out)) return
  let names: string[] = []
  try {
    names = readdirSync(out)
  } catch (error) {
    explainSystemError(error, `cannot write ${out}`)
  }
  if (names.includes(folderName)) return
  const found = names.find(modelFile)
  if (found)
    fail('TL_IO', `${out}: there is a model already (${found}); choose another folder, or remove it first`)
}

/** Lines of the list that were written whole. */
function finishedPieces(path: string): Set<number> {
  if (!existsSync(path)) return new Set()
  const text = readFileSync(path, 'utf8')
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return new Set(whole.split('\n').filter(Boolean).map(Number))
}

function createShard(path: string, shard: Shard): void {
  const descriptor = openSync(path, 'w')
  try {
    ftruncateSync(descriptor, shard.bytes)
    for (let at = 0; at < shard.head.byteLength; ) at += writeSync(descriptor, shard.head, at)
  } finally {
    closeSync(descriptor)
  }
}

/** Begin a merge or go on with it. Throws TL_IO when the folder cannot be written or holds another model. */
export function openUnfinished(out: string, mark: string, shards: readonly Shard[]): Unfinished {
  refuseOccupied(out)
  const folder = join(out, folderName)
  const list = join(folder, 'done.txt')
  const markFile = join(folder, markName)
  const shardPath = (shard: Shard): string => join(folder, shard.name)
  const note = (name: string): string => join(folder, `${name}.json`)
  try {
    const isSame = existsSync(markFile) && readFileSync(markFile, 'utf8') === mark
    if (!isSame) {
      refuseMixture(out, markFile)
      rmSync(folder, { recursive: true, force: true })
      makeFolder(folder)
      for (const shard of shards) createShard(shardPath(shard), shard)
      writeAtomically(markFile, mark)
    }
    const done = finishedPieces(list)
    // a torn last line must not run into the next
    writeAtomically(list, [...done].map((piece) => `${piece}\n`).join(''))
    const notes = openSync(list, 'a')
    let isOpen = true
    return {
      folder,
      done,
      shardPath,
      finish: (piece) => {
        writeSync(notes, `${piece}\n`)
      },
      close() {
        if (isOpen) closeSync(notes)
        isOpen = false
      },
      recall: (name) => (existsSync(note(name)) ? JSON.parse(readFileSync(note(name), 'utf8')) : undefined),
      remember: (name, value) => writeAtomically(note(name), JSON.stringify(value)),
    }
  } catch (error) {
    return explainSystemError(error, `cannot write ${out}`)
  }
}

/** Where the files beside the weights are written before all of them get their final names. */
export function besideWeights({ folder }: Unfinished): string {
  const path = join(folder, 'beside')
  // what a killed run left half-written there has no place in the output
  rmSync(path, { recursive: true, force: true })
  return path
}

/** Give everything its final name: shards first, then what lies beside them. An earlier run may have begun with it. */
export function publish(out: string, unfinished: Unfinished, shards: readonly Shard[], beside: string): void {
  const moveHere = (path: string): void => renameSync(path, join(out, basename(path)))
  try {
    for (const path of shards.map(unfinished.shardPath).filter((shard) => existsSync(shard))) {
      const descriptor = openSync(path, 'r+')
      fsyncSync(descriptor)
      closeSync(descriptor)
      moveHere(path)
    }
    for (const name of readdirSync(beside).sort()) moveHere(join(beside, name))
  } catch (error) {
    explainSystemError(error, `cannot write ${out}`)
  }
}

/** Remove the folder: the merge is complete. Its mark goes first, so that what is left after a kill is nobody's merge. */
export function forget({ folder }: Unfinished): void {
  rmSync(join(folder, markName), { force: true })
  rmSync(folder, { recursive: true, force: true })
}
