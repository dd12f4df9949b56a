/** @file Numbers formatted for people. */

/** 1234567 → `1.2 M`, 950 → `950`. */
export function count(n: number): string {
  for (const [scale, unit] of [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const)
    if (Math.abs(n) >= scale) return `${(n / scale).toFixed(1)} ${unit}`
  return String(n)
}

/** Bytes as `12.3 MB` (decimal units, as disks and registries count). */
export const bytes = (n: number): string => (n < 1000 ? `${n} B` : `${count(n)}B`)

/** Seconds as `3.4 s`, `2 min 05 s`, `1 h 12 min`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–'
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} min`
}
