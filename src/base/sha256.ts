/** @file SHA-256 (FIPS 180-4), for floors that also run in browsers, where hashing is a promise. */

/** The first 32 bits of the fractional parts of `root` of the first `count` primes. */
function fractions(count: number, root: (x: number) => number): Uint32Array {
  const primes: number[] = []
  for (let n = 2; primes.length < count; n++) if (primes.every((p) => n % p !== 0)) primes.push(n)
  return Uint32Array.from(primes, (p) => Math.floor((root(p) % 1) * 2 ** 32))
}

const initial = fractions(8, Math.sqrt)
const constants = fractions(64, Math.cbrt)
const blockBytes = 64

const rotate = (x: number, by: number): number => (x >>> by) | (x << (32 - by))

/** One block of 64 bytes into the state. `words` is room for 64 numbers. */
function compress(state: Uint32Array, words: Uint32Array, block: DataView): void {
  for (let i = 0; i < 16; i++) words[i] = block.getUint32(4 * i)
  for (let i = 16; i < 64; i++) {
    const [x, y] = [words[i - 15]!, words[i - 2]!]
    const low = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3)
    const high = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10)
    words[i] = words[i - 16]! + low + words[i - 7]! + high
  }
  let a = state[0]!
  let b = state[1]!
  let c = state[2]!
  let d = state[3]!
  let e = state[4]!
  let f = state[5]!
  let g = state[6]!
  let h = state[7]!
  for (let i = 0; i < 64; i++) {
    const chosen = (e & f) ^ (~e & g)
    const first = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + chosen + constants[i]! + words[i]!
    const second = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))
    h = g
    g = f
    f = e
    e = (d + first) | 0
    d = c
    c = b
    b = a
    a = (first + second) | 0
  }
  for (const [i, x] of [a, b, c, d, e, f, g, h].entries()) state[i]! += x
}

/** A hash of texts, one after the other, as UTF-8. */
export function sha256(): { update(text: string): void; hex(): string } {
  const state = initial.slice()
  const words = new Uint32Array(64)
  const bytes = new Uint8Array(blockBytes)
  const block = new DataView(bytes.buffer)
  const encoder = new TextEncoder()
  let length = 0
  const put = (byte: number): void => {
    bytes[length++ % blockBytes] = byte
    if (length % blockBytes === 0) compress(state, words, block)
  }
  return {
    update(text) {
      for (const byte of encoder.encode(text)) put(byte)
    },
    hex() {
      const bits = 8 * length
      put(0x80)
      while (length % blockBytes !== blockBytes - 8) put(0)
      block.setUint32(blockBytes - 8, Math.floor(bits / 2 ** 32))
      block.setUint32(blockBytes - 4, bits)
      compress(state, words, block)
      return Array.from(state, (word) => word.toString(16).padStart(8, '0')).join('')
    },
  }
}
