/** @file The task of jobs.test.ts, in a module of its own as workers find it. */
export interface Job {
  x: number
}

/** What has been worked on since the test last cleared it. */
export const worked: number[] = []

export function square({ x }: Job): { squared: number; nothing: number } {
  worked.push(x)
  if (x === 13) throw new Error('unlucky')
  return { squared: x * x, nothing: Number.NaN }
}
