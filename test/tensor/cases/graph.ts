/** @file Primitives about the graph, and random words: random attributes and inputs, and what the result should be. */
import { checkpoint, cos, mul, sin, sum, type Tensor, tanh } from '../../../src/tensor/index.ts'
import { apply } from '../../../src/tensor/tensor.ts'
import { all, type CaseMaker, elementwise, floats, input, random, total } from './case.ts'

const transparent = (op: string, smooth = true): CaseMaker => ({
  dtypes: all,
  count: 4,
  make: (draw, dtype) => {
    const x = random(draw, draw.shape(), dtype)
    return { inputs: [x], fn: elementwise(op), expected: [x.values], smooth }
  },
})

const waiting: CaseMaker = {
  dtypes: all,
  count: 6,
  make: (draw, dtype) => {
    const [x, after] = [random(draw, draw.shape(), dtype), random(draw, draw.shape(), draw.pick(all))]
    return { inputs: [x, after], fn: elementwise('barrier'), expected: [x.values] }
  },
}

const rematerializing: CaseMaker = {
  dtypes: floats,
  count: 4,
  make: (draw, dtype) => {
    const shape = draw.shape()
    const [x, y] = [random(draw, shape, dtype), random(draw, shape, dtype)]
    const body = (a: Tensor, b: Tensor): Tensor[] => [mul(tanh(mul(a, b)), sin(a)), sum(mul(cos(b), b))]
    const tanhs = x.values.map((a, i) => Math.tanh(a * y.values[i]!) * Math.sin(a))
    return {
      inputs: [x, y],
      fn: (a, b) => checkpoint(body)(a!, b!),
      expected: [tanhs, [total(y.values.map((b) => Math.cos(b) * b))]],
    }
  },
}

const words: CaseMaker = {
  dtypes: ['u32'],
  count: 5,
  make: (draw) => {
    const key = input([2], 'u32', () => [draw.int(0, 2 ** 32 - 1), draw.int(0, 2 ** 32 - 1)])
    const attributes = { shape: draw.shape({ maxRank: 2 }), first: draw.pick([0, 0, 5, 2 ** 32 - 64]) }
    return { inputs: [key], fn: (k) => [apply('randomWords', [k!], attributes)], attributes }
  },
}

export const graphCases: Readonly<Record<string, CaseMaker>> = {
  copy: transparent('copy'),
  stopGradient: transparent('stopGradient', false),
  barrier: waiting,
  checkpoint: rematerializing,
  randomWords: words,
}
