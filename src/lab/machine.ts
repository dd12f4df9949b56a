/** @file The machine that made a measurement. */
import { existsSync, readFileSync } from 'node:fs'
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os'
import { join } from 'node:path'

/** What a report says about where its numbers were measured. */
export interface Machine {
  platform: string
  cpu: string
  cores: number
  /** Bytes. */
  memory: number
  node: string
}

/** A kind of machine that took part in a run, and how many jobs it did. */
export interface MachineKind {
  readonly node: string
  readonly cpu: string
  readonly jobs: number
}

/** `machines.json` of a run folder: where its jobs were done, when that was elsewhere; none otherwise. */
export function readMachines(folder: string): MachineKind[] {
  const path = join(folder, 'machines.json')
  if (!existsSync(path)) return []
  try {
    const list: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return Array.isArray(list) ? list : []
  } catch {
    // damaged: results do not depend on it
    return []
  }
}

/** This machine. */
export const thisMachine = (): Machine => ({
  platform: `${platform()} ${arch()} ${release()}`,
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  memory: totalmem(),
  node: process.versions.node,
})
