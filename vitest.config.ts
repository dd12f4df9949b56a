import { defineConfig } from 'vitest/config'

// tests that open the runtime themselves keep it silent too; the engine needs no help (test/tensor/telemetry.test.ts)
process.env['ORT_DISABLE_TELEMETRY'] = '1'

/**
 * The engine and the networks run on both builds of the runtime. Not on WebAssembly: files in which the build plays no part
 * (export, telemetry, tree), processes of their own (resume), and the blocked layouts of images, which only the native build
 * has (convolution, images); convolutions themselves are in `primitives` and `networks`.
 */
const onBothBuilds = [
  'test/tensor/{compile,dynamic,functions,oracle,primitives,random,runtime,step,tail,transforms}.test.ts',
  'test/nn/{layers,losses,networks,optimizers,parametrization,train}.test.ts',
]

export default defineConfig({
  test: {
    setupFiles: ['test/seed.ts'],
    testTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'native', include: ['test/**/*.test.ts'] } },
      { extends: true, test: { name: 'wasm', include: onBothBuilds, env: { TREELINE_RUNTIME: 'wasm' } } },
    ],
  },
})
