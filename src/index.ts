/** @file Treeline as a library; each floor is also a subpath (`treeline/tensor`, `treeline/nn`, …). */
export * as checkpoint from './checkpoint/index.ts'
export * as data from './data/index.ts'
export * as diffusion from './diffusion/index.ts'
export * as edit from './edit/index.ts'
export * as grammar from './grammar/index.ts'
export * as lab from './lab/index.ts'
export * as nn from './nn/index.ts'
export * as tensor from './tensor/index.ts'
