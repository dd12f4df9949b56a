/** @file The training loop: same bits twice, data order, evaluation of ragged tables, best and patience, frozen parts, guard, interruption. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import { readSafetensors } from '../../src/checkpoint/index.ts'
import * as nn from '../../src/nn/index.ts'
import { entries, random, type Tensor, type Tree, tensor } from '../../src/tensor/index.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'treeline-train-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const n = 70
const x = tensor(random.sampleNormal(random.key(1), 4 * n), { shape: [n, 4] })
const label = tensor(Int32Array.from({ length: n }, (_, i) => (Number(x.data[4 * i]) > 0 ? 1 : 0)))
const data = { x, label }
type Data = typeof data
const net = nn.mlp({ sizes: [4, 16, 2] })
const base = {
  parameters: net.init(random.key(2)),
  data,
  loss: (p: nn.MlpParameters, batch: Data) => {
    const logits = net.apply(p, batch.x)
    return {
      loss: nn.crossEntropyLoss(logits, batch.label),
      metrics: { accuracy: nn.accuracy(logits, batch.label) },
    }
  },
  optimizer: nn.adam() as nn.Optimizer,
  learningRate: 0.01,
  batchSize: 16,
} satisfies Partial<nn.TrainOptions<nn.MlpParameters, Data>>
const validation = {
  data,
  measure: (p: nn.MlpParameters, batch: Data) => ({
    accuracy: nn.isCorrect(net.apply(p, batch.x), batch.label),
  }),
}

const bits = (tree: Tree<Tensor>) => entries(tree).map(([name, t]) => [name, [...t.data].join()])
async function refusal(promise: Promise<unknown>): Promise<TreelineError> {
  const error = await promise.then(
    () => expect.fail('nothing was thrown'),
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(TreelineError)
  expect((error as Error).message).not.toMatch(/\n/)
  return error as TreelineError
}

describe('a run', () => {
  it('learns, reports, and gives the same bits for the same seed', async () => {
    const runs = []
    for (const seed of [1, 1, 2]) {
      const lines: nn.MetricsLine[] = []
      const result = await nn.train({
        ...base,
        seed,
        epochs: 12,
        onMetrics: (line) => lines.push(line),
        logEvery: 10,
        evaluate: validation,
      })
      runs.push({ lines, result })
    }
    const [a, b, c] = runs.map(({ result }) => bits(result.parameters))
    expect(a).toEqual(b)
    expect(a).not.toEqual(c)
    expect(runs[0]!.lines).toEqual(runs[1]!.lines)
    const { lines, result } = runs[0]!
    expect(result.step).toBe(53) // 12 epochs of 70 in batches of 16, rounded up
    expect(result.reason).toBe('steps')
    const losses = lines.flatMap((line) => line['loss'] ?? [])
    expect(losses).toHaveLength(6)
    expect(losses[0]).toBeGreaterThan(losses[5]! * 1.5)
    expect(lines.at(-1)).toMatchObject({ step: 53, learningRate: 0.01 })
    expect(result.metrics['validationAccuracy']).toBeGreaterThan(0.9)
  })
  it('is the same however many steps one call makes', async () => {
    const one = await nn.train({ ...base, steps: 12 })
    const four = await nn.train({ ...base, steps: 12, stepsPerCall: 4, logEvery: 4 })
    for (const [i, [, t]] of entries(one.parameters as Tree<Tensor>).entries()) {
      const other = entries(four.parameters as Tree<Tensor>)[i]![1]
      for (let j = 0; j < t.size; j++) expect(Number(other.data[j])).toBeCloseTo(Number(t.data[j]), 6)
    }
  })
  it('runs on the reference and in float64', async () => {
    const parameters = nn.castParameters(base.parameters, 'f64')
    const wide = { x: tensor(Float64Array.from(x.data as Float32Array), { shape: x.shape }), label }
    const [a, b] = await Promise.all(
      (['reference', 'onnx'] as const).map((backend) =>
        nn.train({ ...base, parameters, data: wide, steps: 5, backend }),
      ),
    )
    const [p, q] = [a!, b!].map(({ parameters: tree }) => entries(tree as Tree<Tensor>))
    for (const [i, [, t]] of p!.entries())
      for (let j = 0; j < t.size; j++) expect(Number(q![i]![1].data[j])).toBeCloseTo(Number(t.data[j]), 10)
  })
})

describe('data', () => {
  /** The rows each step saw. */
  async function seen(
    options: Partial<nn.TrainOptions<nn.MlpParameters, Data>>,
    steps: number,
  ): Promise<number[][]> {
    const rows: number[][] = []
    const table = { x, label: tensor(Int32Array.from({ length: n }, (_, i) => i)) }
    await nn.train({
      ...base,
      data: table,
      loss: (p, batch) => net.apply(p, batch.x).mean(),
      augment: (batch) => {
        rows.push([...(batch.label.data as Int32Array)])
        return undefined
      },
      steps,
      ...options,
    })
    return rows
  }
  it('every epoch shows every example once, in another order; batches cross epochs', async () => {
    const order = (await seen({ seed: 5 }, 35)).flat() // 560 = 8 epochs
    const epochs = Array.from({ length: 8 }, (_, e) => order.slice(n * e, n * (e + 1)))
    for (const epoch of epochs)
      expect([...epoch].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i))
    expect(new Set(epochs.map(String)).size).toBe(8)
    expect((await seen({ seed: 5 }, 3)).flat()).toEqual(order.slice(0, 48))
    expect((await seen({ seed: 6 }, 3)).flat()).not.toEqual(order.slice(0, 48))
    expect((await seen({ shuffle: false }, 5)).flat().slice(0, 72)).toEqual([
      ...Array.from({ length: n }, (_, i) => i),
      0,
      1,
    ])
  })
  it('a batch may exceed the table', async () => {
    expect((await seen({ batchSize: 200, shuffle: false }, 1))[0]).toEqual(
      Array.from({ length: 200 }, (_, i) => i % n),
    )
  })
  it('may be a function of the step, also an asynchronous one', async () => {
    const make = (step: number, key: nn.Key): Data => {
      const fresh = tensor(random.sampleNormal(key, 32), { shape: [8, 4] })
      return { x: fresh, label: tensor(new Int32Array(8).fill(step % 2)) }
    }
    const { batchSize: _, ...rest } = base
    const a = await nn.train({ ...rest, data: make, steps: 6 })
    const b = await nn.train({ ...rest, data: async (step, key) => make(step, key), steps: 6 })
    expect(bits(a.parameters)).toEqual(bits(b.parameters))
    expect((await refusal(nn.train({ ...rest, data: make, epochs: 2 }))).message).toMatch(
      /endless data have none/,
    )
    const odd = (step: number): Data => (step < 2 ? make(step, [0, 0]) : data)
    expect((await refusal(nn.train({ ...rest, data: odd, steps: 4 }))).message).toMatch(
      /data: expected a batch like the first, f32\[8,4\]/,
    )
  })
  it('augment may return another batch', async () => {
    const zero = { x: tensor(new Float32Array(64), { shape: [16, 4] }), label: tensor(new Int32Array(16)) }
    const changed = await nn.train({ ...base, steps: 4, augment: () => zero })
    const direct = await nn.train({ ...base, data: zero, steps: 4 })
    expect(bits(changed.parameters)).toEqual(bits(direct.parameters))
  })
})

