import { defineConfig } from 'vitest/config'

// tests that open the runtime themselves keep it silent too; the engine needs no help (test/tensor/telemetry.test.ts)
process.env['ORT_DISABLE_TELEMETRY'] = '1'

/**
 * Tests of the built package: they start programs, pack and install, or read what `npm run build` made. And of real models,
 * which take their time. All others work from the sources alone.
 */
export const built = [
  'test/docs.test.ts',
  'test/package.test.ts',
  ...['cli', 'interrupts', 'mergeMishaps', 'outputs', 'sweep'].map((name) => `test/cli/${name}.test.ts`),
  ...['collect', 'executor', 'ownModule', 'reportMany', 'sweep'].map((name) => `test/lab/${name}.test.ts`),
  'test/base/idleWorkers.test.ts',
  'test/lab/remote/away.test.ts',
  'test/lm/real.test.ts',
  'test/nn/resume.test.ts',
  'test/tensor/defaultBuild.test.ts',
  'test/tensor/telemetry.test.ts',
]

/** Tests that need Slurm and Redis on this machine. */
export const cluster = ['test/cluster/*.test.ts']
/** Tests that need Chromium and the built page. */
const page = ['test/page/*.test.ts']

/**
 * The engine and the networks run on both builds of the runtime. Not on WebAssembly: files in which the build plays no part
 * (export, telemetry, tree), processes of their own (resume), and the blocked layouts of images, which only the native build
 * has (convolution, images); convolutions themselves are in `primitives` and `networks`.
 */
const onBothBuilds = [
  'test/tensor/{compile,dynamic,functions,oracle,primitives,random,runtime,step,tail,transforms}.test.ts',
  'test/nn/{layers,losses,networks,optimizers,parametrization,train}.test.ts',
]

/** Floors that compute, and writers that are killed: no version of Node changes what they are, and `.ci/run` leaves them out on the second one. */
const computing =
  process.env['TREELINE_TESTS'] === 'of-node'
    ? ['test/{experiments,golden,tensor,nn,grammar,diffusion,vision,lm,vlm,merge,edit,kills}/**']
    : []

export default defineConfig({
  test: {
    setupFiles: ['test/seed.ts'],
    // how long a test takes is the machine's; this one only ends tests that hang
    testTimeout: 300_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
    // worker threads of the sources; no waiting for the disk
    execArgv: ['typescript', 'unsynced'].flatMap((name) => [
      '--import',
      new URL(`test/${name}.mjs`, import.meta.url).href,
    ]),
    projects: [
      // half of the time of a short file is loading modules: files share them
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...built, ...cluster, ...page, ...computing],
          isolate: false,
        },
      },
      { extends: true, test: { name: 'e2e', include: built } },
      // real Slurm and Redis: npm run test:cluster
      { extends: true, test: { name: 'cluster', include: cluster } },
      // Chromium and the built page: npm run test:page
      { extends: true, test: { name: 'page', include: page } },
      { extends: true, test: { name: 'wasm', include: onBothBuilds, env: { TREELINE_RUNTIME: 'wasm' } } },
    ],
  },
})
