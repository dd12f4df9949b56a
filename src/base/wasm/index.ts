/** @file WebAssembly by hand: an assembler for loops over one memory, plain and on vectors of 128 bits. */
export * from './assemble.ts'
export * from './vectors.ts'
