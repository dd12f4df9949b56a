/** @file The few members of onnxruntime-common that are used, so that any of its builds fits, and the native names of types. */
import { type Dtype, ofEachType, type TypedArray } from '../dtype.ts'

export interface OrtTensor {
  readonly data: unknown
  readonly dims: readonly number[]
}

export interface OrtSession {
  run(
    feeds: Record<string, OrtTensor>,
    fetches: Record<string, OrtTensor | null>,
  ): Promise<Record<string, OrtTensor>>
  release(): Promise<void>
}

/** Memory of the runtime itself: arrays in it are read and written without a copy, by the runtime and by kernels of our own. */
export interface RuntimeMemory {
  /** Zeros, freed once the array is garbage: a view made from it must not outlive it. Undefined when there is no room. */
  allocate(dtype: Dtype, size: number): TypedArray | undefined
  /** What kernels import. */
  readonly memory: WebAssembly.Memory
}

export interface OrtModule {
  readonly Tensor: new (type: string, data: never, dims: readonly number[]) => OrtTensor
  readonly InferenceSession: { create(bytes: Uint8Array, options: object): Promise<unknown> }
  readonly memory?: RuntimeMemory
}

/** Names of element types as the runtime's tensors have them. */
export const ortType = ofEachType(({ word }) => word)

/** The runtime's message in one line, without its C++ signatures. */
export const lineOf = (error: unknown): string =>
  (error as Error).message.split('\n')[0]!.replace(/\S*onnxruntime_src\S+ .*?[&*>\w]\)( const)? /, '')
