/** @file `treeline doctor`: what this machine has, what is missing, and how to get it. */
import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { totalmem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { Command } from 'commander'
import { bytes, fail, prettyJson } from '../../base/index.ts'
import { packageVersion } from '../../base/version.ts'
import type { Io } from '../io.ts'
import { jsonOption } from '../options.ts'

/** One thing that was looked at. `fix` says what to do when it is not well. */
interface Check {
  name: string
  ok: boolean
  /** False when Treeline works without it. */
  needed: boolean
  value: string
  fix?: string
}

/** The version of an installed dependency, read from its package.json above its entry file. */
function installedVersion(name: string): string | undefined {
  try {
    const entry = createRequire(import.meta.url).resolve(name)
    for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
      const path = join(folder, 'package.json')
      if (!existsSync(path)) continue
      const about = JSON.parse(readFileSync(path, 'utf8')) as { name?: string; version?: string }
      if (about.name === name) return about.version
    }
  } catch {
    // not installed: the caller says so
  }
  return undefined
}

/** The nearest existing folder at or above a path. */
function existing(path: string): string {
  let folder = resolve(path)
  while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder)
  return folder
}

function folderCheck(name: string, path: string, fix: string): Check {
  const folder = existing(path)
  if (!statSync(folder).isDirectory())
    return { name, ok: false, needed: true, value: `${path}: ${folder} is a file`, fix }
  let writable = true
  try {
    accessSync(folder, constants.W_OK)
  } catch {
    writable = false
  }
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  const room = free > 500e6
  const value = `${path}, ${writable ? 'writable' : 'not writable'}, ${bytes(free)} free`
  return {
    name,
    ok: writable && room,
    needed: true,
    value,
    fix: writable ? `free some space or ${fix}` : fix,
  }
}

function nodeCheck(): Check {
  const { node } = process.versions
  const fix = 'install Node 20 or later'
  return { name: 'node', ok: Number(node.split('.')[0]) >= 20, needed: true, value: node, fix }
}

/** Run a program, which also finds out whether the native library fits this system, and what does its work where it does not. */
async function runtimeCheck(): Promise<Check> {
  const base = { name: 'onnxruntime', needed: true }
  const { compile, ones, runtime, silenceRuntimeNotice, square } = await import('../../tensor/index.ts')
  silenceRuntimeNotice()
  try {
    // loaded by the engine: nothing is to load it with its reports about its use switched on
    const program = compile(square)
    await program(ones([1]))
    program.dispose()
  } catch (error) {
    const value = String((error as Error).message).split('\n')[0]!
    return { ...base, ok: false, value, fix: 'npm install treeline --ignore-scripts' }
  }
  const { name, reason, fix, version } = await runtime()
  if (name === 'native')
    return { ...base, ok: true, value: `${installedVersion('onnxruntime-node')}, native, its telemetry off` }
  const value = `${version} on WebAssembly, several times slower than native: ${reason}`
  // it works, and the way to the other one is shown all the same
  return { ...base, ok: fix === undefined, needed: false, value, ...(fix && { fix }) }
}

async function examine(out: string) {
  const { datasetStatus } = await import('../../data/index.ts')
  const { thisMachine } = await import('../../lab/index.ts')
  const { cacheDir, datasets, unfinishedBytes } = datasetStatus()
  const machine = thisMachine()
  const checks: Check[] = [
    nodeCheck(),
    await runtimeCheck(),
    folderCheck('runs folder', out, 'choose another folder with --out'),
    folderCheck('cache', cacheDir, 'set TREELINE_CACHE to another folder'),
    ...datasets.map(({ name, state, bytes: size, downloadBytes, where, reason }): Check => {
      const value =
        state !== 'absent'
          ? `${state}, ${bytes(size)}`
          : where
            ? 'not cached (taken from a folder)'
            : `not cached (${bytes(downloadBytes)} to download)`
      const fix = `treeline data get ${name}${where ? ' --from FOLDER' : ''}`
      // an absent set is fetched when it is needed; a damaged one too
      return {
        name: `data ${name}`,
        ok: state === 'cached',
        needed: false,
        value: reason ? `${value}: ${reason}` : value,
        fix,
      }
    }),
  ]
  const ready = checks.every(({ ok, needed }) => ok || !needed)
  return {
    treeline: packageVersion(),
    ready,
    machine: { ...machine, memory: totalmem() },
    threads: machine.cores,
    cache: { folder: cacheDir, unfinishedBytes },
    datasets,
    checks: checks.map(({ fix, ...check }) => (check.ok ? check : { ...check, fix })),
  }
}

/** The command. */
export const doctorCommand = (io: Io): Command =>
  new Command('doctor')
    .description('check this machine: versions, threads, caches, what is missing and how to get it')
    .option('--out <dir>', 'the folder that will hold runs', 'runs')
    .addOption(jsonOption())
    .action(async (flags: { out: string; json?: boolean }) => {
      const report = await examine(flags.out)
      if (flags.json) io.out(prettyJson(report))
      else {
        const { machine, checks } = report
        io.out(`treeline ${report.treeline}\n`)
        io.out(
          `machine: ${machine.cpu}, ${machine.cores} cores, ${bytes(machine.memory)}, ${machine.platform}\n`,
        )
        io.out(`threads: ${report.threads} (change with --threads)\n\n`)
        const width = Math.max(...checks.map(({ name }) => name.length))
        for (const check of checks) {
          const mark = check.ok ? '✓' : check.needed ? '✗' : '·'
          const fix = 'fix' in check ? `  → ${check.fix}` : ''
          io.out(`${mark} ${check.name.padEnd(width)}  ${check.value}${fix}\n`)
        }
        if (report.ready) io.out('\nready\n')
      }
      if (!report.ready) {
        const broken = report.checks.filter(({ ok, needed }) => needed && !ok).map(({ name }) => name)
        fail('TL_UNSUPPORTED', `this machine is not ready: ${broken.join(', ')} (see → above)`)
      }
    })
