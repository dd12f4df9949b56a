/** @file Task vectors of a replica: fine-tuned once, kept in its folder, read when they are needed. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fail } from '../../base/index.ts'
import { readSafetensors } from '../../checkpoint/index.ts'
import { loadParameters, type Parameters, saveParameters } from '../../nn/index.ts'
import { entries } from '../../tensor/index.ts'
import { combined } from '../tasks/vectors.ts'

/** SHA-256 of parameters: names, shapes and numbers. */
function fingerprintOf(parameters: Parameters): string {
  const hash = createHash('sha256')
  for (const [name, { shape, data }] of entries(parameters)) {
    hash.update(`${name} ${shape.join(',')}\n`)
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  }
  return hash.digest('hex')
}

export interface VectorFiles {
  /** The vector of a name: from its file, or made and kept. */
  get(name: string, make: () => Promise<Parameters>): Promise<Parameters>
  /** Σ τ of names that are there. */
  sum(names: readonly string[]): Parameters
}

/** The vectors in a folder, all from one start. Throws `TL_BAD_FILE` for a vector from another one. */
export function openVectors(folder: string, start: Parameters): VectorFiles {
  const base = fingerprintOf(start)
  const fileOf = (name: string): string => join(folder, `${name.replace(/[^\w.-]/g, '_')}.safetensors`)
  const read = (name: string): Parameters => {
    const file = fileOf(name)
    const made = readSafetensors(file).metadata['base']
    if (made !== base)
      fail(
        'TL_BAD_FILE',
        `${file}: fine-tuned from another base (${String(made).slice(0, 12)}, expected ${base.slice(0, 12)}): vectors add only from one: remove it`,
      )
    return loadParameters(file, start)
  }
  return {
    async get(name, make) {
      const file = fileOf(name)
      if (existsSync(file)) return read(name)
      const vector = await make()
      mkdirSync(folder, { recursive: true })
      saveParameters(file, vector, { base })
      return vector
    },
    sum(names) {
      const [first, ...others] = names
      let total = read(first!)
      for (const name of others)
        total = combined([
          [1, total],
          [1, read(name)],
        ])
      return total
    },
  }
}
