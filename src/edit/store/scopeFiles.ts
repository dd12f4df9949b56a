/**
 * @file The scope of a store on disk: a map with known questions, and what each edit asks by that map.
 *
 * A scope that came with the store lies in `base.safetensors`, what its edits ask in `asks-N.safetensors`, N being the place of
 * the edit's record from 1. A scope that was learned later lies in `scope-H.safetensors`, with what the edits of that moment
 * ask; edits taught after it have `asks-H-N.safetensors`. H is a hash of the file's numbers. `config.json` names the H that holds:
 * it is written last, so a store has the one scope whole or the other.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fail } from '../../base/index.ts'
import { readSafetensors, writeSafetensors } from '../../checkpoint/index.ts'
import { joined, parted, type ScopeMap } from '../scope/scope.ts'
import { looksOf, type ScopeSettings } from './config.ts'

/** What a prompt is compared with to see whether it asks what an edit's own prompt asks. */
export interface Asks {
  /** Mean feature of general questions about the edit's subject, [looks · width]. */
  readonly mean: Float32Array
  /** What the edit's own prompt asks, a unit vector for each look, [looks · dimensions]. */
  readonly vector: Float32Array
}

interface F32 {
  readonly dtype: 'F32'
  readonly shape: readonly number[]
  readonly data: Float32Array
}

const f32 = (data: Float32Array, ...shape: number[]): F32 => ({ dtype: 'F32', shape, data })

const scopeFile = (path: string, hash: string): string => join(path, `scope-${hash}.safetensors`)
const asksFile = (path: string, hash: string | undefined, place: number): string =>
  join(path, `asks-${hash === undefined ? '' : `${hash}-`}${place}.safetensors`)

/** The tensors of a scope, as both files name them: discriminants and known questions, look after look. */
export function mapTensors(scope: ScopeMap): Record<string, F32> {
  const { width, dimensions, looks } = scope
  const { map, questions } = joined(scope)
  return {
    scopeMap: f32(map, looks.length * width, dimensions),
    scopeQuestions: f32(questions, questions.length / dimensions, dimensions),
  }
}

/** The numbers of one tensor of a file. Throws `TL_BAD_FILE` naming both. */
function numbers(
  file: string,
  found: ReturnType<typeof readSafetensors>['tensors'],
  name: string,
  length: number,
) {
  const data = found.get(name)?.data
  if (!(data instanceof Float32Array) || data.length !== length)
    return fail('TL_BAD_FILE', `${file}: expected "${name}" of ${length} numbers; the store is damaged`)
  return data
}

interface ScopeOnDisk {
  readonly scope: ScopeMap
  /** What the edit asks whose record stands at each place from 1. */
  readonly asks: Map<number, Asks>
}

/** The scope that the settings of a store name, with what the edits among its records ask. Throws `TL_BAD_FILE`, `TL_IO`. */
export function readScope(
  {
    path,
    base,
    width,
    records,
  }: { readonly path: string; readonly base: string; readonly width: number; readonly records: number },
  settings: ScopeSettings,
): ScopeOnDisk {
  const { hash, dimensions, questions } = settings
  const looks = looksOf(settings)
  const file = hash === undefined ? base : scopeFile(path, hash)
  const { tensors } = readSafetensors(file)
  const count = looks.length
  const scope = parted({
    ...{ width, dimensions, looks },
    map: numbers(file, tensors, 'scopeMap', count * width * dimensions),
    questions: numbers(file, tensors, 'scopeQuestions', count * questions * dimensions),
  })
  const asks = new Map<number, Asks>()
  for (let place = 1; place <= records; place++) {
    const own = asksFile(path, hash, place)
    const [from, end, all] = existsSync(own)
      ? [own, '', readSafetensors(own).tensors]
      : [file, `-${place}`, tensors]
    if (!all.has(`mean${end}`)) continue
    asks.set(place, {
      mean: numbers(from, all, `mean${end}`, count * width),
      vector: numbers(from, all, `vector${end}`, count * dimensions),
    })
  }
  return { scope, asks }
}

/** Keep what an edit asks, before its record is written. */
export function writeAsks(
  path: string,
  settings: ScopeSettings | undefined,
  place: number,
  { mean, vector }: Asks,
): void {
  writeSafetensors(asksFile(path, settings?.hash, place), {
    mean: f32(mean, mean.length),
    vector: f32(vector, vector.length),
  })
}

/** Write a scope with what all edits ask beside the one that holds. Gives its hash. */
export function writeScope(path: string, { scope, asks }: ScopeOnDisk): string {
  const tensors = mapTensors(scope)
  for (const [place, { mean, vector }] of asks) {
    tensors[`mean-${place}`] = f32(mean, mean.length)
    tensors[`vector-${place}`] = f32(vector, vector.length)
  }
  const digest = createHash('sha256')
  for (const [name, { data }] of Object.entries(tensors))
    digest.update(`${name}\n`).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  const hash = digest.digest('hex').slice(0, 16)
  writeSafetensors(scopeFile(path, hash), tensors)
  return hash
}

/** Remove what belongs to another scope than the one that holds, or to records that were never finished. */
export function clearScopes(path: string, settings: ScopeSettings | undefined, records: number): void {
  for (const name of readdirSync(path)) {
    const [, scope] = /^scope-(\w+)\.safetensors$/.exec(name) ?? []
    const [, of, place] = /^asks-(?:(\w+)-)?(\d+)\.safetensors$/.exec(name) ?? []
    const isStale =
      scope !== undefined
        ? scope !== settings?.hash
        : place !== undefined && (of !== settings?.hash || Number(place) > records)
    if (isStale) rmSync(join(path, name), { force: true })
  }
}
