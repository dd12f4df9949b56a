/** @file Nested containers as a flat list: `{ state_dict: { 'a.b': tensor } }` is a tensor named `state_dict.a.b`. */
import { fail } from '../../base/index.ts'
import { quoted } from '../header.ts'
import { isGlobal, isStorage, isTensor, type TorchStorage, type TorchTensor } from './globals.ts'

/** Tensors and the other values (numbers, texts, null, bytes) by dotted name. */
type Flat = { tensors: Map<string, TorchTensor>; values: Map<string, unknown> }

const MAX_DEPTH = 64
const MAX_NAME = 4096

/**
 * Flatten the value of a pickle. List items are named by their index; a lone tensor is named `tensor`. Containers that
 * contain themselves, or share parts so often that visiting them all takes more than `budget` steps, are refused.
 */
export function flatten(root: unknown, label: string, budget: number): Flat {
  const flat: Flat = { tensors: new Map(), values: new Map() }
  const wrong = (problem: string): never => fail('TL_BAD_FILE', `${label}: ${problem}`)
  let steps = budget

  function put(name: string, value: unknown): void {
    if (flat.tensors.has(name) || flat.values.has(name)) wrong(`two values are named ${quoted(name)}`)
    if (isTensor(value)) flat.tensors.set(name, value)
    else flat.values.set(name, isGlobal(value) ? value.name : value)
  }
  function visit(prefix: string, value: unknown, depth: number): void {
    if (--steps < 0 || depth > MAX_DEPTH) wrong('containers that contain themselves or each other too often')
    if (prefix.length > MAX_NAME) wrong(`a name of ${prefix.length} characters, expected at most ${MAX_NAME}`)
    const name = (key: string) => (depth === 0 ? key : `${prefix}.${key}`)
    if (value instanceof Map) {
      for (const [key, item] of value) visit(name(keyText(key, wrong)), item, depth + 1)
      return
    }
    if (Array.isArray(value) || value instanceof Set) {
      let index = 0
      for (const item of value) visit(name(String(index++)), item, depth + 1)
      return
    }
    const leaf = isStorage(value) ? asTensor(value) : value
    put(depth === 0 && isTensor(leaf) ? 'tensor' : prefix, leaf)
  }
  visit('', root, 0)
  return flat
}

function keyText(key: unknown, wrong: (problem: string) => never): string {
  if (typeof key === 'string') return key
  if (typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean') return String(key)
  return wrong('a dict has a key that is neither text nor a number: save a state dict')
}

/** A bare storage is a vector. */
function asTensor(storage: TorchStorage): TorchTensor {
  const dtype = storage.dtype ?? { dtype: 'U8', bytes: 1 }
  return { kind: 'tensor', storage, dtype, offset: 0, shape: [storage.count], strides: [1] }
}
