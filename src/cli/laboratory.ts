/** @file The laboratory and the way to the experiments, loaded when a command needs them. */

/** All of `lab`, and the experiments: one alone, or all when they are asked for. */
export const laboratory = async () => ({
  ...(await import('../lab/index.ts')),
  ...(await import('../experiments/load.ts')),
  loadExperiments: async () => (await import('../experiments/index.ts')).experiments,
})

export type Laboratory = Awaited<ReturnType<typeof laboratory>>
