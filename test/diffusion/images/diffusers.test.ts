/** @file Models of the diffusers library give its outputs, schedules, times and whole chains (test/fixtures/make_diffusers.py). */
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../../src/checkpoint/index.ts'
import {
  chainSteps,
  type ImageSampler,
  openImageDenoiser,
  parseScheduler,
  reverseImages,
  spacedTimes,
} from '../../../src/diffusion/index.ts'
import {
  chainsOf,
  expected,
  fixturePath,
  models,
  schedulers,
  scratch,
  wave,
  weightsOf,
  writeJson,
  writePipeline,
  writeWeights,
} from './models.ts'

const farthest = (got: ArrayLike<number>, wanted: ArrayLike<number>): number => {
  expect(got.length).toBe(wanted.length)
  let worst = 0
  for (let i = 0; i < got.length; i++) {
    const error = Math.abs(got[i]! - wanted[i]!)
    if (!(error <= worst)) worst = error
  }
  return worst
}

describe('networks', () => {
  const root = scratch()
  it.each(Object.keys(models))('%s', async (name) => {
    const model = models[name]!
    const denoiser = await openImageDenoiser(writePipeline(join(root, name), model, schedulers['ddpm']))
    const size = denoiser.shape.reduce((a, b) => a * b, 1)
    for (const t of model.times) {
      const got = await denoiser.predict(wave(2 * size, t), t, model.labels ?? undefined)
      expect(farthest(got, expected(`${name}/out/${t}`)), `t = ${t}`).toBeLessThan(1e-4)
    }
    denoiser.dispose()
  })

  it('reads files of PyTorch with old names, beside a scheduler, in a bare folder', async () => {
    const folder = join(root, 'old')
    mkdirSync(folder)
    const { config, times } = models['one-level']!
    writeJson(join(folder, 'config.json'), config)
    writeJson(join(folder, 'scheduler_config.json'), schedulers['ddpm'])
    copyFileSync(fixturePath('diffusers.bin'), join(folder, 'diffusion_pytorch_model.bin'))
    const denoiser = await openImageDenoiser(folder)
    const t = times[1]!
    const got = await denoiser.predict(wave(2 * 3 * 64, t), t)
    expect(farthest(got, expected(`one-level/out/${t}`))).toBeLessThan(1e-4)
    denoiser.dispose()
  })

  it('of a pipeline are a checkpoint to inspect', () => {
    const model = models['ddpm']!
    const checkpoint = openCheckpoint(writePipeline(join(root, 'inspected'), model, schedulers['ddpm']))
    expect([...checkpoint.tensors.keys()].sort()).toEqual(model.parameters.map(([name]) => name).sort())
    checkpoint.close()
  })

  it('gives an image the same bits, whatever is asked with it', async () => {
    const folder = writePipeline(join(root, 'batches'), models['ddpm']!, schedulers['ddpm'])
    const denoiser = await openImageDenoiser(folder, { batchSize: 3 })
    const x = wave(5 * 192, 4)
    const together = await denoiser.predict(x, 40)
    const alone = await denoiser.predict(x.slice(4 * 192), 40)
    expect([...together.slice(4 * 192)]).toEqual([...alone])
    denoiser.dispose()
  })

  it('takes another scheduler and another size', async () => {
    const folder = join(root, 'bare')
    writeJson(join(folder, 'config.json'), models['ddpm']!.config)
    writeWeights(join(folder, 'diffusion_pytorch_model.safetensors'), weightsOf(models['ddpm']!))
    const scheduler = join(root, 'other.json')
    writeJson(scheduler, schedulers['ddim-zero'])
    const denoiser = await openImageDenoiser(folder, { scheduler, size: [12, 16] })
    expect(denoiser.shape).toEqual([3, 12, 16])
    expect(denoiser.alphaBar.at(-1)).toBe(0)
    // v at no signal: the noise is x itself
    const x = wave(3 * 12 * 16, 2)
    expect(farthest(await denoiser.predict(x, 999), x)).toBe(0)
    denoiser.dispose()
  })
})

describe('schedulers', () => {
  const root = scratch()
  it.each(Object.keys(schedulers))('%s: noise and times', (name) => {
    const scheduler = parseScheduler(schedulers[name], name)
    // two last bits of a single-precision number below 1
    expect(farthest(scheduler.alphaBar, expected(`${name}/alphaBar`))).toBeLessThanOrEqual(2 ** -22)
    for (const n of [3, 7, 10, 16])
      expect(spacedTimes(scheduler, n)).toEqual([...expected(`${name}/times/${n}`)])
  })

  it.each(Object.keys(schedulers))('%s: whole chains', async (name) => {
    const folder = writePipeline(join(root, name), models['ddpm']!, schedulers[name])
    const denoiser = await openImageDenoiser(folder)
    const size = 2 * 3 * 64
    expect(chainsOf(name).length).toBeGreaterThan(0)
    for (const chain of chainsOf(name)) {
      const sampler: ImageSampler = chain === 'ddpm' ? { kind: 'ddpm' } : { kind: 'ddim', eta: Number(chain) }
      const steps = chainSteps(denoiser.scheduler, 10, sampler)
      const noiseOf = (t: number) => wave(size, t + 2)
      const got = await reverseImages(denoiser, wave(size, 1), steps, noiseOf, { sampler })
      expect(farthest(got, expected(`${name}/chain/${chain}`)), chain).toBeLessThan(1e-4)
    }
    denoiser.dispose()
  })
})
