/**
 * @file A model folder in the making: the hidden folder within the output holds the shards and a list of finished pieces.
 * Killed at any moment, the next run of the same work goes on there.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { explainSystemError, makeFolder, writeAtomically } from '../base/files.ts'
import type { OutputFolder } from '../base/outputFolder.ts'
import type { Shard } from './layout.ts'

/** The folder of work that is not finished. */
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

/** Begin work in its folder, or go on with it. Throws TL_IO when the folder cannot be written. */
export function openUnfinished(output: OutputFolder, shards: readonly Shard[]): Unfinished {
  const folder = output.staging
  const list = join(folder, 'done.txt')
  const shardPath = (shard: Shard): string => join(folder, shard.name)
  const note = (name: string): string => join(folder, `${name}.json`)
  try {
    if (!output.isResumed) {
      makeFolder(folder)
      for (const shard of shards) createShard(shardPath(shard), shard)
      output.begin()
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
        try {
          writeSync(notes, `${piece}\n`)
        } catch (error) {
          explainSystemError(error, `cannot write ${dirname(folder)}`)
        }
      },
      close() {
        if (isOpen) closeSync(notes)
        isOpen = false
      },
      recall: (name) => (existsSync(note(name)) ? JSON.parse(readFileSync(note(name), 'utf8')) : undefined),
      remember: (name, value) => writeAtomically(note(name), JSON.stringify(value)),
    }
  } catch (error) {
    return explainSystemError(error, `cannot write ${dirname(folder)}`)
  }
}

/** Where the files beside the weights are written before all of them get their final names. */
export function besideWeights({ folder }: Unfinished): string {
  const path = join(folder, 'beside')
  // what a killed run left half-written there has no place in the output
  rmSync(path, { recursive: true, force: true })
  return path
}

/** Everything that is to get its final name, shards first, then what lies beside them; the shards are on the disk. */
export function finished(unfinished: Unfinished, shards: readonly Shard[], beside: string): string[] {
  const paths = shards.map(unfinished.shardPath)
  try {
    // an earlier run may have begun to give them their names
    for (const path of paths.filter((shard) => existsSync(shard))) {
      const descriptor = openSync(path, 'r+')
      fsyncSync(descriptor)
      closeSync(descriptor)
    }
    const others = readdirSync(beside).sort()
    return [...paths, ...others.map((name) => join(beside, name))]
  } catch (error) {
    return explainSystemError(error, `cannot write ${beside}`)
  }
}
