/** @file YAML and JSON files that people write: their data, and the line of every entry for messages that point at it. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml'
import { fail } from './errors.ts'
import { readBytes, textOf } from './read.ts'

/** A parsed file. */
export interface WrittenFile {
  readonly path: string
  readonly value: unknown
  /** `file.yaml:3` of the entry at a path, or of the nearest one around it. */
  readonly where: (path: readonly (string | number)[]) => string
  /** Does an entry of the top only hold values for other places: an anchor that is referred to, or a name that says so? */
  readonly isAside: (key: string) => boolean
}

/** No config needs more; it bounds what a wrong file can cost. */
const mostBytes = 16e6

/** Parse a text as YAML 1.2 with merge keys, of which JSON is a part. Throws TL_BAD_CONFIG naming the line. */
export function parseWritten(text: string, path: string): WrittenFile {
  const lines = new LineCounter()
  // merge keys (<<: *name) are of YAML 1.1, which many files are written in
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    merge: true,
  })
  const place = (offset: number): string => `${path}:${lines.linePos(offset).line}`
  const [problem] = [...document.errors, ...document.warnings]
  if (problem)
    fail('TL_BAD_CONFIG', `${place(problem.pos[0])}: ${problem.message.trim()} (expected YAML or JSON)`)
  visit(document, {
    Pair: (_, { key }) => {
      if (isSeq(key) || isMap(key))
        fail(
          'TL_BAD_CONFIG',
          `${place(key.range?.[0] ?? 0)}: expected a word as a key, got a list or an object (put text with brackets or braces in quotes)`,
        )
    },
  })
  let value: unknown
  try {
    // aliases that multiply without end are refused here
    value = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    fail('TL_BAD_CONFIG', `${path}: ${(error as Error).message} (expected YAML or JSON)`)
  }

  const child = (node: Node, key: string | number): { node?: Node; offset?: number } => {
    if (isSeq(node)) {
      const item = node.items[Number(key)] as Node | undefined
      return { node: item, offset: item?.range?.[0] }
    }
    if (!isMap(node)) return {}
    const pair = node.items.find(({ key: name }) => isScalar(name) && String(name.value) === String(key))
    return {
      node: (pair?.value as Node | null) ?? undefined,
      offset: (pair?.key as Node | undefined)?.range?.[0],
    }
  }
  /** Names of anchors within a value that an alias of the file refers to. */
  function isReferredTo(node: Node): boolean {
    const anchors = new Set<string>()
    visit(node, { Node: (_, { anchor }: Node & { anchor?: string }) => void (anchor && anchors.add(anchor)) })
    let isFound = false
    visit(document, {
      Alias: (_, { source }) => {
        isFound ||= anchors.has(source)
      },
    })
    return isFound
  }
  return {
    path,
    value,
    isAside(key) {
      const node = document.contents ? child(document.contents, key).node : undefined
      return /^(x-|_|\.)/.test(key) || (node !== undefined && isReferredTo(node))
    },
    where(steps) {
      let node: Node | undefined = document.contents ?? undefined
      let offset = 0
      for (const step of steps) {
        if (isAlias(node)) node = node.resolve(document) as Node | undefined
        if (!node) break
        const next = child(node, step)
        offset = next.offset ?? offset
        node = next.node
      }
      return place(offset)
    },
  }
}

/** Read and parse a file. Throws TL_IO when it cannot be read, TL_BAD_FILE when it is no text, TL_BAD_CONFIG naming the line when it is no YAML or JSON. */
export function readWritten(path: string): WrittenFile {
  return parseWritten(textOf(readBytes(path, mostBytes), path), path)
}
