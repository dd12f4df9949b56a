/** @file The runtime's WebAssembly build, bound to its own memory. */
export { openWasm } from './binding.ts'
export type { WasmFactory } from './core.ts'
