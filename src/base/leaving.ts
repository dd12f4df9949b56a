/**
 * @file What must be done when this process ends before its work does: temporary files removed, locks given back, child
 * processes ended (Node only). Whoever makes such a thing says here how to undo it.
 */
const duties = new Set<() => void>()
let isWatching = false

/** Have `duty` done when the process ends early. Returns the function that takes it back. */
export function whenLeaving(duty: () => void): () => void {
  if (!isWatching) {
    isWatching = true
    process.once('exit', tidy)
  }
  // the same function may be given twice
  const own = (): void => duty()
  duties.add(own)
  return () => void duties.delete(own)
}

/** Do all that is left to do, the latest first. Nothing that goes wrong keeps the others from being done. */
export function tidy(): void {
  for (const duty of [...duties].reverse()) {
    duties.delete(duty)
    try {
      duty()
    } catch {
      // on the way out nobody can act on it, and what is left is cleared by the next run
    }
  }
}
