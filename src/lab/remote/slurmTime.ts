/** @file Time limits as Slurm writes them. */

/** Seconds of a time limit as Slurm writes it: minutes, minutes:seconds, hours:minutes:seconds, days-hours…; undefined for none. */
export function slurmSeconds(time: string): number | undefined {
  const [, days, rest = ''] = /^(?:(\d+)-)?([\d:]+)$/.exec(time.trim()) ?? []
  const parts = rest.split(':').map(Number)
  if (rest === '' || parts.some((part) => !Number.isFinite(part)) || parts.length > 3) return undefined
  if (days !== undefined) {
    const [hours = 0, minutes = 0, seconds = 0] = parts
    return Number(days) * 86_400 + hours * 3600 + minutes * 60 + seconds
  }
  if (parts.length === 1) return parts[0]! * 60
  const [seconds, minutes, hours = 0] = [...parts].reverse() as [number, number, number?]
  return hours * 3600 + minutes * 60 + seconds
}
