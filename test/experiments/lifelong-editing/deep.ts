/** @file A deeper tiny model for tests of editing. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openSafetensorsCheckpoint, writeSafetensors } from '../../../src/checkpoint/index.ts'

/** The tiny Llama with its two blocks one after another twice, in a folder beside it. */
export async function twiceAsDeep(path: string): Promise<string> {
  const folder = join(path, '..', 'llama-deep')
  mkdirSync(folder)
  const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as object
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, num_hidden_layers: 4 }))
  const tiny = openSafetensorsCheckpoint(join(path, 'model.safetensors'))
  const tensors: Record<string, { dtype: 'F32'; shape: readonly number[]; data: Float32Array }> = {}
  for (const [name, t] of tiny.tensors) {
    tensors[name] = { dtype: 'F32', shape: t.shape, data: t.f32() }
    const again = name.replace(/layers\.(\d)\./, (_, i: string) => `layers.${Number(i) + 2}.`)
    tensors[again] = tensors[name]
  }
  tiny.close()
  await writeSafetensors(join(folder, 'model.safetensors'), tensors as never)
  return folder
}
