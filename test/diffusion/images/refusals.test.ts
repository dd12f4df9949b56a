/** @file Folders that are no image models, or of a kind that is not supported: one clear message each, before memory is taken. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openImageDenoiser } from '../../../src/diffusion/index.ts'
import { models, schedulers, scratch, weightsOf, writeJson, writePipeline, writeWeights } from './models.ts'

const root = scratch()
const small = models['one-level']!
const ddpm = schedulers['ddpm']!
let number = 0
const fresh = (): string => join(root, String(number++))

const messageOf = async (folder: string, options = {}): Promise<string> => {
  const error = await openImageDenoiser(folder, options).then(
    () => undefined,
    (caught: unknown) => caught as Error & { code?: string },
  )
  expect(error?.code).toMatch(/^TL_(BAD_FILE|UNSUPPORTED|IO)$/)
  expect(error!.message).not.toContain('\n')
  expect(error!.message.length).toBeLessThan(600)
  return error!.message
}

describe('networks', () => {
  it.each([
    [{ down_block_types: ['SkipDownBlock2D'] }, /down_block_types.*"SkipDownBlock2D".*AttnDownBlock2D/],
    [{ up_block_types: ['AttnSkipUpBlock2D'] }, /up_block_types.*"AttnSkipUpBlock2D"/],
    [{ up_block_types: ['toString'] }, /"toString"/],
    [{ mid_block_type: 'UNetMidBlock2DCrossAttn' }, /mid_block_type.*UNetMidBlock2D/],
    [{ _class_name: 'UNet2DConditionModel' }, /UNet2DConditionModel.*UNet2DModel/],
    [{ resnet_time_scale_shift: 'ada_group' }, /resnet_time_scale_shift.*scale_shift/],
    [{ act_fn: 'elu' }, /act_fn.*"elu".*"mish"/],
    [{ class_embed_type: 'identity' }, /class_embed_type.*identity.*timestep/],
    [{ time_embedding_type: 'other' }, /time_embedding_type/],
    [{ downsample_padding: 2 }, /downsample_padding.*0 or 1/],
    [{ out_channels: 6 }, /3 channels in and 6 out.*learned/],
    [{ norm_num_groups: 3 }, /norm_num_groups.*3.*8 channels/],
    [{ norm_num_groups: null }, /norm_num_groups/],
    [{ attention_head_dim: 9 }, /attention_head_dim.*9.*8 channels/],
    [{ block_out_channels: [8, 8] }, /down_block_types.*block_out_channels/],
    [{ block_out_channels: 'many' }, /block_out_channels.*list/],
    [{ sample_size: null }, /sample_size/],
    [{ sample_size: -4 }, /sample_size/],
    [{ block_out_channels: [1048576] }, /describes a part of .* numbers, but .* holds/],
    [{ layers_per_block: 100000 }, /describes a part of/],
    [{ num_class_embeds: 1000000 }, /describes a part of/],
    [{ layers_per_block: 2 }, /no tensor "down_blocks.0.resnets.1/],
    [{ add_attention: false }, /tensor "mid_block.attentions.0.*has no place/],
    [{ in_channels: 1, out_channels: 1 }, /conv_in.weight" is \[8,3,3,3\], expected \[8,1,3,3\]/],
    [{ norm_eps: 'small' }, /norm_eps.*number/],
  ])('%o', async (change, pattern) => {
    expect(await messageOf(writePipeline(fresh(), small, ddpm, change))).toMatch(pattern)
  })

  it('images that the levels cannot halve', async () => {
    const folder = writePipeline(fresh(), models['ddpm']!, ddpm)
    expect(await messageOf(folder, { size: [10, 8] })).toMatch(/10 × 8.*multiples of 4/)
  })

  it('weights that are not numbers', async () => {
    const folder = writePipeline(fresh(), small, ddpm)
    const weights = weightsOf(small)
    weights.get('conv_out.bias')!.data[1] = Number.NaN
    writeWeights(join(folder, 'unet', 'diffusion_pytorch_model.safetensors'), weights)
    expect(await messageOf(folder)).toMatch(/conv_out.bias.*NaN at element 1/)
  })
})

describe('schedulers', () => {
  it.each([
    [{ _class_name: 'PNDMScheduler' }, /PNDMScheduler.*DDPMScheduler.*DDIMScheduler/],
    [{ _class_name: undefined }, /_class_name.*DDPMScheduler/],
    [{ variance_type: 'learned_range' }, /variance_type.*learned_range.*fixed_small/],
    [{ variance_type: 'fixed_large_log' }, /variance_type.*fixed_large_log/],
    [{ beta_schedule: 'exp' }, /beta_schedule.*"exp".*squaredcos_cap_v2/],
    [{ prediction_type: 'flow' }, /prediction_type.*v_prediction/],
    [{ timestep_spacing: 'karras' }, /timestep_spacing.*leading/],
    [{ rescale_betas_zero_snr: true }, /rescale_betas_zero_snr.*v_prediction/],
    [{ predict_epsilon: false }, /predict_epsilon.*sample/],
    [{ trained_betas: [0.1, 0.2] }, /trained_betas.*2 numbers for 1000/],
    [{ beta_end: 2 }, /betas in \[0, 1\)/],
    [{ beta_start: 0, beta_end: 0 }, /betas that are all 0/],
    [{ num_train_timesteps: 1e12 }, /num_train_timesteps/],
    [{ clip_sample_range: -1 }, /clip_sample_range/],
    [{ thresholding: true, sample_max_value: 0.5 }, /sample_max_value/],
  ])('%o', async (change, pattern) => {
    expect(await messageOf(writePipeline(fresh(), small, { ...ddpm, ...change }))).toMatch(pattern)
  })

  it('a model without its scheduler', async () => {
    expect(await messageOf(writePipeline(fresh(), small, undefined))).toMatch(
      /without its scheduler: expected scheduler\/scheduler_config.json/,
    )
  })

  it('a scheduler that is named and not there', async () => {
    const folder = writePipeline(fresh(), small, ddpm)
    expect(await messageOf(folder, { scheduler: join(root, 'nothing.json') })).toMatch(/nothing.json/)
  })
})

describe('folders', () => {
  it('an empty folder, none, and a file', async () => {
    const empty = fresh()
    mkdirSync(empty)
    expect(await messageOf(empty)).toMatch(/the folder is empty/)
    expect(await messageOf(join(root, 'nowhere'))).toMatch(/cannot read .*nowhere/)
    const file = fresh()
    writeFileSync(file, 'text')
    expect(await messageOf(file)).toMatch(/cannot read/)
  })

  it('pipelines of latents and of other networks', async () => {
    const latent = writePipeline(fresh(), small, ddpm)
    writeJson(join(latent, 'model_index.json'), {
      _class_name: 'LDMPipeline',
      unet: ['diffusers', 'UNet2DModel'],
      vqvae: ['diffusers', 'VQModel'],
    })
    expect(await messageOf(latent)).toMatch(/LDMPipeline.*"vqvae" encodes/)
    const other = writePipeline(fresh(), small, ddpm)
    writeJson(join(other, 'model_index.json'), { unet: ['diffusers', 'UNet1DModel'] })
    expect(await messageOf(other)).toMatch(/UNet1DModel.*UNet2DModel/)
  })

  it('weights without a configuration', async () => {
    const folder = fresh()
    writeWeights(join(folder, 'model.safetensors'), weightsOf(small))
    expect(await messageOf(folder)).toMatch(/without a config.json/)
  })

  it('a configuration that is no JSON', async () => {
    const folder = writePipeline(fresh(), small, ddpm)
    writeFileSync(join(folder, 'unet', 'config.json'), '{"_class_name": ')
    expect(await messageOf(folder)).toMatch(/config.json/)
  })
})

describe('calls', () => {
  it('with wrong sizes, times and labels', async () => {
    const denoiser = await openImageDenoiser(writePipeline(fresh(), models['classes']!, ddpm))
    const image = new Float32Array(192)
    await expect(denoiser.predict(image.subarray(1), 1, [0])).rejects.toThrow(
      /whole number of images \[3,8,8\]/,
    )
    await expect(denoiser.predict(image, 1000, [0])).rejects.toThrow(/0 to 999, got 1000/)
    await expect(denoiser.predict(image, 0.5, [0])).rejects.toThrow(/got 0.5/)
    await expect(denoiser.predict(image, 1)).rejects.toThrow(/5 classes.*got none/)
    await expect(denoiser.predict(image, 1, [5])).rejects.toThrow(/0 to 4, got 5/)
    denoiser.dispose()
    const plain = await openImageDenoiser(writePipeline(fresh(), small, ddpm))
    await expect(plain.predict(image, 1, [0])).rejects.toThrow(/no classes/)
    await expect(openImageDenoiser(writePipeline(fresh(), small, ddpm), { batchSize: 0 })).rejects.toThrow(
      /batchSize/,
    )
  })
})
