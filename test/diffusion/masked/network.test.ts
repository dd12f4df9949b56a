/** @file The masked transformer is PyTorch's function, with its gradients; what it is told and what it is not. */
import { describe, expect, it } from 'vitest'
import { maskedDenoiser, maskedLoss, maskedTransformer } from '../../../src/diffusion/index.ts'
import type { TransformerParameters } from '../../../src/nn/index.ts'
import {
  compile,
  random,
  type Tensor,
  type Tree,
  tensor,
  valueAndGradWithAux,
} from '../../../src/tensor/index.ts'
import { checkGradients, jittered } from '../../nn/differences.ts'
import { expectClose, loadCase, relativeError } from '../../nn/fixture.ts'

const sizes = { v: 7, d: 6, width: 16, heads: 2, layers: 2 }
const network = maskedTransformer(sizes)

describe('agrees with PyTorch', () => {
  it.each([
    { dtype: 'f64', backend: 'reference', tolerance: 1e-9 },
    { dtype: 'f64', backend: 'onnx', tolerance: 1e-9 },
    { dtype: 'f32', backend: 'onnx', tolerance: 1e-4 },
  ] as const)('$dtype, $backend', async ({ dtype, backend, tolerance }) => {
    const { input, parameters, output, grad } = loadCase('masked-transformer', 'masked-transformer', dtype)
    const [clean, noisy] = [input.get('clean')!, input.get('noisy')!]
    const program = compile(
      (variables: { p: Tree<Tensor>; weight: Tensor }) =>
        valueAndGradWithAux(({ p, weight }: typeof variables) => ({
          value: maskedLoss(network, p as never, { clean, noisy, weight }).mean(),
          aux: network.apply(p as never, noisy),
        }))(variables) as unknown as Tree<Tensor>,
      { backend },
    )
    const result = (await program({ p: parameters, weight: input.get('weight')! })) as unknown as {
      value: Tensor
      aux: Tensor
      gradient: { p: Record<string, Tree<Tensor>>; weight: Tensor }
    }
    program.dispose()
    expect(relativeError(result.value, output.get('loss')!)).toBeLessThan(tolerance)
    expect(relativeError(result.aux, output.get('logits')!)).toBeLessThan(tolerance)
    expectClose({ ...result.gradient.p, weight: result.gradient.weight }, grad, tolerance)
  })
})

it('has the gradients that differences have', async () => {
  const small = maskedTransformer({ v: 3, d: 4, width: 4, heads: 2, layers: 1 })
  const noisy = tensor(Int32Array.of(0, -1, 2, -1, -1, -1, 1, 0), { shape: [2, 4] })
  const clean = tensor(Int32Array.of(0, 1, 2, 2, 1, 0, 1, 0), { shape: [2, 4] })
  const weight = tensor(Float64Array.of(0, 0.5, 0, 0.5, 0.5, 0.5, 0, 0), { shape: [2, 4] })
  await checkGradients(
    ((p: TransformerParameters) => maskedLoss(small, p, { clean, noisy, weight })) as never,
    jittered(small.init(random.key(1))),
    { probes: 3 },
  )
})

it('says for sure what is shown, a distribution of what is masked, whatever batch a string is in', async () => {
  const denoisers = maskedDenoiser(network, { batchSize: 2 })
  const denoiser = denoisers.with(network.init(random.key(2)))
  const noisy = Int32Array.of(3, -1, 0, -1, 6, 5, ...new Array<number>(6).fill(-1), -1, 1, 2, 3, 4, 5)
  const { clean } = await denoiser.denoise(noisy, 0.5)
  const first = await denoiser.denoise(noisy.slice(12), 0.9)
  denoisers.dispose()
  expect(Array.from(first.clean)).toEqual(Array.from(clean.slice(2 * 6 * 7)))
  for (const [at, token] of noisy.entries()) {
    const row = Array.from(clean.slice(at * 7, (at + 1) * 7))
    expect(row.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5)
    if (token >= 0) expect(row[token]).toBe(1)
    else expect(Math.max(...row)).toBeLessThan(0.9)
  }
})
