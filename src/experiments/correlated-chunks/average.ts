/** @file Several runs that differ only in their seeds as one: means of all numbers, errors added in squares. */

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** Numbers at the same place of every run. `isError`: standard errors of independent means. */
function together(values: readonly unknown[], isError: boolean): unknown {
  const first = values[0]
  if (values.some((value) => value === null)) return null
  if (typeof first === 'number') {
    const numbers = values as number[]
    if (isError) return Math.hypot(...numbers) / numbers.length
    return numbers.every((value) => value === first) ? first : mean(numbers)
  }
  if (Array.isArray(first)) {
    const lists = values as unknown[][]
    const length = Math.min(...lists.map((list) => list.length))
    return Array.from({ length }, (_, i) =>
      together(
        lists.map((list) => list[i]),
        isError,
      ),
    )
  }
  if (typeof first === 'object' && first !== null)
    return Object.fromEntries(
      Object.keys(first).map((key) => [
        key,
        together(
          values.map((value) => (value as Record<string, unknown>)[key]),
          isError || key === 'error',
        ),
      ]),
    )
  return first
}

/**
 * The results of runs with the same config but for the seed as one of the same form. What lies under a key `error` is
 * taken for standard errors; a number missing (null) in one is missing in all.
 */
export const averageRuns = <T>(results: readonly T[]): T =>
  results.length === 1 ? results[0]! : (together(results, false) as T)
