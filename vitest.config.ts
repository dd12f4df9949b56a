import { defineConfig } from 'vitest/config'

// tests that open the runtime themselves keep it silent too; the engine needs no help (test/tensor/telemetry.test.ts)
process.env['ORT_DISABLE_TELEMETRY'] = '1'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/seed.ts'],
    testTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
})
