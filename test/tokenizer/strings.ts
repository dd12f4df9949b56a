/** @file The strings of test/fixtures/make_tokenizer.py, made again. */
import { readFileSync } from 'node:fs'

type Words = Record<
  'words' | 'digits' | 'spaces' | 'marks' | 'contractions' | 'emoji' | 'special' | 'letters',
  string[]
>

const words = JSON.parse(
  readFileSync(new URL('../fixtures/tokenizer-words.json', import.meta.url), 'utf8'),
) as Words

/** Strings of words, spaces, marks and code points of all kinds. */
export function randomStrings(seed: number, count: number): string[] {
  let state = seed
  const below = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state >>> 8) % n
  }
  const one = (list: string[]): string => list[below(list.length)]!
  const many = (most: number, make: () => string): string => {
    const n = 1 + below(most)
    let text = ''
    for (let i = 0; i < n; i++) text += make()
    return text
  }
  const anyCode = (most: number): string => {
    const code = below(most)
    return code >= 0xd800 && code < 0xe000 ? '' : String.fromCodePoint(code)
  }
  const part = (): string => {
    const kind = below(16)
    if (kind < 5) return (below(3) ? ' ' : '') + one(words.words)
    if (kind === 5) return many(6, () => one(words.digits))
    if (kind === 6) {
      const space = one(words.spaces)
      return space.repeat(1 + below(3))
    }
    if (kind === 7) return many(4, () => one(words.marks))
    if (kind === 8) return one(words.contractions)
    if (kind === 9) return one(words.emoji)
    if (kind === 10) return anyCode(0x10000)
    if (kind === 11) return anyCode(0x110000)
    if (kind === 12) return one(words.special)
    if (kind === 13) return many(6, () => String.fromCodePoint(below(128)))
    if (kind === 14) {
      const letter = one(words.letters)
      return letter.repeat(1 + below(40))
    }
    return many(6, () => String.fromCodePoint(0x80 + below(0x780)))
  }
  return Array.from({ length: count }, () => {
    const n = below(13)
    let text = ''
    for (let i = 0; i < n; i++) text += part()
    return text
  })
}
