/**
 * @file ONNX Runtime's WebAssembly build as the backend of a page. Threads need a page that is isolated from others
 * (`Cross-Origin-Opener-Policy: same-origin`, `Cross-Origin-Embedder-Policy: require-corp`), as memory is shared between them.
 */
import { fail } from '../base/index.ts'
import { type Backend, makeOnnxBackend, openWasm, type WasmFactory } from '../tensor/index.ts'

export interface BrowserBackendOptions {
  /** Threads of a program (default: all cores but one, at most four); one where the page is not isolated. */
  readonly threads?: number
  /** Ask for the graphics card. It is never used yet: `notice` says so. */
  readonly webgpu?: boolean
  /** Where the runtime's two files lie (default: beside this package's modules). */
  readonly files?: { readonly module: string | URL; readonly wasm: string | URL }
  /** Bytes of the runtime that have arrived, of how many (0: the server does not say). */
  readonly onProgress?: (done: number, total: number) => void
}

/** A backend and what there is to say of it. */
export interface BrowserBackend extends Backend {
  readonly threads: number
  /** One line on what makes it slower than it could be. */
  readonly notice?: string
}

// not in one piece with import.meta.url: bundlers would look for the files where the sources lie
const here = import.meta.url
const own = {
  module: new URL('../onnxruntime/ort-wasm-simd-threaded.mjs', here),
  wasm: new URL('../onnxruntime/ort-wasm-simd-threaded.wasm', here),
}

/** The runtime's bytes. Throws TL_IO with the address where they cannot be had. */
async function fetched(
  url: string | URL,
  onProgress: BrowserBackendOptions['onProgress'],
): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url).catch((error: unknown) =>
    fail('TL_IO', `${url}: cannot be fetched: ${(error as Error).message}`, error),
  )
  if (!response.ok || !response.body)
    fail('TL_IO', `${url}: the server answers ${response.status} (expected the runtime's WebAssembly)`)
  const total = Number(response.headers.get('content-length') ?? 0)
  const parts: Uint8Array[] = []
  let done = 0
  for (const reader = response.body!.getReader(); ; ) {
    const { value, done: ended } = await reader.read()
    if (ended) break
    parts.push(value)
    done += value.length
    onProgress?.(done, total)
  }
  const bytes = new Uint8Array(done)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** How many threads a page gets, and why not more. */
function threadsOf(wanted: number | undefined): { threads: number; notice?: string } {
  if (wanted !== undefined && !(Number.isSafeInteger(wanted) && wanted >= 1))
    fail('TL_BAD_ARGUMENT', `threads: expected a whole number ≥ 1, got ${wanted}`)
  const cores = globalThis.navigator?.hardwareConcurrency ?? 1
  const threads = wanted ?? Math.max(1, Math.min(4, cores - 1))
  if (threads === 1 || globalThis.crossOriginIsolated === true) return { threads }
  return {
    threads: 1,
    notice: `one thread instead of ${threads}, so programs are slower: the page is not isolated (its server must send Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp)`,
  }
}

/**
 * Open the runtime of a page or of a worker of it; hand the result to `setDefaultBackend`. The runtime, some 14 MB, is fetched
 * once. Throws TL_UNSUPPORTED where the browser has no WebAssembly, TL_IO where the files are not there.
 */
export async function openBrowserBackend(options: BrowserBackendOptions = {}): Promise<BrowserBackend> {
  if (typeof WebAssembly === 'undefined')
    fail('TL_UNSUPPORTED', 'this browser has no WebAssembly (Chromium 91, Firefox 89 or Safari 16.4 have it)')
  const { threads, notice } = threadsOf(options.threads)
  const { module, wasm } = options.files ?? own
  const loaded = (await import(/* @vite-ignore */ String(module))) as { default: WasmFactory }
  const bytes = await fetched(wasm, options.onProgress)
  const runtime = openWasm(loaded.default, bytes, threads)
  await runtime
  const card = options.webgpu ? 'the graphics card is not used yet' : undefined
  const said = [notice, card].filter((line) => line !== undefined).join('; ')
  const backend = makeOnnxBackend('web', () => runtime)
  return { ...backend, threads, ...(said !== '' && { notice: said }) }
}
