/** @file Fields of a config that say which pictures are tasks, what the encoder is and what it is pretrained on. */
import { z } from 'zod'

const count = z.int().min(8).max(100_000)

/** What `picturesFamily` and `readyEncoder` take. */
export const pictureFields = {
  tasks: z
    .array(z.string().min(1))
    .min(2)
    .max(32)
    .default(['mnist', 'cifar10', 'animals', 'vehicles', 'glyphs', 'stripes', 'shapes', 'textures'])
    .describe(
      'mnist, cifar10, its animals and vehicles; drawn: glyphs, stripes, shapes, textures, colours, counts; or paths of images (./fashion)',
    ),
  model: z
    .string()
    .default('')
    .describe('a trained encoder (safetensors) of the sizes below; none: trained once, kept in the cache'),
  encoder: z
    .strictObject({
      width: z.int().min(8).max(1024).default(64),
      heads: z.int().min(1).max(32).default(4),
      layers: z.int().min(2).max(24).default(6).describe('blocks: what is scaled by depth'),
      features: z.int().min(4).max(1024).default(64),
      patch: z.int().min(2).max(32).default(8),
      side: z.int().min(8).max(64).default(32).describe('pixels along a side of the pictures'),
    })
    .prefault({})
    .describe('the vision transformer'),
  pool: z
    .strictObject({
      drawn: count.default(1500).describe('plain pictures of each drawn kind'),
      sets: z
        .record(z.string(), z.int().min(1).max(100_000))
        .default({ mnist: 400, cifar10: 4000 })
        .describe('so many pictures of real sets; tasks never see them'),
      steps: z.int().min(1).max(1e6).default(3000),
      learningRate: z.number().positive().max(1).default(2e-3),
      batchSize: z.int().min(2).max(1024).default(64),
    })
    .prefault({})
    .describe('what the encoder is pretrained on'),
  counts: z
    .strictObject({
      train: count.default(2000),
      validation: count.default(200),
      test: count.default(500),
    })
    .prefault({})
    .describe('pictures of each task'),
}

const config = z.strictObject(pictureFields)
export type PictureConfig = z.infer<typeof config>
