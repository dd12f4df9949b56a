/** @file Model folders of any size: true headers, and data that take no room on the disk and read as zeros. */
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { indexOf, layOut, type Placeable } from '../../src/checkpoint/index.ts'

/** Sizes of a Llama. */
export interface LlamaSizes {
  readonly layers: number
  readonly width: number
  readonly inner: number
  /** Width of keys and values. */
  readonly keys: number
  readonly tokens: number
}

/** Llama 3 of 70 B and 3.2 of 1 B. */
export const llama70: LlamaSizes = { layers: 80, width: 8192, inner: 28672, keys: 1024, tokens: 128_256 }
export const llama1: LlamaSizes = { layers: 16, width: 2048, inner: 8192, keys: 512, tokens: 128_256 }

/** The tensors of a Llama. */
export function llamaTensors(
  { layers, width, inner, keys, tokens }: LlamaSizes,
  dtype = 'BF16',
): Placeable[] {
  const layer = (i: number): [string, number[]][] =>
    [
      ['self_attn.q_proj', [width, width]],
      ['self_attn.k_proj', [keys, width]],
      ['self_attn.v_proj', [keys, width]],
      ['self_attn.o_proj', [width, width]],
      ['mlp.gate_proj', [inner, width]],
      ['mlp.up_proj', [inner, width]],
      ['mlp.down_proj', [width, inner]],
      ['input_layernorm', [width]],
      ['post_attention_layernorm', [width]],
    ].map(([name, shape]) => [`model.layers.${i}.${name as string}`, shape as number[]])
  const all: [string, number[]][] = [
    ['model.embed_tokens', [tokens, width]],
    ...Array.from({ length: layers }, (_, i) => layer(i)).flat(),
    ['model.norm', [width]],
    ['lm_head', [tokens, width]],
  ]
  return all.map(([name, shape]) => ({ name: `${name}.weight`, dtype, shape }))
}

/** Write the folder of a model whose values are all zero; returns it. */
export function writeSparseModel(
  folder: string,
  tensors: readonly Placeable[],
  shardSize = 5e9,
  config: object = { model_type: 'llama' },
): string {
  mkdirSync(folder, { recursive: true })
  const shards = layOut(tensors, shardSize)
  for (const { name, head, bytes } of shards) {
    const file = openSync(join(folder, name), 'w')
    ftruncateSync(file, bytes)
    for (let at = 0; at < head.byteLength; ) at += writeSync(file, head, at)
    closeSync(file)
  }
  if (shards.length > 1) writeFileSync(join(folder, 'model.safetensors.index.json'), indexOf(shards))
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
  return folder
}
