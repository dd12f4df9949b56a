/** @file The commit of the checkout that Treeline runs from; installed as a package it has none. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const line = (path: string): string => readFileSync(path, 'utf8').trim()

/** Where git keeps its files: `.git` itself, or in a worktree the folder that the file `.git` names. */
function gitFolder(root: string): string | undefined {
  const at = join(root, '.git')
  if (!existsSync(at)) return undefined
  return statSync(at).isDirectory() ? at : resolve(root, line(at).replace(/^gitdir:\s*/, ''))
}

/** First twelve digits of the commit that is checked out in `root`; undefined where there is none or it cannot be read. */
export function commitOf(root: string): string | undefined {
  try {
    const own = gitFolder(root)
    if (own === undefined) return undefined
    const head = line(join(own, 'HEAD'))
    const [, ref] = head.match(/^ref:\s*(\S+)$/) ?? []
    if (ref === undefined) return head.slice(0, 12)
    // worktrees share their refs
    const shared = existsSync(join(own, 'commondir')) ? resolve(own, line(join(own, 'commondir'))) : own
    for (const folder of [own, shared])
      if (existsSync(join(folder, ref))) return line(join(folder, ref)).slice(0, 12)
    const packed = readFileSync(join(shared, 'packed-refs'), 'utf8')
    return packed
      .split('\n')
      .find((entry) => entry.endsWith(` ${ref}`))
      ?.slice(0, 12)
  } catch {
    return undefined
  }
}

/** The commit of Treeline's own checkout. */
export const packageCommit = (): string | undefined =>
  commitOf(fileURLToPath(new URL('../..', import.meta.url)))
