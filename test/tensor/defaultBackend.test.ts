/** @file The default backend: programs that name none run on the one that was set, wherever they are made. */
import { afterEach, describe, expect, it } from 'vitest'
import { loadModel } from '../../src/lm/index.ts'
import { adam, mlp, train } from '../../src/nn/index.ts'
import {
  add,
  type Backend,
  compile,
  compileDynamic,
  compileStep,
  evaluate,
  mean,
  onnxBackend,
  random,
  setDefaultBackend,
  spec,
  square,
  tensor,
} from '../../src/tensor/index.ts'
import { tinyModels } from '../lm/fixtures.ts'

afterEach(() => setDefaultBackend('onnx'))

/** A backend that counts the programs it is given. */
function counting(): { backend: Backend; programs: string[] } {
  const programs: string[] = []
  const backend: Backend = {
    ...onnxBackend,
    name: 'counting',
    compile: (graph, options) => {
      programs.push(graph.name)
      return onnxBackend.compile(graph, options)
    },
    open: ([a, b], ...rest) => {
      programs.push(a.name)
      return onnxBackend.open!([a, b], ...rest)
    },
  }
  return { backend, programs }
}

const x = tensor([1, 2])

describe('the default backend', () => {
  it('runs every kind of program that names none', async () => {
    const { backend, programs } = counting()
    const before = compile((v: typeof x) => add(v, 1), { name: 'made before' })
    setDefaultBackend(backend)
    expect((await before(x)).toArray()).toEqual([2, 3])
    await evaluate(add(x, 1))
    const step = await compileStep((s: typeof x, v: typeof x) => ({ state: add(s, v), outputs: s }), x, [x], {
      name: 'step',
    })
    step.dispose()
    const program = await compileDynamic(
      (v: typeof x) => add(v, 1),
      ({ n }) => [spec([n!])],
      {
        ...{ name: 'dynamic', samples: [{ n: 5 }, { n: 7 }] },
      },
    )
    program.dispose()
    expect(programs).toEqual(['made before', 'evaluate', 'step', 'dynamic'])
  })

  it('runs training and language models', async () => {
    const { backend, programs } = counting()
    setDefaultBackend(backend)
    const network = mlp({ sizes: [2, 3, 1] })
    await train({
      parameters: network.init(random.key(0)),
      loss: (p, batch: { x: typeof x }) => mean(square(network.apply(p, batch.x))),
      data: { x: tensor([[1, 2]]) },
      ...{ optimizer: adam(), learningRate: 1e-3, steps: 1, batchSize: 1 },
    })
    expect(programs).toContain('training step')
    const seen = programs.length
    const { models, clean } = await tinyModels()
    try {
      const model = await loadModel(models[0]!.path)
      await model.logits([1, 2, 3])
      expect(programs.length).toBeGreaterThan(seen)
    } finally {
      clean()
    }
  })

  it('gives way to a backend that is named', async () => {
    const { backend, programs } = counting()
    setDefaultBackend('reference')
    expect((await compile((v: typeof x) => add(v, 1), { backend })(x)).toArray()).toEqual([2, 3])
    expect(programs).toEqual(['program'])
  })

  it('must be one', () => {
    for (const wrong of ['cuda', {}, null])
      expect(() => setDefaultBackend(wrong as never)).toThrow(
        "expected 'onnx', 'reference' or a backend object",
      )
  })
})
