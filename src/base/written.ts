/** @file YAML and JSON files that people write: their data, and the line of every entry for messages that point at it. */
import { readFileSync } from 'node:fs'
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import { fail } from './errors.ts'
import { explainSystemError } from './files.ts'

/** A parsed file. */
export interface WrittenFile {
  readonly path: string
  readonly value: unknown
  /** `file.yaml:3` of the entry at a path, or of the nearest one around it. */
  readonly where: (path: readonly (string | number)[]) => string
}

/** No config needs more; it bounds what a wrong file can cost. */
const mostBytes = 16e6

/** Parse a text as YAML 1.2, of which JSON is a part. Throws TL_BAD_FILE naming the line. */
export function parseWritten(text: string, path: string): WrittenFile {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true })
  const place = (offset: number): string => `${path}:${lines.linePos(offset).line}`
  const [problem] = [...document.errors, ...document.warnings]
  if (problem)
    fail('TL_BAD_FILE', `${place(problem.pos[0])}: ${problem.message.trim()} (expected YAML or JSON)`)
  let value: unknown
  try {
    // aliases that multiply without end are refused here
    value = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    fail('TL_BAD_FILE', `${path}: ${(error as Error).message} (expected YAML or JSON)`)
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
  return {
    path,
    value,
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

/** Read and parse a file. Throws TL_IO when it cannot be read, TL_BAD_FILE naming the line when it is no YAML or JSON. */
export function readWritten(path: string): WrittenFile {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path)
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
  if (bytes.byteLength > mostBytes)
    fail(
      'TL_BAD_FILE',
      `${path}: ${bytes.byteLength} bytes; expected a file written by hand, of at most 16 MB`,
    )
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return fail('TL_BAD_FILE', `${path}: expected YAML or JSON in UTF-8; this is no text`)
  }
  return parseWritten(text, path)
}
