/** @file The machine that made a measurement. */
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
