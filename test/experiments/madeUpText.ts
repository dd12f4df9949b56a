/** @file A small made-up text, in place of a download: words of a few letters, some more frequent than others. */
import { random } from '../../src/tensor/index.ts'

/** About `length` characters of sentences. */
export function madeUpText(length: number, seed = 0): string {
  const [forWords, forText] = random.split(random.key(seed), 2)
  const letters = 'etaoinshrd'
  const units = random.sampleUniform(forWords, 40 * 8)
  const words = Array.from({ length: 40 }, (_, w) =>
    Array.from(
      { length: 2 + (w % 5) },
      (__, i) => letters[Math.floor(letters.length * units[w * 8 + i]! ** 2)]!,
    ).join(''),
  )
  const draws = random.sampleUniform(forText, length)
  const text: string[] = []
  for (let i = 0, characters = 0; characters < length; i++) {
    const word = words[Math.floor(words.length * draws[i]! ** 2)]!
    text.push(i % 9 === 8 ? `${word}.` : word)
    characters += word.length + 1
  }
  return text.join(' ')
}
