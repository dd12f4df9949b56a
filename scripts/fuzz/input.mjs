/** @file Input `index` of a target: a seed damaged as its kind is, or a small part of the time left whole. */
import { stringify } from 'yaml'
import { damageBytes, damageTree, randomNumbers, seedOf } from './mutate.mjs'

/** The tree of a text; undefined for one that is no JSON as a whole. */
function treeOf(kind, seeds, one) {
  try {
    return JSON.parse(kind === 'json' ? one.toString() : seeds.trees[seeds.indexOf(one)])
  } catch {
    return undefined
  }
}

export function makeInput({ name, kind }, { seeds }, seed, index) {
  const random = randomNumbers(seedOf(seed, name, index))
  for (let i = 0; i < 4; i++) random(2)
  const one = seeds[random(seeds.length)]
  if (random(200) === 0) return one
  // text formats: a damaged tree passes the scanner and reaches the checks behind it
  const whole = kind === 'json' || kind === 'yaml' ? treeOf(kind, seeds, one) : undefined
  if (whole !== undefined && random(4) > 0) {
    const tree = damageTree(whole, random)
    return Buffer.from((kind === 'json' ? JSON.stringify(tree) : stringify(tree)) ?? 'null')
  }
  return damageBytes(one, random, seeds)
}
