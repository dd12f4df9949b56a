/** @file Texts that end what is generated, when they are met in it. */

interface Stopper {
  /** What of the text may be shown: up to the first stop text, and nothing that could yet become one. */
  push(text: string): string
  /** What was held back in vain. */
  end(): string
  /** A stop text has been met. */
  readonly isOver: boolean
}

/** How much of the end of a text could be the beginning of a stop text. */
function undecided(text: string, stops: readonly string[]): number {
  const longest = Math.max(0, ...stops.map((stop) => stop.length - 1))
  for (let length = Math.min(longest, text.length); length > 0; length--) {
    const end = text.slice(text.length - length)
    if (stops.some((stop) => stop.startsWith(end))) return length
  }
  return 0
}

/** Cut a text that comes in pieces before the first of the stop texts. */
export function stopper(stops: readonly string[]): Stopper {
  let held = ''
  let isOver = false
  return {
    push(text) {
      if (isOver) return ''
      held += text
      const found = stops.map((stop) => held.indexOf(stop)).filter((at) => at >= 0)
      isOver = found.length > 0
      const shown = held.slice(0, isOver ? Math.min(...found) : held.length - undecided(held, stops))
      held = held.slice(shown.length)
      return shown
    },
    end: () => (isOver ? '' : held),
    get isOver() {
      return isOver
    },
  }
}
