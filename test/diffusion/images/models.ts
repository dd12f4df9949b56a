/** @file The models and schedules of test/fixtures/make_diffusers.py: read from the fixture, and written as folders. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll } from 'vitest'
import { readSafetensors, writeSafetensors } from '../../../src/checkpoint/index.ts'

export interface FixtureModel {
  readonly config: Record<string, unknown> & { in_channels: number }
  readonly times: readonly number[]
  readonly labels: readonly number[] | null
  readonly parameters: readonly (readonly [string, readonly number[]])[]
}

export const fixturePath = (name: string): string =>
  new URL(`../../fixtures/${name}`, import.meta.url).pathname

const { tensors, metadata } = readSafetensors(fixturePath('diffusers.safetensors'))
export const models = JSON.parse(metadata['models']!) as Record<string, FixtureModel>
export const schedulers = JSON.parse(metadata['schedulers']!) as Record<string, Record<string, unknown>>
export const expected = (name: string): Float32Array => tensors.get(name)!.data as Float32Array
export const chainsOf = (scheduler: string): string[] =>
  [...tensors.keys()].flatMap((name) =>
    name.startsWith(`${scheduler}/chain/`) ? [name.slice(`${scheduler}/chain/`.length)] : [],
  )

/** An image or noise of the fixture: sin(0.11 k^1.5 + seed). */
export const wave = (size: number, seed: number): Float32Array =>
  Float32Array.from({ length: size }, (_, k) => Math.sin(0.11 * k ** 1.5 + seed))

/** Element by element, the weights of a model of the fixture. */
export function weightsOf({
  parameters,
}: FixtureModel): Map<string, { shape: number[]; data: Float32Array }> {
  return new Map(
    parameters.map(([name, shape], i) => {
      const size = shape.reduce((product, n) => product * n, 1)
      const scale = 0.4 / Math.sqrt(Math.max(1, Math.floor(size / shape[0]!)))
      const one = name.includes('norm') && name.endsWith('weight') ? 1 : 0
      const data = Float32Array.from({ length: size }, (_, k) => scale * Math.sin(0.37 * k + i) + one)
      return [name, { shape: [...shape], data }]
    }),
  )
}

/** A folder that is gone when the tests of the file are over. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-images-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const writeJson = (path: string, value: unknown): void => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, JSON.stringify(value))
}

/** Weights as a safetensors file. */
export function writeWeights(path: string, weights: ReturnType<typeof weightsOf>): void {
  mkdirSync(dirname(path), { recursive: true })
  writeSafetensors(
    path,
    [...weights].map(([name, { shape, data }]) => [name, { dtype: 'F32', shape, data }]),
  )
}

/** A pipeline as the library writes it. `change` makes other settings of the network. */
export function writePipeline(
  folder: string,
  model: FixtureModel,
  scheduler: Record<string, unknown> | undefined,
  change: Record<string, unknown> = {},
): string {
  writeJson(join(folder, 'model_index.json'), {
    _class_name: 'DDPMPipeline',
    scheduler: ['diffusers', 'DDPMScheduler'],
    unet: ['diffusers', 'UNet2DModel'],
  })
  writeJson(join(folder, 'unet', 'config.json'), { ...model.config, ...change })
  writeWeights(join(folder, 'unet', 'diffusion_pytorch_model.safetensors'), weightsOf(model))
  if (scheduler) writeJson(join(folder, 'scheduler', 'scheduler_config.json'), scheduler)
  return folder
}

export { writeJson }
