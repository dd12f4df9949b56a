/**
 * @file The small noise predictor of a known DDPM for 28×28 images (BrianPulfer/PapersReimplementations): three levels and a
 * middle, layer normalization over whole images, a table of times. Parameter names are those of its checkpoints.
 */
import { fail } from '../../base/index.ts'
import { add, concatenate, reshape, showSpec, silu, type Tensor } from '../../tensor/index.ts'
import { initAll, type Key, type Layer, requirePositive } from '../layer.ts'
import { type ConvParameters, conv2d, convTranspose2d } from '../layers/conv.ts'
import { type DenseParameters, dense } from '../layers/dense.ts'
import { embedding } from '../layers/embedding.ts'
import { layerNorm, type NormParameters } from '../layers/normalization.ts'

export interface DdpmUnetOptions {
  /** Side of the image: 12, 20, 28, … (4 more than a multiple of 8). Default 28. */
  readonly side?: number
  /** Channels c of the first level; the next have 2c and 4c. Default 10. */
  readonly channels?: number
  /** Features of a time in the table. Default 100. */
  readonly time?: number
  /** Times in the table. Default 1000. */
  readonly steps?: number
}

type BlockParameters = { ln: NormParameters; conv1: ConvParameters; conv2: ConvParameters }
type TimeParameters = { 0: DenseParameters; 2: DenseParameters }
type ResizeParameters = { 0: ConvParameters; 2: ConvParameters }

const groupNames = ['1', '2', '3', '_mid', '4', '5', '_out'] as const
type GroupName = (typeof groupNames)[number]

/** Names `network.time_embed.weight`, `network.te1.0.weight`, `network.b1.0.ln.weight`, `network.down1.weight`, …. */
export type DdpmUnetParameters = {
  network: {
    time_embed: { weight: Tensor }
    down1: ConvParameters
    down2: ConvParameters
    down3: ResizeParameters
    up1: ResizeParameters
    up2: ConvParameters
    up3: ConvParameters
    conv_out: ConvParameters
  } & Record<`te${GroupName}`, TimeParameters> &
    Record<`b${GroupName}`, BlockParameters[]>
}

/** LayerNorm over (C, H, W) → 3×3 → SiLU → 3×3 → SiLU: [N, inputs, side, side] ↦ [N, outputs, side, side]. */
function block(inputs: number, outputs: number, side: number, isNormalized: boolean): Layer<BlockParameters> {
  const layers = {
    ln: layerNorm([inputs, side, side]),
    conv1: conv2d(inputs, outputs, 3, { padding: 1 }),
    conv2: conv2d(outputs, outputs, 3, { padding: 1 }),
  }
  return {
    init: (key) => initAll(key, layers),
    apply: (p, x) => {
      const h = isNormalized ? layers.ln.apply(p.ln, x) : x
      return silu(layers.conv2.apply(p.conv2, silu(layers.conv1.apply(p.conv1, h))))
    },
  }
}

/** Two layers with SiLU between; their places in a list whose second entry has no parameters: 0 and 2. */
function pair<P extends DenseParameters | ConvParameters>(
  first: Layer<P>,
  second: Layer<P>,
): Layer<{ 0: P; 2: P }> {
  const layers = { 0: first, 2: second }
  return {
    init: (key) => initAll(key, layers),
    apply: (p, x) => second.apply(p[2], silu(first.apply(p[0], x))),
  }
}

/** Three blocks after the time has been added, one value for each channel. */
function group(side: number, widths: readonly number[], time: number, isLast: boolean) {
  const inputs = widths[0]!
  const embed = pair(dense(time, inputs), dense(inputs, inputs))
  const blocks = widths
    .slice(1)
    .map((outputs, i) => block(widths[i]!, outputs, side, !isLast || i < widths.length - 2))
  return {
    embed,
    blocks: { init: (key: Key) => initAll(key, blocks) as BlockParameters[] },
    apply: (te: TimeParameters, b: BlockParameters[], x: Tensor, e: Tensor): Tensor => {
      const shift = reshape(embed.apply(te, e), [x.shape[0]!, inputs, 1, 1])
      return blocks.reduce((h, one, i) => one.apply(b[i]!, h), add(x, shift))
    },
  }
}

