/**
 * @file GGUF files in parts, `name-00001-of-00003.gguf`, as llama.cpp's gguf-split and the `gguf` package write them. Any
 * part opens the whole: the first one has the metadata, each has some of the tensors.
 */
import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fail } from '../../base/index.ts'
import type { CheckpointTensor } from '../checkpoint.ts'
import { quoted } from '../header.ts'
import { plainValues } from './fields.ts'
import { type GgufFile, openGgufPart } from './read.ts'

/** More parts than any model has; each is held open. */
const MAX_PARTS = 1000

/** What a name says: everything before the numbers, the part from 1 on, how many there are, everything behind. */
const inParts = /^(.*-)(\d{5})-of-(\d{5})(\.gguf)?$/is

const five = (n: number): string => String(n).padStart(5, '0')

/** Are these names all parts of one file? Whether all are there is said when it is opened. */
export function areParts(names: readonly string[]): boolean {
  const sets = names.map((name) => {
    const found = inParts.exec(name)
    return found ? `${found[1]}/${found[3]}/${found[4]}` : undefined
  })
  return names.length > 0 && sets[0] !== undefined && sets.every((set) => set === sets[0])
}

function numberOf({ metadata, path }: GgufFile, key: string): number | undefined {
  const value = metadata[key]
  if (value === undefined || (typeof value === 'number' && Number.isInteger(value) && value >= 0))
    return value
  return fail('TL_BAD_FILE', `${path}: ${key} is ${JSON.stringify(String(value))}, expected a whole number`)
}

/**
 * Open a GGUF file, whole or in parts: headers only. Of a split file any part opens the whole, whose `path` is the one that
 * was given and whose `fields` are those of the first part without `split.*`.
 * Throws `TL_BAD_FILE` naming the part that is missing or does not fit, `TL_UNSUPPORTED`, `TL_IO`.
 */
export function openGguf(path: string): GgufFile {
  const named = openGgufPart(path)
  try {
    const count = numberOf(named, 'split.count') ?? 1
    return count > 1 ? openParts(named, count) : named
  } catch (error) {
    named.close()
    throw error
  }
}

function openParts(named: GgufFile, count: number): GgufFile {
  const { path } = named
  const number = (numberOf(named, 'split.no') ?? 0) + 1
  if (number > count || count > MAX_PARTS)
    fail('TL_BAD_FILE', `${path}: split.no is ${number - 1} and split.count ${count}: the file is damaged`)
  const name = inParts.exec(basename(path))
  if (!name || Number(name[2]) !== number || Number(name[3]) !== count)
    return fail(
      'TL_BAD_FILE',
      `${path}: part ${number} of ${count} of a split GGUF file: the other parts are found by their names, so give it back the name that ends in -${five(number)}-of-${five(count)}.gguf`,
    )
  const pathOf = (part: number): string =>
    join(dirname(path), `${name[1]}${five(part)}-of-${five(count)}${name[4] ?? ''}`)
  const numbers = Array.from({ length: count }, (_, i) => i + 1)
  const missing = numbers.filter((part) => !existsSync(pathOf(part)))
  if (missing.length > 0)
    fail(
      'TL_IO',
      `${path}: part ${number} of ${count} of a split GGUF file, of which ${missing.length === 1 ? 'part' : 'parts'} ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing: download ${basename(pathOf(missing[0]!))}${missing.length > 1 ? ' …' : ''} into the same folder`,
    )
  const others: GgufFile[] = []
  const close = (): void => {
    named.close()
    for (const part of others) part.close()
  }
  try {
    const parts = numbers.map((part) => {
      if (part === number) return named
      const other = openGgufPart(pathOf(part))
      others.push(other)
      return other
    })
    for (const [i, part] of parts.entries()) {
      const [own, total] = [numberOf(part, 'split.no'), numberOf(part, 'split.count')]
      if (own !== i || total !== count)
        fail(
          'TL_BAD_FILE',
          `${part.path}: says that it is part ${(own ?? 0) + 1} of ${total ?? 1}, its name says part ${i + 1} of ${count}: the parts are of different files`,
        )
    }
    const first = parts[0]!
    const tensors = joined(parts)
    const announced = numberOf(first, 'split.tensors.count')
    if (announced !== undefined && announced !== tensors.size)
      fail(
        'TL_BAD_FILE',
        `${path}: the ${count} parts hold ${tensors.size} tensors, split.tensors.count says ${announced}: the parts are of different files`,
      )
    const fields = new Map([...first.fields].filter(([key]) => !key.startsWith('split.')))
    const metadata = plainValues(fields)
    return { ...first, path, format: `gguf (${count} parts)`, fields, metadata, tensors, close }
  } catch (error) {
    close()
    throw error
  }
}

function joined(parts: readonly GgufFile[]): Map<string, CheckpointTensor> {
  const tensors = new Map<string, CheckpointTensor>()
  for (const part of parts)
    for (const [name, tensor] of part.tensors) {
      if (tensors.has(name))
        fail('TL_BAD_FILE', `${part.path}: tensor ${quoted(name)} stands in an earlier part, too`)
      tensors.set(name, tensor)
    }
  return tensors
}
