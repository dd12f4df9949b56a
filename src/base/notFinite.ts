/** @file Numbers that are not finite, by where they stand: JSON has none, so that they are null there and are named besides. */

/** NaN and infinities by dotted path, `{ "loss": "NaN", "curve[3]": "Infinity" }`. */
export type NotFinite = Readonly<Record<string, 'NaN' | 'Infinity' | '-Infinity'>>

const most = 1000

/** All numbers within a value that are not finite, the first thousand of them. Undefined where there is none. */
export function notFiniteIn(value: unknown): NotFinite | undefined {
  const found: Record<string, 'NaN' | 'Infinity' | '-Infinity'> = {}
  let count = 0
  const look = (node: unknown, path: string): void => {
    if (count >= most) return
    if (typeof node === 'number' && !Number.isFinite(node)) {
      found[path] = String(node) as 'NaN'
      count++
    } else if (Array.isArray(node) || (ArrayBuffer.isView(node) && !(node instanceof DataView)))
      for (const [i, one] of (node as readonly unknown[]).entries()) look(one, `${path}[${i}]`)
    else if (typeof node === 'object' && node !== null)
      for (const [key, one] of Object.entries(node)) look(one, path === '' ? key : `${path}.${key}`)
  }
  look(value, '')
  return count > 0 ? found : undefined
}

/** The places in words, a few of them: `last is NaN, curve[3] is Infinity, and 2 more`. */
export function notFiniteText(found: NotFinite): string {
  const all = Object.entries(found).map(([path, value]) => (path === '' ? value : `${path} is ${value}`))
  return `${all.slice(0, 3).join(', ')}${all.length > 3 ? `, and ${all.length - 3} more` : ''}`
}
