/** @file Where a folder keeps the settings of its preprocessing. */
import { join } from 'node:path'
import { fail, isObject, type JsonObject } from '../base/index.ts'
import { readObject } from '../base/read.ts'

/** The settings and a name for them: a file of their own, or a part of the processor's. Throws `TL_BAD_FILE`, `TL_IO`. */
export function readPreprocessing(folder: string): readonly [JsonObject, string] {
  const own = join(folder, 'preprocessor_config.json')
  const found = readObject(own)
  if (found) return [found, own]
  const shared = join(folder, 'processor_config.json')
  const part = readObject(shared)?.['image_processor']
  if (isObject(part)) return [part, `${shared}, image_processor`]
  return fail(
    'TL_BAD_FILE',
    `${folder}: no preprocessor_config.json: it says how pictures are cut and scaled`,
  )
}
