/** @file Treeline as a library; each floor is also a subpath (`treeline/tensor`, `treeline/nn`, …). */
export * as tensor from './tensor/index.ts'
