/** @file Features of the prompts that every new store of a model is calibrated by, kept from one store to the next. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { readSafetensors, writeSafetensors } from '../../checkpoint/index.ts'
import type { StoreConfig } from '../store/index.ts'

/** Raised when features are computed otherwise than before. */
const version = 1

/** What the features depend on. */
type FeatureIdentity = Pick<
  StoreConfig,
  'model' | 'tokenizer' | 'hidden' | 'layer' | 'ones' | 'router' | 'routerLayer'
>

function fileOf(folder: string, identity: FeatureIdentity, prompts: readonly (readonly number[])[]): string {
  const { model, tokenizer, hidden, layer, ones, router, routerLayer } = identity
  const text = JSON.stringify([version, model, tokenizer, hidden, layer, ones, router, routerLayer, prompts])
  return join(folder, `${createHash('sha256').update(text).digest('hex').slice(0, 32)}.safetensors`)
}

function kept(path: string, count: number, hidden: number): Float64Array[] | undefined {
  try {
    const data = readSafetensors(path).tensors.get('features')?.data
    if (!(data instanceof Float64Array) || data.length !== count * hidden || !data.every(Number.isFinite))
      return undefined
    return Array.from({ length: count }, (_, i) => data.slice(i * hidden, (i + 1) * hidden))
  } catch {
    // absent or damaged: computed again
    return undefined
  }
}

/**
 * The features [hidden] of some prompts, from the folder where an earlier store left them, else computed and left there. Without
 * a folder nothing is kept; a folder that cannot be written costs nothing but the time.
 */
export async function rememberedFeatures(
  folder: string | undefined,
  identity: FeatureIdentity,
  prompts: readonly (readonly number[])[],
  compute: () => Promise<Float64Array[]>,
): Promise<Float64Array[]> {
  if (folder === undefined) return await compute()
  const path = fileOf(folder, identity, prompts)
  const before = kept(path, prompts.length, identity.hidden)
  if (before) return before
  const features = await compute()
  const data = new Float64Array(prompts.length * identity.hidden)
  for (const [i, own] of features.entries()) data.set(own, i * identity.hidden)
  try {
    writeSafetensors(path, { features: { dtype: 'F64', shape: [prompts.length, identity.hidden], data } })
  } catch {}
  return features
}
