/** @file Trees: nested records and lists whose leaves are named with dots (`blocks.0.weight`), as in safetensors files. */
import { fail } from '../base/index.ts'

export type Tree<T> = T | readonly Tree<T>[] | { readonly [key: string]: Tree<T> }

/** Lists and plain records are branches; a spec `{ shape, dtype }` is a leaf, as tensors are. */
const isBranch = (value: unknown): value is Record<string, unknown> | unknown[] => {
  if (Array.isArray(value)) return true
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return (prototype === Object.prototype || prototype === null) && typeof (value as { dtype?: unknown }).dtype !== 'string'
}

/** Leaves with their dotted names, in the order of the keys. Empty branches vanish; `undefined` leaves are skipped. */
export function entries<T>(tree: Tree<T>, prefix = ''): [string, T][] {
  if (tree === undefined) return []
  if (!isBranch(tree)) return [[prefix, tree as T]]
  return Object.entries(tree).flatMap(([key, value]) => {
    if (key.includes('.'))
      fail('TL_BAD_ARGUMENT', `tree key "${key}": expected no dots, they separate levels in names`)
    return entries(value as Tree<T>, prefix ? `${prefix}.${key}` : key)
  })
}

/** All leaves, in the order of `entries`. */
export const leaves = <T>(tree: Tree<T>): T[] => entries(tree).map(([, leaf]) => leaf)

/** The same tree with every leaf replaced. `f` also gets the dotted name. */
export function mapTree<T, U>(tree: Tree<T>, f: (leaf: T, name: string) => U, prefix = ''): Tree<U> {
  if (tree === undefined) return undefined as unknown as Tree<U>
  if (!isBranch(tree)) return f(tree as T, prefix)
  const child = (key: string) => (prefix ? `${prefix}.${key}` : key)
  if (Array.isArray(tree)) return tree.map((value, i) => mapTree(value as Tree<T>, f, child(String(i))))
  return Object.fromEntries(
    Object.entries(tree).map(([key, value]) => [key, mapTree(value as Tree<T>, f, child(key))]),
  )
}

/** Rebuild a tree of the shape of `like` from a list of leaves. */
export function unflatten<T, U>(like: Tree<T>, values: readonly U[]): Tree<U> {
  let next = 0
  const tree = mapTree(like, () => values[next++]!)
  if (next !== values.length)
    fail('TL_BAD_ARGUMENT', `unflatten: expected ${next} leaves, got ${values.length}`)
  return tree
}

/** Combine trees of one structure leaf by leaf; a structure that differs is named. */
export function zipTrees<T, U>(f: (...leaves: T[]) => U, first: Tree<T>, ...rest: Tree<T>[]): Tree<U> {
  const names = entries(first).map(([name]) => name)
  const others = rest.map((tree) => {
    const list = entries(tree)
    if (list.length !== names.length || list.some(([name], i) => name !== names[i]))
      fail(
        'TL_BAD_ARGUMENT',
        `trees differ: expected leaves ${names.join(', ')}; got ${list.map(([name]) => name).join(', ')}`,
      )
    return list.map(([, leaf]) => leaf)
  })
  let next = 0
  return mapTree(first, (leaf) => {
    const i = next++
    return f(leaf, ...others.map((list) => list[i]!))
  })
}

/** Build a tree from dotted names; runs of keys 0, 1, 2, … become lists. Inverse of `entries`. */
export function fromEntries<T>(list: Iterable<readonly [string, T]>): Tree<T> {
  const isLeaf = new Set<object>()
  const root: Record<string, unknown> = Object.create(null)
  for (const [name, leaf] of list) {
    if (name === '') return leaf
    const path = name.split('.')
    let branch = root
    for (const key of path.slice(0, -1)) {
      branch[key] ??= Object.create(null)
      branch = branch[key] as Record<string, unknown>
      if (isLeaf.has(branch))
        fail('TL_BAD_ARGUMENT', `name "${name}": "${key}" is already a tensor, it cannot hold others`)
    }
    const last = path.at(-1)!
    if (last in branch) fail('TL_BAD_ARGUMENT', `name "${name}" appears twice`)
    branch[last] = leaf
    if (typeof leaf === 'object' && leaf !== null) isLeaf.add(leaf)
  }
  const build = (branch: unknown): Tree<T> => {
    if (typeof branch !== 'object' || branch === null || isLeaf.has(branch)) return branch as T
    const keys = Object.keys(branch)
    const values = keys.map((key) => build((branch as Record<string, unknown>)[key]))
    if (keys.length && keys.every((key, i) => key === String(i))) return values
    return Object.fromEntries(keys.map((key, i) => [key, values[i]!]))
  }
  return build(root)
}
