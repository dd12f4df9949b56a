/** @file Trees: nested records and lists whose leaves are named with dots (`blocks.0.weight`), as in safetensors files. */
import { fail } from './mistake.ts'

export type Tree<T> = T | readonly Tree<T>[] | { readonly [key: string]: Tree<T> }

/** Lists and plain records are branches; a spec `{ shape, dtype }` is a leaf, as tensors are. */
const isBranch = (value: unknown): value is Record<string, unknown> | unknown[] => {
  if (Array.isArray(value)) return true
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return (
    (prototype === Object.prototype || prototype === null) &&
    typeof (value as { dtype?: unknown }).dtype !== 'string'
  )
}

/** Leaves with their dotted names, in the order of the keys. Empty branches vanish; `undefined` leaves are skipped. */
export function entries<T>(tree: Tree<T>, prefix = ''): [string, T][] {
  if (tree === undefined) return []
  if (!isBranch(tree)) return [[prefix, tree as T]]
  return Object.entries(tree).flatMap(([key, value]) => {
    if (key.includes('.') || key === '')
      fail('TL_BAD_ARGUMENT', `tree key "${key}": expected a name without dots, they separate levels`)
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

/** Combine trees of one structure leaf by leaf (the order of keys does not matter); a structure that differs is named. */
export function zipTrees<T, U>(f: (...leaves: T[]) => U, first: Tree<T>, ...rest: Tree<T>[]): Tree<U> {
  const names = entries(first).map(([name]) => name)
  const others = rest.map((tree) => {
    const list = new Map(entries(tree))
    if (list.size !== names.length || names.some((name) => !list.has(name)))
      fail('TL_BAD_ARGUMENT', `trees differ: ${differenceOf(names, [...list.keys()])}`)
    return list
  })
  return mapTree(first, (leaf, name) => f(leaf, ...others.map((list) => list.get(name)!)))
}

/** The leaves of `tree` in the order of `like`, whatever the order of its keys; `what` names it when its structure differs. */
export function leavesLike<T>(what: string, like: Tree<unknown>, tree: Tree<T>): T[] {
  const names = entries(like).map(([name]) => name)
  const list = entries(tree)
  if (list.length === names.length && list.every(([name], i) => name === names[i]))
    return list.map(([, leaf]) => leaf)
  const found = new Map(list)
  if (found.size !== names.length || names.some((name) => !found.has(name)))
    fail('TL_BAD_ARGUMENT', `${what}: leaves differ: ${differenceOf(names, [...found.keys()])}`)
  return names.map((name) => found.get(name)!)
}

/** Names that only one of two trees has, the first few of each. */
function differenceOf(expected: readonly string[], got: readonly string[]): string {
  const few = (list: readonly string[]): string =>
    list.length > 4 ? `${list.slice(0, 4).join(', ')} and ${list.length - 4} more` : list.join(', ')
  const missing = expected.filter((name) => !got.includes(name))
  const extra = got.filter((name) => !expected.includes(name))
  return [
    ...(missing.length ? [`${few(missing)} missing`] : []),
    ...(extra.length ? [`${few(extra)} not expected`] : []),
  ].join('; ')
}

/** Build a tree from dotted names; runs of keys 0, 1, 2, … become lists. Inverse of `entries`. */
export function fromEntries<T>(list: Iterable<readonly [string, T]>): Tree<T> {
  /** A branch under construction, so that leaves of any kind can be told from it. */
  class Branch extends Map<string, Branch | { readonly leaf: T }> {}
  const root = new Branch()
  let whole: { readonly leaf: T } | undefined
  for (const [name, leaf] of list) {
    if (whole || (name === '' && root.size))
      fail('TL_BAD_ARGUMENT', `name "${name}": a leaf without a name is the whole tree, it has no siblings`)
    if (name === '') {
      whole = { leaf }
      continue
    }
    const path = name.split('.')
    let branch = root
    for (const key of path.slice(0, -1)) {
      const next = branch.get(key) ?? new Branch()
      if (!(next instanceof Branch))
        fail('TL_BAD_ARGUMENT', `name "${name}": "${key}" is already a leaf, it cannot hold others`)
      branch.set(key, next)
      branch = next
    }
    const last = path.at(-1)!
    if (branch.has(last))
      fail(
        'TL_BAD_ARGUMENT',
        branch.get(last) instanceof Branch
          ? `name "${name}": it already holds others, it cannot be a leaf`
          : `name "${name}" appears twice`,
      )
    branch.set(last, { leaf })
  }
  const build = (node: Branch | { readonly leaf: T }): Tree<T> => {
    if (!(node instanceof Branch)) return node.leaf
    // a list, whatever the order of its names
    const items = Array.from({ length: node.size }, (_, i) => node.get(String(i)))
    if (node.size && items.every((item) => item !== undefined)) return items.map((item) => build(item!))
    return Object.fromEntries(Array.from(node, ([key, value]) => [key, build(value)]))
  }
  return whole ? whole.leaf : build(root)
}
