/** @file One experiment without the others: a process that runs one loads the libraries of one. */
import { readdirSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { namedOf } from '../base/index.ts'
import type { AnyExperiment } from '../lab/index.ts'

/** This module, as the processes of a sweep find it. */
export const registry = import.meta.url

/** The experiments by their files: each has the name of its own. */
function files(): { name: string; file: string }[] {
  const end = extname(fileURLToPath(import.meta.url))
  return readdirSync(new URL('.', import.meta.url))
    .filter((file) => file.endsWith(end) && !file.endsWith(`.d${end}`))
    .map((file) => ({ name: file.slice(0, -end.length), file }))
    .filter(({ name }) => name !== 'index' && name !== 'load')
}

/** An experiment by name. Throws TL_USAGE with the nearest name. */
export async function loadExperiment(name: string): Promise<AnyExperiment> {
  const { file } = namedOf('experiment', files(), name, 'TL_USAGE')
  const exported = (await import(new URL(file, import.meta.url).href)) as Record<
    string,
    Partial<AnyExperiment>
  >
  return Object.values(exported).find((value) => value?.name === name) as AnyExperiment
}
