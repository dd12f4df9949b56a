/** @file What work elsewhere will take, for `--dry-run`. */
import { duration, fixed } from '../base/index.ts'
import type { AwayPlan } from '../lab/index.ts'

/** The plan in lines; `where` is the executor. */
export function planText(plan: AwayPlan, where: string, basis: string): string {
  const { jobs, coreHours, longestSeconds, tasks, submissions, tooLong, wall } = plan
  const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`
  const lines = [
    coreHours === null
      ? `${plural(jobs, 'job')}, time unknown; ${basis}`
      : `${plural(jobs, 'job')}, ${fixed(coreHours, 2)} core hours, the longest ${duration(longestSeconds!)}; ${basis}`,
    where === 'redis'
      ? 'each job goes into the queue'
      : `${plural(tasks, 'task')} in ${plural(submissions, 'submission')}`,
    ...wall.map(({ cores, seconds }) => `  on ${cores} cores ${duration(seconds)}`),
    ...tooLong
      .slice(0, 5)
      .map(({ label, seconds }) => `does not fit the time limit: ${label}, ${duration(seconds!)}`),
    ...(tooLong.length > 5 ? [`and ${tooLong.length - 5} more`] : []),
  ]
  return `${lines.join('\n')}\n`
}
