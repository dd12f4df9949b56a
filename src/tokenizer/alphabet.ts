/** @file GPT-2's alphabet: every byte as a printable character, so that vocabularies can be written as text. */

/** Bytes that stand for themselves; the others are given the code points from 256 on, in order. */
const itself = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)

/** The character of each byte. */
export const byteCharacters: readonly string[] = (() => {
  let others = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(itself(byte) ? byte : others++))
})()

const byteOf = new Map(byteCharacters.map((character, byte) => [character, byte]))

/** The bytes a token of this alphabet stands for, or undefined when it has other characters. */
export function bytesOfCharacters(token: string): Uint8Array | undefined {
  const bytes = Array.from(token, (character) => byteOf.get(character))
  return bytes.includes(undefined) ? undefined : Uint8Array.from(bytes as number[])
}

/** Bytes as a text of this alphabet. */
export const charactersOfBytes = (bytes: Uint8Array): string => {
  let text = ''
  for (const byte of bytes) text += byteCharacters[byte]
  return text
}
