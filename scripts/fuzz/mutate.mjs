/** @file Damage: bytes, words and trees changed at random, the same for the same seed. */

/** Marsaglia's xorshift32: `random(n)` is a whole number from 0 to n − 1. */
export function randomNumbers(seed) {
  let state = seed >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** A seed of its own for input `index` of a target, so that any input can be made again without those before it. */
export function seedOf(seed, name, index) {
  let hash = (0x811c9dc5 ^ seed) >>> 0
  for (const text of [name, String(index)])
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0
  return (hash ^ (hash >>> 13)) >>> 0
}

const pick = (random, list) => list[random(list.length)]

/** Numbers at which sizes and offsets go wrong, as 4 or 8 bytes. */
const edges = [
  0n,
  1n,
  2n,
  7n,
  31n,
  255n,
  65535n,
  2n ** 24n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 40n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 64n - 1n,
]

/** Pieces of text files that make damage meaningful. */
const words = [
  '9'.repeat(19),
  '-1',
  '1e9',
  '1e999',
  '0.5',
  '[',
  ']',
  '{',
  '}',
  ',',
  ':',
  '"',
  "'",
  '\\u0000',
  '\\ud800',
  'null',
  'true',
  'NaN',
  '[]',
  '{}',
  '""',
  '\u0000',
  '\u00ff',
  '\ufeff',
  '\n',
  '\t',
  '  ',
  '- ',
  '&a ',
  '*a',
  '<<: ',
  '|',
  '>',
  '!!',
  '%',
  '{%',
  '%}',
  '{{',
  '}}',
  '"F64"',
  '"dtype":',
  '[0,0]',
  '0',
  '../',
  'x'.repeat(300),
].map((word) => Buffer.from(word))

/** One to four changes of bytes; half of them within the first `reach`, where headers are. */
export function damageBytes(seed, random, others, reach = 256) {
  let bytes = Buffer.from(seed)
  for (let changes = 1 + random(4); changes > 0; changes--) {
    if (bytes.length === 0) return bytes
    const at = random(2) === 0 ? random(bytes.length) : random(Math.min(reach, bytes.length))
    const length = 1 + random(random(8) === 0 ? 200 : 8)
    switch (random(9)) {
      case 0:
        bytes[at] = random(256)
        break
      case 1:
        bytes[at] ^= 1 << random(8)
        break
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
        break
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)])
        break
      case 4: {
        const word = pick(random, words)
        bytes = Buffer.concat([bytes.subarray(0, at), word, bytes.subarray(at + random(2) * word.length)])
        break
      }
      case 5:
        if (bytes.length >= at + 8) bytes.writeBigUInt64LE(pick(random, edges), at)
        break
      case 6:
        if (bytes.length >= at + 4) bytes.writeUInt32LE(Number(pick(random, edges) & 0xffffffffn), at)
        break
      case 7:
        bytes = bytes.subarray(0, at)
        break
      default: {
        const other = pick(random, others)
        const from = random(Math.max(1, other.length))
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          other.subarray(from, from + 4 * length),
          bytes.subarray(at),
        ])
      }
    }
  }
  return bytes
}

const values = [
  null,
  true,
  false,
  0,
  1,
  -1,
  0.5,
  1e308,
  2 ** 31,
  2 ** 53,
  -(2 ** 53),
  '',
  'a',
  '\u0000',
  '\ud83d\ude00',
  'x'.repeat(1000),
  [],
  {},
  [[]],
  [null],
  { a: 1 },
  '1e5',
  'NaN',
  '{}',
  '{{',
  '../../x',
  '__proto__',
  'constructor',
]

/** A place in a tree: its parent and the key, all of them. */
function placesOf(root) {
  const places = []
  const walk = (parent, key, depth) => {
    places.push([parent, key])
    const node = parent[key]
    if (depth < 12 && node !== null && typeof node === 'object')
      for (const child of Object.keys(node).slice(0, 60)) walk(node, child, depth + 1)
  }
  walk(root, 'tree', 0)
  return places
}

/** One to three changes of a tree of JSON data: values replaced, moved, doubled, cut, nested; keys renamed. */
export function damageTree(tree, random) {
  const root = { tree: structuredClone(tree) }
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const places = placesOf(root)
    const [parent, key] = pick(random, places)
    const node = parent[key]
    switch (random(7)) {
      case 0:
        if (Array.isArray(parent)) parent.splice(Number(key), 1)
        else if (parent !== root) delete parent[key]
        break
      case 1: {
        const [from, other] = pick(random, places)
        parent[key] = structuredClone(from[other])
        break
      }
      case 2:
        parent[key] = random(2) ? [node] : { [String(pick(random, ['a', 'value', '0', '']))]: node }
        break
      case 3:
        if (Array.isArray(node)) node.push(...structuredClone(node).slice(0, 50))
        else if (typeof node === 'string') parent[key] = node.slice(random(node.length + 1)) + node
        else if (typeof node === 'number') parent[key] = pick(random, [node + 1, -node, node * 1e9, node / 3])
        break
      case 4:
        if (parent !== root && !Array.isArray(parent)) {
          parent[String(pick(random, [`${key}x`, key.slice(1), '', 'format', '<<', '__proto__ ']))] = node
          delete parent[key]
        }
        break
      default:
        parent[key] = structuredClone(pick(random, values))
    }
  }
  return root.tree
}
