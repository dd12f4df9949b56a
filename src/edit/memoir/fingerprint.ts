/** @file Which model a store belongs to. */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { explainSystemError } from '../../base/files.ts'
import { modelPaths } from '../../checkpoint/index.ts'

/** SHA-256 of the weight files of a model and its config.json, in order of name; of its adapter, too. */
export function modelFingerprint(path: string): string {
  const hash = createHash('sha256')
  const buffer = new Uint8Array(2 ** 20)
  try {
    const files = modelPaths(path).flatMap((one) =>
      statSync(one).isDirectory()
        ? readdirSync(one)
            .filter((name) => /^(adapter_)?config\.json$|\.(safetensors|bin|pt|pth|gguf)$/.test(name))
            .sort()
            .map((name) => join(one, name))
        : [one],
    )
    for (const file of files) {
      hash.update(`${statSync(file).size}\n`)
      const descriptor = openSync(file, 'r')
      try {
        for (let n = readSync(descriptor, buffer); n > 0; n = readSync(descriptor, buffer))
          hash.update(buffer.subarray(0, n))
      } finally {
        closeSync(descriptor)
      }
    }
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
  return hash.digest('hex')
}
