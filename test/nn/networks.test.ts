/** @file Whole networks agree with PyTorch: values and every gradient, in float64 by the reference and in both types natively. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as nn from '../../src/nn/index.ts'
import {
  compile,
  entries,
  fromEntries,
  gelu,
  grad,
  jvp,
  mapTree,
  maxPool2d,
  mean,
  random,
  relu,
  reshape,
  sliceAxis,
  type Tensor,
  type Tree,
  transpose,
  valueAndGradWithAux,
  zeros,
} from '../../src/tensor/index.ts'
import { expectClose, loadCase, relativeError } from './fixture.ts'

type Inputs = Record<string, Tensor>
interface Subject {
  /** Loss and main output. */
  run: (p: never, inputs: Inputs) => { loss: Tensor; output: Tensor }
  output: string
}

const classify = (logits: Tensor, inputs: Inputs) => ({
  loss: nn.crossEntropyLoss(logits, inputs['label']!),
  output: logits,
})

const conv1 = nn.conv2d(2, 4, 3, { padding: 1 })
const conv2 = nn.conv2d(4, 6, 3, { padding: 1 })
const readout = nn.dense(6, 5)
const hierarchical = nn.hierarchicalCnn({
  symbols: 4,
  branching: 2,
  depth: 3,
  width: 8,
  outputs: 4,
  bias: true,
  parametrization: 'standard',
})
const transformer = nn.transformer({
  vocabulary: 11,
  context: 8,
  features: 16,
  heads: 2,
  layers: 2,
  fusedAttention: true,
})
const unet = nn.unet({ channels: 8, groups: 2 })
const ddpm = nn.ddpmUnet({ side: 12, channels: 2, time: 6, steps: 20 })

const denoising = nn.denoisingMlp({ size: 12, width: 10, layers: 2, time: 6 })

const subjects: Record<string, Subject> = {
  'small-cnn': {
    output: 'logits',
    run: (p: Record<'conv1' | 'conv2' | 'readout', nn.DenseParameters>, inputs) => {
      const h = maxPool2d(relu(conv1.apply(p.conv1, inputs['x']!)), { kernel: 2 })
      return classify(readout.apply(p.readout, mean(gelu(conv2.apply(p.conv2, h)), [2, 3])), inputs)
    },
  },
  'hierarchical-cnn': {
    output: 'logits',
    // the fixture has Conv1d weights [h, in, s] and signals [B, v, d]
    run: (p: nn.HierarchicalCnnParameters, inputs) => {
      const layers = p.layers.map(({ weight, bias }) => ({ weight: nn.fromConvWeight(weight), bias: bias! }))
      return classify(hierarchical.apply({ ...p, layers }, transpose(inputs['x']!, [0, 2, 1])), inputs)
    },
  },
  transformer: {
    output: 'logits',
    run: (p: nn.TransformerParameters, inputs) => {
      const tokens = inputs['tokens']!
      const logits = transformer.apply(p, sliceAxis(tokens, 1, 0, 8))
      const rows = logits.shape[0]! * logits.shape[1]!
      const label = reshape(sliceAxis(tokens, 1, 1, 9), [rows])
      return { loss: nn.crossEntropyLoss(reshape(logits, [rows, 11]), label), output: logits }
    },
  },
  'denoising-mlp': {
    output: 'prediction',
    run: (p: nn.DenoisingMlpParameters, inputs) => {
      const prediction = denoising.apply(p, inputs['x']!, inputs['t']!)
      return { loss: nn.meanSquaredError(prediction, inputs['noise']!), output: prediction }
    },
  },
  unet: {
    output: 'prediction',
    run: (p: nn.UnetParameters, inputs) => {
      const prediction = unet.apply(p, inputs['x']!, inputs['t']!)
      return { loss: nn.meanSquaredError(prediction, inputs['noise']!), output: prediction }
    },
  },
  'ddpm-unet': {
    output: 'prediction',
    run: (p: nn.DdpmUnetParameters, inputs) => {
      const prediction = ddpm.apply(p, inputs['x']!, inputs['t']!)
      return { loss: nn.meanSquaredError(prediction, inputs['noise']!), output: prediction }
    },
  },
}

const floats = (inputs: ReadonlyMap<string, Tensor>, wanted: boolean): Inputs =>
  Object.fromEntries([...inputs].filter(([, t]) => t.dtype.startsWith('f') === wanted))

const cases = Object.keys(subjects).flatMap(
  (name) =>
    [
      { name, dtype: 'f64', backend: 'reference', tolerance: 1e-9 },
      { name, dtype: 'f64', backend: 'onnx', tolerance: 1e-9 },
      { name, dtype: 'f32', backend: 'onnx', tolerance: 1e-4 },
    ] as const,
)

