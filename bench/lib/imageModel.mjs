/** @file A diffusion model with the shape of the public CIFAR-10 DDPM and random weights, as a folder, and images to ask it about. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { saveParameters, unet2d } from '../../dist/nn/index.js'
import { random } from '../../dist/tensor/index.js'

const down = ['DownBlock2D', 'AttnDownBlock2D', 'DownBlock2D', 'DownBlock2D']

/** 35,746,307 parameters (Ho et al. 2020; google/ddpm-cifar10-32). */
const config = {
  _class_name: 'UNet2DModel',
  act_fn: 'silu',
  attention_head_dim: null,
  block_out_channels: [128, 256, 256, 256],
  down_block_types: down,
  up_block_types: down.toReversed().map((name) => name.replace('Down', 'Up')),
  downsample_padding: 0,
  flip_sin_to_cos: false,
  freq_shift: 1,
  in_channels: 3,
  out_channels: 3,
  layers_per_block: 2,
  norm_eps: 1e-6,
  norm_num_groups: 32,
  sample_size: 32,
}

const level = (name) => ({ attention: name.startsWith('Attn'), resampling: 'conv' })

/** Write the model as diffusers does. */
export function writeImageModel(folder) {
  const write = (part, name, value) => {
    mkdirSync(join(folder, part), { recursive: true })
    writeFileSync(join(folder, part, name), JSON.stringify(value))
  }
  write('', 'model_index.json', {
    _class_name: 'DDPMPipeline',
    scheduler: ['diffusers', 'DDPMScheduler'],
    unet: ['diffusers', 'UNet2DModel'],
  })
  write('unet', 'config.json', config)
  write('scheduler', 'scheduler_config.json', { _class_name: 'DDPMScheduler', variance_type: 'fixed_large' })
  const network = unet2d({
    inputs: 3,
    outputs: 3,
    channels: config.block_out_channels,
    down: config.down_block_types.map(level),
    up: config.up_block_types.map(level),
    layers: 2,
    middle: { attention: true, scale: 1, attentionGroups: 32 },
    timeFeatures: { kind: 'positional', cosinesFirst: false, frequencyShift: 1 },
    groups: 32,
    epsilon: 1e-6,
    activation: 'silu',
    scaleShift: false,
    downPadding: 0,
    centred: false,
    init: 'torch',
  })
  const weights = join(folder, 'unet', 'diffusion_pytorch_model.safetensors')
  saveParameters(weights, network.init(random.key(1)))
}

/** Images of sines, which every side makes alike, and their time. */
export function noisyBatch(shape, count) {
  const size = shape.reduce((product, n) => product * n, count)
  return { x: Float32Array.from({ length: size }, (_, k) => Math.sin(0.7 * k)), t: 400 }
}
