/** @file Many inputs through a program, some at a time. */

/** Rows of `size` numbers in groups of at most `most` ↦ what `run` makes of each group, one after the other. */
export async function inGroups(
  count: number,
  most: number,
  run: (from: number, to: number) => Promise<Float32Array>,
): Promise<Float32Array> {
  const parts: Float32Array[] = []
  for (let from = 0; from < count; from += most) parts.push(await run(from, Math.min(count, from + most)))
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
