/** @file The laboratory and the experiments it is used with, loaded when a command needs them. */

/** All of `lab` and of `experiments`. */
export const laboratory = async () => ({
  ...(await import('../lab/index.ts')),
  ...(await import('../experiments/index.ts')),
})

export type Laboratory = Awaited<ReturnType<typeof laboratory>>
