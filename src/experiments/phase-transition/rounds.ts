/** @file Work that several parts of a run ask for at the same time, done together: one queue and one bar instead of many. */

/** Ask for the results of some jobs, in their order. */
export type Ask<Job, Result> = (jobs: readonly Job[]) => Promise<Result[]>

interface Request<Job, Result> {
  jobs: readonly Job[]
  resolve: (results: Result[]) => void
  reject: (reason: unknown) => void
}

/**
 * Run parts side by side. Whatever they ask for before all of them wait is one round for `execute`, in the order of the
 * parts. Rejects with the first failure.
 */
export async function inRounds<Job, Result, Parts extends readonly unknown[]>(
  execute: (jobs: readonly Job[]) => Promise<Result[]>,
  parts: { readonly [K in keyof Parts]: (ask: Ask<Job, Result>) => Promise<Parts[K]> },
): Promise<Parts> {
  let waiting: Request<Job, Result>[] = []
  const round = async (): Promise<void> => {
    const requests = waiting
    waiting = []
    try {
      const results = await execute(requests.flatMap(({ jobs }) => jobs))
      let from = 0
      for (const { jobs, resolve } of requests) {
        resolve(results.slice(from, from + jobs.length))
        from += jobs.length
      }
    } catch (error) {
      for (const { reject } of requests) reject(error)
    }
  }
  const ask: Ask<Job, Result> = (jobs) =>
    new Promise((resolve, reject) => {
      // the others get to ask before the round begins
      if (waiting.length === 0) setImmediate(() => void round())
      waiting.push({ jobs, resolve, reject })
    })
  return (await Promise.all(parts.map((part) => part(ask)))) as unknown as Parts
}
