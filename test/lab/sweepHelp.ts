/** @file What the tests of sweeps share: a folder, sweep files in it, and an executor that works in this process. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach } from 'vitest'
import {
  completeConfig,
  type Executor,
  executeRun,
  importExperiment,
  planSweep,
} from '../../src/lab/index.ts'

/** The experiment `walk`. */
export const toyPath = fileURLToPath(new URL('./sweepToy.mjs', import.meta.url))

/** A fresh folder for every test. */
export function testFolder(): { path: () => string; file: (name: string, text: string) => string } {
  let root = ''
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'treeline-sweep-'))
  })
  afterEach(() => rmSync(root, { recursive: true, force: true }))
  return {
    path: () => root,
    file(name, text) {
      const path = join(root, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text)
      return path
    },
  }
}

/** Plan a sweep file whose experiments are modules. */
export const planFile = (path: string, root: string, set: readonly string[] = []) =>
  planSweep(path, {
    root,
    set,
    findExperiment: (name) => {
      throw new Error(`no experiment ${name} in this test`)
    },
  })

/** Runs in this process: the seam between sweeps and what carries them out. */
export const hereExecutor: Executor = {
  name: 'here',
  description: 'in this process',
  parallel: () => 1,
  start({ config, root, threads, module }, { onProgress, onLog }) {
    const controller = new AbortController()
    const ended = (async () => {
      const experiment = await importExperiment(module!)
      try {
        const { signal } = controller
        await executeRun(experiment, completeConfig(experiment, config), {
          root,
          threads,
          module,
          signal,
          onProgress,
          onLog,
        })
        return { kind: 'finished' as const }
      } catch (error) {
        const { code, message } = error as { code?: string; message: string }
        if (code === 'TL_INTERRUPTED') return { kind: 'interrupted' as const }
        return { kind: code === 'TL_BUSY' ? ('busy' as const) : ('failed' as const), message }
      }
    })()
    return { interrupt: () => controller.abort(), ended }
  },
}
