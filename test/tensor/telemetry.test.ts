/** The native runtime reports about its use unless it is told not to; Treeline tells it, in every process and thread. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'

const root = mkdtempSync(join(tmpdir(), 'treeline-telemetry-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const built = (path: string): string => fileURLToPath(new URL(`../../dist/${path}`, import.meta.url))
const engine = JSON.stringify(built('tensor/index.js'))
const runtime = JSON.stringify(fileURLToPath(import.meta.resolve('onnxruntime-node')))

/** Where the runtime keeps its device id and the events it has not sent yet (Linux). */
const reports = (home: string): boolean => existsSync(join(home, '.cache/Microsoft'))

/** Run Node in an empty home, with the reports asked for by the environment; what it printed and whether there are any. */
async function inEmptyHome(name: string, words: string[]): Promise<{ out: string; reported: boolean }> {
  const home = join(root, name)
  mkdirSync(home)
  // nothing else of the environment: the runtime is silent where it sees that a CI service runs it (CI=true)
  const { PATH = '' } = process.env
  const env = { PATH, HOME: home, ORT_DISABLE_TELEMETRY: '0', TREELINE_CACHE: join(root, 'cache') }
  const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: home, env })
  return { out: stdout, reported: reports(home) }
}

const script = (name: string, text: string): string => {
  const path = join(root, name)
  writeFileSync(path, text)
  return path
}
/** Prints whether this process has loaded the native library: without it nothing would be shown. */
const loaded = `console.log(process.report.getReport().sharedObjects.some((path) => path.includes('onnxruntime_binding')))`
const program = `
  const { compile, square, tensor } = await import(${engine})
  await compile(square)(tensor([1, 2]))
  ${loaded}`

describe.runIf(process.platform === 'linux')('the reports of the runtime', () => {
  test('exist when it is loaded as it is: the tests below can fail', async () => {
    const text = `import ort from ${runtime}
      const session = ort.InferenceSession.create(new Uint8Array(4))
      await session.catch(() => {})
      ${loaded}`
    const { out, reported } = await inEmptyHome('raw', [script('raw.mjs', text)])
    expect([out.trim(), reported]).toEqual(['true', true])
  })

  test('are off in the library, whatever the environment says', async () => {
    const { out, reported } = await inEmptyHome('library', [script('library.mjs', program)])
    expect([out.trim(), reported]).toEqual(['true', false])
  })

  test('are off where only a worker thread, with an environment of its own, has loaded Treeline', async () => {
    const worker = JSON.stringify(script('worker.mjs', program))
    const text = `import { Worker } from 'node:worker_threads'
      new Worker(${worker}, { env: {} })`
    const { out, reported } = await inEmptyHome('thread', [script('thread.mjs', text)])
    expect([out.trim(), reported]).toEqual(['true', false])
  })

  test('are off in a worker thread whose main thread is waiting for it', async () => {
    const text = `import { Worker, isMainThread, workerData } from 'node:worker_threads'
      import { writeFileSync } from 'node:fs'
      if (isMainThread) {
        const cell = new Int32Array(new SharedArrayBuffer(4))
        new Worker(new URL(import.meta.url), { workerData: cell })
        console.log(Atomics.wait(cell, 0, 0, 20_000))
      } else {
        const { compile, square, tensor } = await import(${engine})
        await compile(square)(tensor([1, 2]))
        Atomics.store(workerData, 0, 1)
        Atomics.notify(workerData, 0)
      }`
    const { out, reported } = await inEmptyHome('waiting', [script('waiting.mjs', text)])
    expect([out.trim(), reported]).toEqual(['ok', false])
  })

  test('are off in the program: doctor, a run on threads, a sweep in processes', async () => {
    const main = built('cli/main.js')
    const doctor = await inEmptyHome('doctor', [main, 'doctor'])
    expect([doctor.out.includes('ready'), doctor.reported]).toEqual([true, false])
    const point = 'parts=cnn,settings=[{"m":3,"L":2}],multiples=2,grammars=2,v=4,width=8,steps=64,probes=10'
    const run = await inEmptyHome('run', [main, 'run', 'sample-complexity', '--set', point, '--threads', '2'])
    expect([run.out.includes('test error'), run.reported]).toEqual([true, false])
    const file = script('sweep.json', JSON.stringify({ experiment: 'sample-complexity', repeat: 2 }))
    const sweep = await inEmptyHome('sweep', [main, 'sweep', file, '--set', point, '--parallel', '2'])
    expect([readdirSync(join(root, 'sweep', 'runs')).length > 0, sweep.reported]).toEqual([true, false])
  })
})
