/** @file The machine and the package that made a measurement. */
import { readFileSync } from 'node:fs'
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os'

/** What a report says about where its numbers were measured. */
export interface Machine {
  platform: string
  cpu: string
  cores: number
  /** Bytes. */
  memory: number
  node: string
}

/** This machine. */
export const thisMachine = (): Machine => ({
  platform: `${platform()} ${arch()} ${release()}`,
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  memory: totalmem(),
  node: process.versions.node,
})

/** The version in Treeline's own package.json. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