describe('evaluation', () => {
  it('covers every example once, whatever the batch size', async () => {
    const parameters = base.parameters
    const results = []
    for (const batchSize of [1, 16, 69, 70, 500])
      results.push(await nn.evaluateMeans(validation.measure, parameters, data, { batchSize }))
    const whole = await nn.applyInBatches(
      (p: nn.MlpParameters, b: Data) => ({ logits: net.apply(p, b.x) }),
      parameters,
      data,
      { batchSize: 16 },
    )
    expect(whole['logits']!.shape).toEqual([n, 2])
    let right = 0
    for (let i = 0; i < n; i++) {
      const [a, b] = [Number(whole['logits']!.data[2 * i]), Number(whole['logits']!.data[2 * i + 1])]
      if ((b > a ? 1 : 0) === label.data[i]) right++
    }
    for (const { accuracy } of results) expect(accuracy).toBeCloseTo(right / n, 12)
  })
  it('happens at its interval and at the end, under its name, with the moving average where there is one', async () => {
    const lines: nn.MetricsLine[] = []
    const result = await nn.train({
      ...base,
      steps: 10,
      averageDecay: 0.9,
      logEvery: 100,
      evaluate: [
        { ...validation, name: 'test', every: 4 },
        { ...validation, every: 5 },
      ],
      onMetrics: (line) => lines.push(line),
    })
    expect(lines.map(({ step }) => step)).toEqual([4, 5, 8, 10])
    expect(Object.keys(lines[0]!)).toEqual(['step', 'epoch', 'testAccuracy'])
    expect(lines[3]).toHaveProperty('validationAccuracy')
    const means = await nn.evaluateMeans(validation.measure, result.average!, data)
    expect(lines[3]!['testAccuracy']).toBeCloseTo(means['accuracy']!, 12)
    expect(bits(result.average!)).not.toEqual(bits(result.parameters))
  })
  it('says when a measure is not one number for each example', async () => {
    const wrong = {
      data,
      measure: (p: nn.MlpParameters, b: Data) => ({ accuracy: nn.accuracy(net.apply(p, b.x), b.label) }),
    }
    expect((await refusal(nn.train({ ...base, steps: 1, evaluate: wrong }))).message).toMatch(
      /"accuracy" should have a value for each of 16 examples, got f32\[\]/,
    )
  })
})

