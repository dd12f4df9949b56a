/** @file Small jobs in tasks of some minutes. */

/** Seconds that a job counts when nothing is known of it. */
const unknown = 60

/** Jobs in tasks of about so many seconds, in order. */
export function bundle<J extends { readonly seconds: number | null }>(
  jobs: readonly J[],
  seconds: number,
): J[][] {
  const tasks: J[][] = []
  let [current, total]: [J[], number] = [[], 0]
  for (const job of jobs) {
    const cost = job.seconds ?? unknown
    if (current.length > 0 && total + cost > seconds) {
      tasks.push(current)
      ;[current, total] = [[], 0]
    }
    current.push(job)
    total += cost
  }
  return current.length > 0 ? [...tasks, current] : tasks
}