describe('networks agree with PyTorch', () => {
  it.each(cases)('$name, $dtype, $backend', async ({ name, dtype, backend, tolerance }) => {
    const fixture = loadCase(name, name, dtype)
    const { run, output } = subjects[name]!
    const fixed = floats(fixture.input, false)
    const program = compile(
      (variables: { p: Tree<Tensor>; x: Inputs }) =>
        valueAndGradWithAux((v: { p: Tree<Tensor>; x: Inputs }) => {
          const { loss, output: aux } = run(v.p as never, { ...fixed, ...v.x })
          return { value: loss, aux }
        })(variables) as unknown as Tree<Tensor>,
      { backend },
    )
    const variables = { p: fixture.parameters, x: floats(fixture.input, true) }
    const result = (await program(variables)) as unknown as {
      value: Tensor
      aux: Tensor
      gradient: { p: Tree<Tensor>; x: Inputs }
    }
    program.dispose()
    expect(relativeError(result.value, fixture.output.get('loss')!)).toBeLessThan(tolerance)
    expect(relativeError(result.aux, fixture.output.get(output)!)).toBeLessThan(tolerance)
    // the gradients of the U-Nets are stored in f32
    const gradients = { ...(result.gradient.p as Record<string, Tree<Tensor>>), ...result.gradient.x }
    // te1 adds a constant to what is then normalized: nothing but rounding to compare
    const isZero = (leaf: string): boolean => leaf.startsWith('network.te1.')
    for (const [leaf, t] of entries(gradients).filter(([leaf]) => isZero(leaf)))
      for (const value of t.data) expect(Math.abs(Number(value)), leaf).toBeLessThan(tolerance)
    expectClose(
      fromEntries(entries(gradients).filter(([leaf]) => !isZero(leaf))),
      new Map([...fixture.grad].filter(([leaf]) => !isZero(leaf))),
      name.endsWith('unet') ? Math.max(tolerance, 3e-7) : tolerance,
    )
  })

  it.each(['small-cnn', 'hierarchical-cnn'])('%s: jvp and Hessian–vector product', async (name) => {
    const fixture = loadCase(name)
    const { run } = subjects[name]!
    const fixed = floats(fixture.input, false)
    const variables = {
      ...(fixture.parameters as Record<string, Tree<Tensor>>),
      ...floats(fixture.input, true),
    }
    const direction = mapTree(variables, (_, leaf) => fixture.tangent.get(leaf)!)
    const loss = (v: Tree<Tensor>): Tensor => run(v as never, { ...fixed, ...(v as Inputs) }).loss
    const program = compile((v: Tree<Tensor>, d: Tree<Tensor>) => {
      const along = jvp((u: Tree<Tensor>) => ({ loss: loss(u), gradient: grad(loss)(u) }), [v], [d])
      return along.tangents as Tree<Tensor>
    })
    const result = (await program(variables, direction)) as { loss: Tensor; gradient: Tree<Tensor> }
    program.dispose()
    expect(relativeError(result.loss, fixture.jvp.get('loss')!)).toBeLessThan(1e-9)
    expectClose(result.gradient, fixture.hvp, 1e-9)
  })
})

describe('the DDPM of real checkpoints', () => {
  const models =
    process.env['TREELINE_TEST_MODELS'] ?? new URL('../../../shared/models', import.meta.url).pathname
  const network = nn.ddpmUnet()

  it.each(['ddpm-mnist', 'ddpm-fashion'])('%s predicts the noise that PyTorch predicts', async (name) => {
    const path = join(models, name, 'model.safetensors')
    if (!existsSync(path))
      return void console.log(`${name}: skipped, no such model; set TREELINE_TEST_MODELS`)
    const parameters = nn.loadParameters(path, network.init(random.key(0)))
    const { input, output } = loadCase('ddpm-models', name, 'f32')
    const program = compile(network.apply)
    const predicted = await program(parameters, input.get('x')!, input.get('t')!)
    program.dispose()
    const expected = output.get('prediction')!
    const errors = Array.from(expected.data as Float32Array, (value, i) =>
      Math.abs(value - Number(predicted.data[i])),
    )
    expect(Math.max(...errors)).toBeLessThan(1e-4)
    expect(nn.countParameters(parameters)).toBe(606_852)
  })

  it('refuses other sides, images and numbers of times', () => {
    expect(() => nn.ddpmUnet({ side: 32 })).toThrow(/side of 12, 20, 28.*got 32/)
    const small = nn.ddpmUnet({ side: 12, channels: 1, time: 2, steps: 4 })
    const p = small.init(random.key(1))
    expect(() => small.apply(p, zeros([2, 1, 12, 12]), zeros([3], 'i32'))).toThrow(
      /expected x \[N, 1, 12, 12\] and t \[N\]/,
    )
    expect(() => small.apply(p, zeros([2, 1, 16, 16]), zeros([2], 'i32'))).toThrow(
      /expected x \[N, 1, 12, 12\]/,
    )
  })
})