describe('the best parameters', () => {
  it('are kept, and patience ends the run', async () => {
    // the loss is maximized, so the first evaluation is the best
    const result = await nn.train({
      ...base,
      loss: (p, batch) => nn.crossEntropyLoss(net.apply(p, batch.x), batch.label).neg(),
      steps: 100,
      clipNorm: 1,
      evaluate: {
        ...validation,
        every: 2,
        measure: (p, b) => ({ loss: nn.isCorrect(net.apply(p, b.x), b.label).neg().add(1) }),
      },
      best: { metric: 'validationLoss', patience: 3 },
    })
    expect(result.reason).toBe('patience')
    expect(result.step).toBe(result.best!.step + 6)
    const again = await nn.evaluateMeans(validation.measure, result.best!.parameters, data)
    expect(1 - again['accuracy']!).toBeCloseTo(result.best!.value, 12)
  })
  it('of an unknown metric are refused at once, with the nearest name', async () => {
    const wrong = { ...base, steps: 10, evaluate: validation }
    expect((await refusal(nn.train({ ...wrong, best: { metric: 'testLoss' } }))).message).toMatch(
      /belongs to no evaluation \(their names: validation\)/,
    )
    expect((await refusal(nn.train({ ...wrong, best: { metric: 'validationAcuracy' } }))).message).toMatch(
      /did you mean "validationAccuracy"/,
    )
  })
  it('stopWhen ends the run after a line', async () => {
    const result = await nn.train({ ...base, steps: 50, logEvery: 5, stopWhen: ({ step }) => step >= 15 })
    expect([result.step, result.reason]).toEqual([15, 'stopWhen'])
  })
})

it('frozen parameters stay, the others are trained, names and order are kept', async () => {
  const { parameters } = await nn.train({
    ...base,
    steps: 3,
    isFrozen: (name) => name.startsWith('layers.0'),
  })
  expect([...parameters.layers[0]!.weight.data]).toEqual([...base.parameters.layers[0]!.weight.data])
  expect([...parameters.layers[1]!.weight.data]).not.toEqual([...base.parameters.layers[1]!.weight.data])
  expect(entries(parameters as Tree<Tensor>).map(([name]) => name)).toEqual(
    entries(base.parameters as Tree<Tensor>).map(([name]) => name),
  )
  expect((await refusal(nn.train({ ...base, steps: 1, isFrozen: () => true }))).message).toMatch(
    /at least one parameter to train/,
  )
})

