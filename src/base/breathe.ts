/** @file A turn of the event loop in the midst of long work. */

/** Let timers, messages and signals in. Browsers have no `setImmediate`. */
export const breathe = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve)
    else setTimeout(resolve, 0)
  })
