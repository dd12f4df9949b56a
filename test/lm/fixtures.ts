/** @file Models for tests: tiny ones of every family from the oracle's fixture, and the real ones where they are. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeF32, openSafetensorsCheckpoint, writeSafetensors } from '../../src/checkpoint/index.ts'

const fixture = (name: string): string => new URL(`../fixtures/${name}`, import.meta.url).pathname
export const readFixture = <T>(name: string): T => JSON.parse(readFileSync(fixture(name), 'utf8')) as T

const models =
  process.env['TREELINE_TEST_MODELS'] ?? new URL('../../../shared/models', import.meta.url).pathname
export const smollm2 = join(models, 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf')
export const stories = join(models, 'stories260k')
export const isThere = existsSync
export const skipped = (path: string): string =>
  existsSync(path) ? '' : ' (skipped: no such model; set TREELINE_TEST_MODELS)'

export interface Tiny {
  readonly name: string
  readonly path: string
  readonly ids: readonly number[]
  /** [ids, 96] */
  readonly logits: Float32Array
}

/** All tiny models as folders that Hugging Face would write. */
export async function tinyModels(): Promise<{ models: Tiny[]; clean: () => void }> {
  const root = mkdtempSync(join(tmpdir(), 'treeline-lm-'))
  const about = readFixture<{ ids: number[]; models: Record<string, object> }>('lm-tiny.json')
  const all = openSafetensorsCheckpoint(fixture('lm-tiny.safetensors'))
  const found: Tiny[] = []
  for (const [name, config] of Object.entries(about.models)) {
    const path = join(root, name)
    mkdirSync(path)
    writeFileSync(join(path, 'config.json'), JSON.stringify(config))
    const tensors: Record<string, { dtype: 'F32'; shape: readonly number[]; data: Float32Array }> = {}
    for (const [key, t] of all.tensors)
      if (key.startsWith(`${name}/`))
        tensors[key.slice(name.length + 1)] = {
          dtype: 'F32',
          shape: t.shape,
          data: decodeF32(t.bytes(), 'F16'),
        }
    await writeSafetensors(join(path, 'model.safetensors'), tensors as never)
    found.push({ name, path, ids: about.ids, logits: all.tensors.get(`${name}!logits`)!.f32() })
  }
  all.close()
  return { models: found, clean: () => rmSync(root, { recursive: true, force: true }) }
}

/** Largest absolute difference. */
export const furthest = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let most = 0
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i]! - b[i]!)
    if (!(d <= most)) most = d
  }
  return most
}
