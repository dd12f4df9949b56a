/**
 * @file What a runtime can do, found by small programs when it is opened. Neither its name nor its version says it, and a wrong
 * guess gives wrong numbers, or a tenth of the speed, without an error.
 */
import { dtypeOf } from '../dtype.ts'
import { nchwc } from './blocked.ts'
import { microsoft, type OnnxNode, onnxBytes, onnxType } from './emitter.ts'
import { opset } from './lower.ts'
import { type OrtModule, type OrtSession, ortType } from './ort.ts'
import { encodeModel, joinChunks, type OnnxModel, type OnnxTensor } from './proto.ts'
import { isLastResult, lastResult, withLastResult } from './results.ts'

/** What is done with results. */
export interface Abilities {
  /** Arrays given for results are filled. */
  readonly fillsOutputs: boolean
  /** Results before `lastResult` are not handed back as copies. */
  readonly endsAtLastResult: boolean
  /** The cache of attention may be read and written in one array. */
  readonly runsInPlace: boolean
}

type Feeds = Readonly<Record<string, readonly [data: Float32Array | Int32Array, dims: readonly number[]]>>

interface Part {
  readonly nodes: readonly OnnxNode[]
  readonly inputs: Feeds
  readonly outputs: Readonly<Record<string, readonly number[]>>
  readonly initializers?: readonly OnnxTensor[]
}

const modelOf = ({ nodes, inputs, outputs, initializers = [] }: Part): OnnxModel => ({
  name: 'probe',
  nodes,
  initializers,
  inputs: Object.entries(inputs).map(([name, [data, shape]]) => ({
    ...{ name, type: onnxType[dtypeOf(data)], shape },
  })),
  outputs: Object.entries(outputs).map(([name, shape]) => ({ name, type: onnxType.f32, shape })),
  opsets: { '': opset, [microsoft]: 1, [nchwc]: 1 },
})

const node = (
  op: string,
  [inputs, outputs]: readonly [readonly string[], readonly string[]],
  attributes: OnnxNode['attributes'] = {},
  domain = '',
): OnnxNode => ({ op, domain, inputs, outputs, attributes })

/** Run a small model; results go to `targets` where given. Undefined where the runtime refuses it. */
async function tried(
  ort: OrtModule,
  part: Part,
  targets: Readonly<Record<string, Float32Array>> = {},
  last = false,
): Promise<Record<string, Float32Array> | undefined> {
  const tensorOf = (data: Float32Array | Int32Array, dims: readonly number[]) =>
    new ort.Tensor(ortType[dtypeOf(data)], data as never, dims)
  const model = last ? withLastResult(modelOf(part)) : modelOf(part)
  let session: OrtSession | undefined
  try {
    const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 }
    session = (await ort.InferenceSession.create(joinChunks(encodeModel(model)), options)) as OrtSession
    const feeds = Object.fromEntries(Object.entries(part.inputs).map(([k, x]) => [k, tensorOf(...x)]))
    const fetches = Object.fromEntries(
      Object.entries(part.outputs).map(([k, dims]) => [k, targets[k] ? tensorOf(targets[k], dims) : null]),
    )
    const results = await session.run(feeds, last ? { ...fetches, [lastResult]: null } : fetches)
    return Object.fromEntries(
      Object.entries(results).map(([k, { data }]) => [k, Float32Array.from(data as Float32Array)]),
    )
  } catch (error) {
    return last && isLastResult(error) ? {} : undefined
  } finally {
    await session?.release()
  }
}

const equal = (a: ArrayLike<number> | undefined, b: ArrayLike<number>): boolean =>
  a?.length === b.length && Array.from(b).every((v, i) => a[i] === v)

async function fills(ort: OrtModule, last: boolean): Promise<boolean> {
  const part: Part = {
    nodes: [node('Add', [['x', 'x'], ['y']])],
    inputs: { x: [Float32Array.of(1, 2, 3), [3]] },
    outputs: { y: [3] },
  }
  const y = Float32Array.of(-1, -1, -1)
  const results = await tried(ort, part, { y }, last)
  // a binding that hands the last result over would copy all the same
  return results !== undefined && equal(y, [2, 4, 6]) && (!last || !('y' in results))
}

