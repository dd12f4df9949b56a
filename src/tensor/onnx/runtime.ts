/**
 * @file Which build of ONNX Runtime the default backend runs on: the native library, or, where that is absent or does not load,
 * the WebAssembly build, several times slower. `TREELINE_RUNTIME=native|wasm` forces one. Node only.
 */
import { fail } from '../../base/index.ts'
import { lineOf, type OrtModule } from './ort.ts'
import { silenceTelemetry } from './telemetry.ts'
import type { WasmFactory } from './wasm/core.ts'
import { openWasm } from './wasm/index.ts'

export type RuntimeName = 'native' | 'wasm'

export interface RuntimeChoice {
  readonly name: RuntimeName
  /** Why it is not the native one: chosen, or what went wrong, and how to get native speed. */
  readonly reason?: string
  readonly fix?: string
  /** Of the WebAssembly build. */
  readonly version?: string
  load(threads: number): Promise<OrtModule>
}

/** Modules of Node, out of sight of bundlers: a browser never comes here. */
const builtin = (name: string): Promise<unknown> => import(/* @vite-ignore */ `node:${name}`)

const loadNative = async (): Promise<OrtModule> => {
  await silenceTelemetry()
  const loaded = (await import('onnxruntime-node')) as unknown as OrtModule & { default?: OrtModule }
  return loaded.InferenceSession ? loaded : loaded.default!
}

interface WasmFiles {
  readonly version: string
  readonly factory: WasmFactory
  readonly bytes: Uint8Array<ArrayBuffer>
}

async function findWasm(): Promise<WasmFiles> {
  const { createRequire } = (await builtin('module')) as typeof import('node:module')
  const { readFile } = (await builtin('fs/promises')) as typeof import('node:fs/promises')
  const { existsSync } = (await builtin('fs')) as typeof import('node:fs')
  const { dirname, join } = (await builtin('path')) as typeof import('node:path')
  const { fileURLToPath, pathToFileURL } = (await builtin('url')) as typeof import('node:url')
  // the built package holds the two files of the 139 MB that are needed; sources find them among the development dependencies
  const copy = fileURLToPath(new URL('../../onnxruntime/', import.meta.url))
  const isCopied = existsSync(copy)
  const pathOf = (end: string): string => {
    const name = `ort-wasm-simd-threaded.${end}`
    return isCopied ? copy + name : createRequire(import.meta.url).resolve(`onnxruntime-web/${name}`)
  }
  const about = isCopied ? `${copy}package.json` : join(dirname(pathOf('wasm')), '..', 'package.json')
  const { version } = JSON.parse(await readFile(about, 'utf8')) as { version: string }
  const module = (await import(/* @vite-ignore */ pathToFileURL(pathOf('mjs')).href)) as {
    default: WasmFactory
  }
  return { version, factory: module.default, bytes: new Uint8Array(await readFile(pathOf('wasm'))) }
}

/** One instance, with memory of its own, for each number of threads. */
function wasmLoader(files: WasmFiles): RuntimeChoice['load'] {
  const instances = new Map<number, Promise<OrtModule>>()
  return (threads) => {
    let instance = instances.get(threads)
    if (!instance) {
      instance = openWasm(files.factory, files.bytes, threads)
      instances.set(threads, instance)
    }
    return instance
  }
}

const isMissing = (error: unknown): boolean =>
  ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'].includes((error as { code?: string }).code ?? '') &&
  /onnxruntime-node['"]/.test((error as Error).message)

function forced(): RuntimeName | undefined {
  const value = globalThis.process?.env['TREELINE_RUNTIME']
  if (value === undefined || value === '') return undefined
  if (value === 'native' || value === 'wasm') return value
  return fail('TL_BAD_ARGUMENT', `TREELINE_RUNTIME: expected native or wasm, got ${JSON.stringify(value)}`)
}

async function choose(): Promise<RuntimeChoice> {
  if (!globalThis.process?.versions?.node)
    fail(
      'TL_UNSUPPORTED',
      'the default backend needs Node: call setDefaultBackend with one made by makeOnnxBackend from onnxruntime-web',
    )
  const wanted = forced()
  const wasm = async (because: Pick<RuntimeChoice, 'reason' | 'fix'>): Promise<RuntimeChoice> => {
    const files = await findWasm().catch((error: unknown) =>
      fail(
        'TL_UNSUPPORTED',
        `no runtime: ${because.reason}, and its WebAssembly build does not load either: ${lineOf(error)} (npm install treeline --ignore-scripts)`,
        error,
      ),
    )
    return { name: 'wasm', ...because, version: files.version, load: wasmLoader(files) }
  }
  if (wanted === 'wasm') return wasm({ reason: 'TREELINE_RUNTIME=wasm' })
  try {
    const native = await loadNative()
    return { name: 'native', load: async () => native }
  } catch (error) {
    const missing = isMissing(error)
    const reason = missing
      ? 'onnxruntime-node is not installed'
      : `onnxruntime-node does not load here: ${lineOf(error)}`
    const fix = missing
      ? 'npm install treeline --ignore-scripts'
      : 'its binaries are for Linux with glibc, macOS and Windows, on x64 and arm64'
    if (wanted === 'native')
      fail('TL_UNSUPPORTED', `${reason} (${fix}; TREELINE_RUNTIME=native forbids another runtime)`, error)
    const choice = await wasm({ reason, fix })
    await notice(choice)
    return choice
  }
}

let isSilent = false
/** Do not say on stderr that the runtime is not the native one. To be called before the first program runs. */
export function silenceRuntimeNotice(): void {
  isSilent = true
}

/** One line, from the main thread alone. */
async function notice({ reason, fix }: RuntimeChoice): Promise<void> {
  const { isMainThread } = (await builtin('worker_threads')) as typeof import('node:worker_threads')
  if (isMainThread && !isSilent)
    globalThis.process.stderr.write(
      `treeline: ${reason}, so programs run on WebAssembly, several times slower; native speed: ${fix} (TREELINE_RUNTIME=wasm silences this line)\n`,
    )
}

let chosen: Promise<RuntimeChoice> | undefined
/** The runtime of this process, chosen at the first call. */
export function runtime(): Promise<RuntimeChoice> {
  chosen ??= choose()
  return chosen
}
