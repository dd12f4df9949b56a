/**
 * @file Idefics3 and SmolVLM: a picture in tiles and as a whole, each through a SigLIP tower, neighbouring patches put together as one
 * token, one product into the prompt. (Laurençon et al. 2024, arXiv 2408.12637; Marafioti et al. 2025, arXiv 2504.05299)
 */
import { fail, isObject, settingsOf } from '../../base/index.ts'
import { matmul, reshape, type Tensor, transpose } from '../../tensor/index.ts'
import {
  idefics3ImageShape,
  idefics3ImageTower,
  readPreprocessing,
  tilePreprocessor,
  type WeightReader,
} from '../../vision/index.ts'
import type { Eyes, EyesSource, Layout } from './layout.ts'

/** Squares of `factor` × `factor` patches as one: x [1, n², width] ↦ [1, (n / factor)², width · factor²]. */
function shuffled(x: Tensor, n: number, factor: number): Tensor {
  const [, , width] = x.shape as [number, number, number]
  const few = n / factor
  const split = reshape(x, [few, factor, few, factor * width])
  return reshape(transpose(split, [0, 2, 1, 3]), [1, few * few, factor * factor * width])
}

/** The text of one tile. */
const tileText = (mark: string, image: string, tokens: number): string =>
  `<fake_token_around_image>${mark}${image.repeat(tokens)}`

/** Tiles row by row, then the whole; each with its mark. */
function textOf(rows: number, columns: number, image: string, tokens: number): string {
  const grid = Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_one, column) =>
      tileText(`<row_${row + 1}_col_${column + 1}>`, image, tokens),
    ).join(''),
  )
  const before = rows > 0 ? `${grid.join('\n')}\n\n` : ''
  return `${before}${tileText('<global-img>', image, tokens)}<fake_token_around_image>`
}

function open({ config, label, folder, read, width, tokenizer, imageToken, tiles }: EyesSource): Eyes {
  const s = settingsOf(config, label)
  const vision = isObject(config['vision_config']) ? config['vision_config'] : {}
  const shape = idefics3ImageShape(vision, `${label}, vision_config`)
  const factor = s.whole('scale_factor', 2)
  const n = Math.floor(shape.side / shape.patch)
  if (n % factor !== 0)
    fail('TL_BAD_FILE', `${label}: "scale_factor" should divide ${n} patches a side, got ${factor}`)
  const tokens = (n / factor) ** 2
  for (const mark of ['<fake_token_around_image>', '<global-img>'])
    if (tokenizer.idOf(mark) === undefined)
      fail('TL_BAD_FILE', `${folder}: its tokenizer has no ${mark}, which stands around every picture`)
  const ofTower: WeightReader = (name, ...sizes) => read(`tower.${name}`, ...sizes)
  const tower = idefics3ImageTower(ofTower, shape)
  const projection = read('projector.modality_projection.proj.weight', width, shape.width * factor ** 2)
  const steps = tilePreprocessor(...readPreprocessing(folder), shape.side, tiles)
  return {
    ...{ side: shape.side, tokens },
    look(picture) {
      const { rows, columns, tiles: all } = steps.apply(picture)
      return { tiles: all, text: textOf(rows, columns, imageToken, tokens) }
    },
    features: (pixels) => matmul(shuffled(tower(pixels), n, factor), projection, { transposeB: true }),
  }
}

export const idefics3: Layout = {
  types: ['idefics3', 'smolvlm'],
  imageToken: { keys: ['image_token_id'], fallback: 128257 },
  open,
}