/** One token after two others: the same mix and cache, written apart and in place. */
async function attendsInPlace(ort: OrtModule): Promise<boolean> {
  const [features, capacity] = [8, 4]
  const cache = (): Float32Array =>
    Float32Array.from({ length: features * capacity }, (_, i) => (i < 2 * features ? Math.sin(i) : 0))
  const run = async (keys: Float32Array, values: Float32Array, inPlace: boolean) => {
    const shape = [1, 1, capacity, features]
    const part: Part = {
      nodes: [
        node(
          'GroupQueryAttention',
          [
            ['qkv', '', '', 'k', 'v', 'last', 'total'],
            ['mix', 'newK', 'newV'],
          ],
          { num_heads: 1, kv_num_heads: 1 },
          microsoft,
        ),
      ],
      inputs: {
        qkv: [Float32Array.from({ length: 3 * features }, (_, i) => Math.cos(i)), [1, 1, 3 * features]],
        k: [keys, shape],
        v: [values, shape],
        last: [Int32Array.of(2), [1]],
        total: [Int32Array.of(3), [1]],
      },
      outputs: { mix: [1, 1, features], newK: shape, newV: shape },
    }
    const mix = new Float32Array(features)
    const targets: Record<string, Float32Array> = inPlace ? { mix, newK: keys, newV: values } : {}
    const results = await tried(ort, part, targets)
    return inPlace ? { mix, newK: keys, newV: values } : results
  }
  const apart = await run(cache(), cache(), false)
  const together = await run(cache(), cache(), true)
  return (
    apart !== undefined &&
    (['mix', 'newK', 'newV'] as const).every((name) => equal(together?.[name], apart[name]!))
  )
}

/** Channels that an image of few is filled up to, where a convolution in that layout then gives what it should. */
async function blockOfChannels(ort: OrtModule): Promise<number> {
  const few = 4
  const reordered = await tried(ort, {
    nodes: [
      node('ReorderInput', [['x'], ['blocked']], {}, nchwc),
      node('Shape', [['blocked'], ['shape']]),
      node('Cast', [['shape'], ['y']], { to: onnxType.f32 }),
    ],
    inputs: { x: [new Float32Array(few), [1, few, 1, 1]] },
    outputs: { y: [4] },
  })
  const block = reordered?.['y']?.[1]
  if (block !== 8 && block !== 16) return 0
  const x = Float32Array.from({ length: block }, (_, i) => i - 3)
  const identity = Float32Array.from({ length: block * block }, (_, i) => (i % (block + 1) === 0 ? 1 : 0))
  const shape = [1, block, 1, 1]
  const convolved = await tried(ort, {
    nodes: [
      node('ReorderInput', [['x'], ['blocked']], {}, nchwc),
      node('Conv', [['blocked', 'w'], ['z']], { kernel_shape: [1, 1] }, nchwc),
      node('ReorderOutput', [['z'], ['y']], { channels: block }, nchwc),
    ],
    inputs: { x: [x, shape] },
    outputs: { y: shape },
    initializers: [{ name: 'w', type: onnxType.f32, shape: [block, block, 1, 1], data: identity }],
  })
  return equal(convolved?.['y'], x) ? block : 0
}

/**
 * Are weights of so many bits multiplied as they are? The kernel that does it rounds activations to 8 bits; where there is none,
 * the runtime unpacks all weights at every call, multiplies in f32, and nothing is rounded.
 */
async function multipliesBlocks(ort: OrtModule, bits: 4 | 8): Promise<boolean> {
  const [block, outputs] = [32, 16]
  // 127 times 1 and a third times 1: the third is rounded away
  const one = bits === 4 ? 0x99 : 0x81
  const results = await tried(ort, {
    nodes: [
      node(
        'MatMulNBits',
        [['x', 'w', 'scale'], ['y']],
        { K: block, N: outputs, bits, block_size: block, accuracy_level: 4 },
        microsoft,
      ),
    ],
    inputs: { x: [Float32Array.from({ length: block }, (_, i) => [127, 0.25][i] ?? 0), [1, block]] },
    outputs: { y: [1, outputs] },
    initializers: [
      {
        ...{ name: 'w', type: onnxBytes, shape: [outputs, 1, (block * bits) / 8] },
        data: new Uint8Array((outputs * block * bits) / 8).fill(one),
      },
      { name: 'scale', type: onnxType.f32, shape: [outputs], data: new Float32Array(outputs).fill(1) },
    ],
  })
  return equal(results?.['y'], new Float32Array(outputs).fill(127))
}

/** A value for each runtime, found when it is first asked for. */
function once<T>(find: (ort: OrtModule) => Promise<T>): (ort: OrtModule) => Promise<T> {
  const found = new WeakMap<OrtModule, Promise<T>>()
  return (ort) => {
    const known = found.get(ort) ?? find(ort)
    found.set(ort, known)
    return known
  }
}

export const abilitiesOf = once(async (ort): Promise<Abilities> => {
  const fillsOutputs = await fills(ort, false)
  return {
    fillsOutputs,
    endsAtLastResult: fillsOutputs && (await fills(ort, true)),
    runsInPlace: fillsOutputs && (await attendsInPlace(ort)),
  }
})

export const channelsOf = once(blockOfChannels)

export const bitsOf = once(async (ort): Promise<ReadonlySet<number>> => {
  const bits = new Set<number>()
  for (const width of [4, 8] as const) if (await multipliesBlocks(ort, width)) bits.add(width)
  return bits
})
