/**
 * @file The runtime's WebAssembly module as its own C interface has it (`js/web/lib/wasm/wasm-types.ts` of ONNX Runtime 1.30).
 * The package's own binding copies every input and result of every call, and never fills a given array; here both lie in the
 * module's memory.
 */

/** What the module exports. Addresses are numbers; most functions return 0 when they succeed, and makers 0 when they fail. */
export interface WasmCore {
  readonly HEAPU8: Uint8Array
  _malloc(bytes: number): number
  _free(address: number): void
  stackSave(): number
  stackAlloc(bytes: number): number
  stackRestore(to: number): void
  getValue(address: number, type: string): number
  setValue(address: number, value: number, type: string): void
  UTF8ToString(address: number): string
  mountExternalData(path: string, data: Uint8Array): void
  unmountExternalData(): void
  _OrtInit(threads: number, logLevel: number): number
  _OrtGetLastError(code: number, message: number): number
  _OrtCreateSessionOptions(
    optimization: number,
    arena: boolean,
    pattern: boolean,
    mode: number,
    profiling: boolean,
    profilePrefix: number,
    logId: number,
    logSeverity: number,
    logVerbosity: number,
    optimizedPath: number,
  ): number
  _OrtAddSessionConfigEntry(options: number, key: number, value: number): number
  _OrtReleaseSessionOptions(options: number): number
  _OrtCreateSession(bytes: number, length: number, options: number): number | Promise<number>
  _OrtReleaseSession(session: number): number
  _OrtCreateTensor(
    type: number,
    data: number,
    bytes: number,
    dims: number,
    rank: number,
    location: number,
  ): number
  _OrtGetTensorData(tensor: number, type: number, data: number, dims: number, rank: number): number
  _OrtReleaseTensor(tensor: number): number
  _OrtFree(address: number): number
  _OrtRun(
    session: number,
    inputNames: number,
    inputs: number,
    inputCount: number,
    outputNames: number,
    outputCount: number,
    outputs: number,
    options: number,
  ): number | Promise<number>
}

export type WasmFactory = (options: {
  readonly numThreads: number
  readonly instantiateWasm: (
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ) => object
}) => Promise<WasmCore>

/** The module and the memory it lives in. */
export interface OpenCore {
  readonly core: WasmCore
  readonly memory: WebAssembly.Memory
}

/** Instantiate the module from its bytes and start the runtime in it with a pool of threads. */
export async function openCore(
  factory: WasmFactory,
  bytes: Uint8Array<ArrayBuffer>,
  threads: number,
): Promise<OpenCore> {
  let memory: WebAssembly.Memory | undefined
  const core = await new Promise<WasmCore>((resolve, reject) => {
    factory({
      numThreads: threads,
      instantiateWasm: (imports, done) => {
        memory = Object.values(imports)
          .flatMap((space) => Object.values(space))
          .find((value): value is WebAssembly.Memory => value instanceof WebAssembly.Memory)
        WebAssembly.instantiate(bytes, imports)
          .then(({ instance, module }) => done(instance, module))
          .catch(reject)
        return {}
      },
    }).then(resolve, reject)
  })
  if (!memory) throw new Error('the WebAssembly runtime imports no memory')
  const errorsOnly = 3
  if (core._OrtInit(threads, errorsOnly) !== 0) throw new Error(lastError(core))
  return { core, memory }
}

/** Run `work` with the module's stack as it was before. */
export function onStack<T>(core: WasmCore, work: (allocate: (bytes: number) => number) => T): T {
  const stack = core.stackSave()
  try {
    return work((bytes) => core.stackAlloc(bytes))
  } finally {
    core.stackRestore(stack)
  }
}

/** What the runtime said last. */
export const lastError = (core: WasmCore): string =>
  onStack(core, (allocate) => {
    const place = allocate(8)
    core._OrtGetLastError(place, place + 4)
    const message = core.getValue(place + 4, '*')
    return message ? core.UTF8ToString(message) : 'unknown error'
  })

/** A zero-terminated copy of a text, to be freed. */
export function allocateText(core: WasmCore, text: string): number {
  const bytes = new TextEncoder().encode(`${text}\0`)
  const address = core._malloc(bytes.length)
  core.HEAPU8.set(bytes, address)
  return address
}