describe('the guard', () => {
  it('names the step, the loss, and the data when they are at fault', async () => {
    const bad = { x: tensor(Float32Array.from(x.data as Float32Array), { shape: x.shape }), label }
    ;(bad.x.data as Float32Array)[4 * 20] = Number.NaN
    const error = await refusal(nn.train({ ...base, data: bad, steps: 20, shuffle: false }))
    expect(error.code).toBe('TL_NOT_FINITE')
    expect(error.message).toMatch(
      /stopped at step 1: the loss is NaN; the first tensor that is not finite is batch\.x/,
    )
  })
  it('names the gradient that overflowed, or the parameters that did', async () => {
    const undefinedRoot = await refusal(
      nn.train({
        ...base,
        // √ of a negative number once the weight has crossed zero
        parameters: { w: tensor([0.05]), v: tensor([1]) },
        loss: (p: { w: Tensor; v: Tensor }) => p.w.sqrt().add(p.v.mul(0)).sum(),
        optimizer: nn.sgd() as nn.Optimizer,
        steps: 10,
      }),
    )
    expect(undefinedRoot.message).toMatch(
      /step 2: the loss is NaN; the first tensor that is not finite is gradient\.w .*learning rate, now 0\.0100/,
    )
    const exploded = await refusal(
      nn.train({
        ...base,
        parameters: { w: tensor([1]) },
        loss: (p: { w: Tensor }) => p.w.mul(1e10).sum(),
        optimizer: nn.sgd() as nn.Optimizer,
        learningRate: 1e38,
        steps: 10,
      }),
    )
    expect(exploded.message).toMatch(/step 1: the loss is -Infinity; .* not finite is trainable\.w/)
  })
  it('never writes a checkpoint that is not finite', async () => {
    const path = join(folder, 'nan.safetensors')
    const error = await refusal(
      nn.train({
        ...base,
        parameters: { w: tensor([1]) },
        loss: (p: { w: Tensor }) => p.w.mul(1e10).sum(),
        optimizer: nn.sgd() as nn.Optimizer,
        learningRate: 1e38,
        steps: 10,
        checkpoint: { path, every: 1 },
      }),
    )
    expect(error.message).toMatch(/after step 1: trainable\.w is not finite/)
    expect(existsSync(path)).toBe(false)
  })
})

describe('checkpoints', () => {
  const path = () => join(folder, 'state.safetensors')
  const options = () => ({
    ...base,
    steps: 20,
    checkpoint: { path: path(), every: 5 },
    resume: true,
    averageDecay: 0.9,
  })

  it('an aborted run finishes its step, saves, and goes on to the same weights', async () => {
    const whole = await nn.train({ ...base, steps: 20, averageDecay: 0.9 })
    const controller = new AbortController()
    let step = 0
    const stopped = nn.train({
      ...options(),
      signal: controller.signal,
      augment: () => {
        if (++step === 8) controller.abort()
        return undefined
      },
    })
    const error = await refusal(stopped)
    expect(error.code).toBe('TL_INTERRUPTED')
    expect(error.message).toBe(`interrupted after step 8 of 20; the state is in ${path()}`)
    const from: number[] = []
    const result = await nn.train({ ...options(), onResume: (at) => from.push(at) })
    expect(from).toEqual([8])
    expect(bits(result.parameters)).toEqual(bits(whole.parameters))
    expect(bits(result.average!)).toEqual(bits(whole.average!))
  })
  it('a finished run is not run again, and can be made longer', async () => {
    let steps = 0
    const count = () => {
      steps++
      return undefined
    }
    const again = await nn.train({ ...options(), augment: count })
    expect([again.step, steps]).toEqual([20, 0])
    const longer = await nn.train({ ...options(), steps: 26, augment: count })
    expect([longer.step, steps]).toEqual([26, 6])
    const straight = await nn.train({ ...base, steps: 26, averageDecay: 0.9 })
    expect(bits(longer.parameters)).toEqual(bits(straight.parameters))
  })
  it('holds parameters under their own names, moments, average, and no second copy', async () => {
    const { tensors, metadata } = readSafetensors(path())
    const prefixes = ['parameters', 'optimizer.sum', 'optimizer.squares', 'average']
    const names = entries(base.parameters as Tree<Tensor>).map(([name]) => name)
    expect([...tensors.keys()].sort()).toEqual(
      prefixes.flatMap((p) => names.map((name) => `${p}.${name}`)).sort(),
    )
    expect(JSON.parse(metadata['treeline']!).format).toBe('treeline-training/1')
  })
  it('of another run is refused, and says what differs', async () => {
    const differing = [
      [{ seed: 9 }, /with seed 0, this one has 9/],
      [{ batchSize: 8 }, /with batchSize 16, this one has 8/],
      [{ learningRate: 0.02 }, /learning rate 0\.01 at step 0, this one has 0\.02/],
      [{ optimizer: nn.adam({ beta1: 0.8 }) as nn.Optimizer }, /with optimizer .*"beta1":0\.9/],
      [{ config: { width: 3 } }, /with config null, this one has \{"width":3\}/],
    ] as const
    for (const [change, message] of differing) {
      const error = await refusal(nn.train({ ...options(), ...change }))
      expect(error.code).toBe('TL_BAD_CONFIG')
      expect(error.message).toMatch(message)
    }
  })
  it('that is damaged is refused in one line', async () => {
    const whole = readFileSync(path())
    const broken = join(folder, 'broken.safetensors')
    for (const bytes of [
      whole.subarray(0, 900),
      whole.subarray(0, 5),
      Buffer.from('not a checkpoint at all'),
    ]) {
      writeFileSync(broken, bytes)
      const error = await refusal(nn.train({ ...options(), checkpoint: { path: broken } }))
      expect(error.code).toBe('TL_BAD_FILE')
    }
    nn.saveParameters(broken, base.parameters)
    expect((await refusal(nn.train({ ...options(), checkpoint: { path: broken } }))).message).toMatch(
      /not a checkpoint of training/,
    )
  })
})