/**
 * The noise in an image: x [N, 1, side, side], t [N] (i32, 0 … steps − 1) ↦ [N, 1, side, side]. The LayerNorm of the very last
 * block is a parameter that is not used, as in the checkpoints; the time of the first group adds one number to a whole image,
 * which its LayerNorm takes away again.
 */
export function ddpmUnet({
  side = 28,
  channels: c = 10,
  time = 100,
  steps = 1000,
}: DdpmUnetOptions = {}): Layer<DdpmUnetParameters, [x: Tensor, t: Tensor]> {
  requirePositive('ddpmUnet: side, channels, time, steps', side, c, time, steps)
  if (side % 8 !== 4 || side < 12)
    fail(
      'TL_BAD_ARGUMENT',
      `ddpmUnet: expected a side of 12, 20, 28, … (4 more than a multiple of 8), got ${side}`,
    )
  const quarter = side / 4
  const shapes: Record<GroupName, [side: number, ...widths: number[]]> = {
    '1': [side, 1, c, c, c],
    '2': [side / 2, c, 2 * c, 2 * c, 2 * c],
    '3': [quarter, 2 * c, 4 * c, 4 * c, 4 * c],
    _mid: [(quarter - 1) / 2, 4 * c, 2 * c, 2 * c, 4 * c],
    '4': [quarter, 8 * c, 4 * c, 2 * c, 2 * c],
    '5': [side / 2, 4 * c, 2 * c, c, c],
    _out: [side, 2 * c, c, c, c],
  }
  const groups = groupNames.map((name) => {
    const [size, ...widths] = shapes[name]
    return { name, ...group(size, widths, time, name === '_out') }
  })
  const byName = Object.fromEntries(groups.map((one) => [one.name, one])) as Record<
    GroupName,
    (typeof groups)[number]
  >
  const half = { stride: 2, padding: 1 }
  const down = (k: number) => conv2d(k, k, 4, half)
  const up = (k: number) => convTranspose2d(k, k, 4, half)
  const table = embedding(steps, time)
  const resize = {
    down1: down(c),
    down2: down(2 * c),
    down3: pair(conv2d(4 * c, 4 * c, 2), down(4 * c)),
    up1: pair(up(4 * c), convTranspose2d(4 * c, 4 * c, 2)),
    up2: up(2 * c),
    up3: up(c),
    conv_out: conv2d(c, 1, 3, { padding: 1, init: 'lecun' }),
  }
  const layers: Record<string, { init: (key: Key) => unknown }> = {
    time_embed: { init: (key) => ({ weight: table.init(key) }) },
    ...resize,
    ...Object.fromEntries(groups.map(({ name, embed }) => [`te${name}`, embed])),
    ...Object.fromEntries(groups.map(({ name, blocks }) => [`b${name}`, blocks])),
  }
  return {
    init: (key) => ({ network: initAll(key, layers as never) as DdpmUnetParameters['network'] }),
    apply: ({ network: p }, x, t) => {
      if (
        x.rank !== 4 ||
        x.shape[1] !== 1 ||
        x.shape[2] !== side ||
        x.shape[3] !== side ||
        t.size !== x.shape[0]
      )
        fail(
          'TL_SHAPE_MISMATCH',
          `ddpmUnet: expected x [N, 1, ${side}, ${side}] and t [N], got ${showSpec(x)} and ${showSpec(t)}`,
        )
      const e = table.apply(p.time_embed.weight, reshape(t, [t.size]))
      const run = (name: GroupName, h: Tensor): Tensor =>
        byName[name].apply(p[`te${name}`], p[`b${name}`], h, e)
      const a = run('1', x)
      const b = run('2', resize.down1.apply(p.down1, a))
      const u = run('3', resize.down2.apply(p.down2, b))
      let h = run('_mid', resize.down3.apply(p.down3, u))
      h = run('4', concatenate([u, resize.up1.apply(p.up1, h)], 1))
      h = run('5', concatenate([b, resize.up2.apply(p.up2, h)], 1))
      h = run('_out', concatenate([a, resize.up3.apply(p.up3, h)], 1))
      return resize.conv_out.apply(p.conv_out, h)
    },
  }
}