describe('parameters on disk', () => {
  it('come back bit for bit, by name', async () => {
    const path = join(folder, 'model.safetensors')
    nn.saveParameters(path, base.parameters)
    expect(bits(nn.loadParameters(path, base.parameters))).toEqual(bits(base.parameters))
    const sorted = (tree: Tree<Tensor>) => bits(tree).sort()
    expect(sorted(nn.loadParameters(path))).toEqual(sorted(base.parameters))
    const wider = nn.mlp({ sizes: [4, 17, 2] }).init(random.key(0))
    expect(() => nn.loadParameters(path, wider)).toThrow(
      /tensor "layers\.0\.weight": expected f32\[17,4\], got F32 \[16,4\]/,
    )
    const deeper = nn.mlp({ sizes: [4, 16, 2, 2] }).init(random.key(0))
    expect(() => nn.loadParameters(path, deeper)).toThrow(/no tensor "layers\.2\.weight"/)
    const shallow = nn.mlp({ sizes: [4, 16] }).init(random.key(0))
    expect(() => nn.loadParameters(path, shallow)).toThrow(/"layers\.1\.\w+" has no place in the network/)
  })
  it('describe themselves', () => {
    expect(nn.countParameters(base.parameters)).toBe(4 * 16 + 16 + 16 * 2 + 2)
    expect(nn.describeParameters(base.parameters)).toMatch(
      /^layers\.0\.weight {2}f32\[16,4\]\n(.*\n){3}114 parameters$/,
    )
  })
})

it('options without meaning are refused', async () => {
  const cases = [
    [{}, /either steps or epochs/],
    [{ steps: 5, epochs: 1 }, /either steps or epochs/],
    [{ steps: 1.5 }, /steps: expected a number >= 0, got 1\.5/],
    [{ steps: 10, stepsPerCall: 4 }, /steps: 10 is not a multiple of stepsPerCall 4/],
    [{ steps: 8, stepsPerCall: 4, logEvery: 3 }, /logEvery: 3 is not a multiple/],
    [{ steps: 8, logEvery: 0 }, /logEvery: expected a whole number of steps >= 1, got 0/],
    [{ steps: 8, batchSize: 0 }, /batchSize: expected an integer >= 1, got 0/],
    [{ steps: 8, clipNorm: 0 }, /clipNorm: expected a number above 0, got 0/],
    [{ steps: 8, averageDecay: 1 }, /averageDecay: expected a number in \[0, 1\), got 1/],
    [{ steps: 8, data: { x, label: tensor(new Int32Array(3)) } }, /one first axis of at least one example/],
  ] as const
  for (const [change, message] of cases)
    expect((await refusal(nn.train({ ...base, ...(change as object) } as never))).message).toMatch(message)
})

it('progress tells how far it is', async () => {
  const list: nn.TrainProgress[] = []
  await nn.train({ ...base, epochs: 4, onProgress: (p) => list.push(p), evaluate: validation })
  expect(list[0]).toMatchObject({ step: 0, total: 18 })
  const last = list.at(-1)!
  expect(last).toMatchObject({ step: 18, total: 18, secondsLeft: 0 })
  expect(last.examplesPerSecond).toBeGreaterThan(0)
  expect(last.loss).toBeGreaterThan(0)
  expect(last.metrics).toHaveProperty('accuracy')
  expect(last.metrics).toHaveProperty('validationAccuracy')
  expect(last.epoch).toBeCloseTo(4.114, 2)
})
