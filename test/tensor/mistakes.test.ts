/** What JavaScript lets through and types would not: an error of Treeline that names the value, never one of the engine's insides. */
import { inspect } from 'node:util'
import { expect, expectTypeOf, test } from 'vitest'
import {
  add,
  cast,
  checkpoint,
  compile,
  evaluate,
  full,
  grad,
  jvp,
  linearize,
  matmul,
  mean,
  ones,
  random,
  reshape,
  sum,
  type Tensor,
  tensor,
  vjp,
  vmap,
  zeros,
} from '../../src/tensor/index.ts'

const x = tensor([1, 2])
const f = (y: Tensor): Tensor => y.add(1)
// what a program in JavaScript would pass
const any = (value: unknown): never => value as never
const call = (g: unknown, ...args: unknown[]): unknown => (g as (...args: unknown[]) => unknown)(...args)

const mistakes: [string, () => unknown, RegExp][] = [
  ["tensor('abc')", () => tensor(any('abc')), /^tensor: expected numbers or booleans, got "abc"/],
  ["tensor([1, '2'])", () => tensor(any([1, '2'])), /got "2"/],
  ['tensor([1, undefined])', () => tensor(any([1, undefined])), /got undefined/],
  ['tensor(null)', () => tensor(any(null)), /got null/],
  ['tensor({})', () => tensor(any({})), /got an object/],
  ['tensor([x])', () => tensor(any([x])), /got an object/],
  [
    'tensor f16',
    () => tensor([1, 2], { dtype: any('f16') }),
    /^tensor: f16 is no element type: expected f32, f64, /,
  ],
  ['typed array f16', () => tensor(Float32Array.of(1), { dtype: any('f16') }), /f16 is no element type/],
  ['zeros f16', () => zeros([2], any('f16')), /f16 is no element type/],
  ['full float32', () => full([2], 1, any('float32')), /float32 is no element type/],
  ['cast half', () => cast(x, any('half')), /^cast: half is no element type/],
  ['x.cast', () => x.cast(any('half')), /half is no element type/],
  ['zeros([-1])', () => zeros([-1]), /expected a shape, a list of whole numbers ≥ 0, got \[-1\]/],
  ['ones(3)', () => ones(any(3)), /expected a shape, .* got 3/],
  ['tensor shape 1.5', () => tensor([1, 2], { shape: [1.5] }), /expected a shape/],
  ['reshape(x)', () => reshape(x, any(undefined)), /^reshape: expected a shape, .* got undefined/],
  ['x.broadcastTo(3)', () => x.broadcastTo(any(3)), /^broadcastTo: expected a shape/],
  ['compile()', () => call(compile), /^compile: expected a function, got undefined/],
  [
    'compile(f)()',
    () => call(compile(f)),
    /^f: argument 1 of the function is missing$|^f: argument 1 .*missing/,
  ],
  ['compile(f)(undefined)', () => call(compile(f), undefined), /argument 1 of the function is missing/],
  [
    'compile(add)(x)',
    () =>
      call(
        compile((a: Tensor, b: Tensor) => b.add(a)),
        x,
      ),
    /argument 2 of the function is missing/,
  ],
  ["compile(f)('a')", () => call(compile(f), 'a'), /should be a concrete tensor, got a/],
  ['grad(f)()', () => call(grad(f)), /^grad: argument 1 of the function is missing/],
  ['compile(grad(f))()', () => call(compile(grad(f))), /argument 1 of the function is missing/],
  ['grad(f)(3)', () => call(grad(f), 3), /expected a tensor, got 3/],
  ['vmap(3)(x)', () => call(vmap(any(3)), x), /^vmap: expected a function, got 3/],
  ['vjp(f)()', () => call(vjp, f), /argument 1 of the function is missing/],
  [
    'jvp(f)',
    () => call(jvp, f),
    /^jvp: args: expected a list with one entry for each argument of the function, got undefined/,
  ],
  ['jvp(f, [x], dx)', () => call(jvp, f, [x], x), /^jvp: tangents: expected a list .*, got f32\[/],
  [
    'JSON.stringify of NaN',
    () => JSON.stringify(tensor([1, Number.NaN])),
    /element 1 is NaN, which JSON cannot hold/,
  ],
  ['linearize(f)()', () => call(linearize, f), /argument 1 of the function is missing/],
  ['checkpoint(f)()', () => call(checkpoint(f)), /argument 1 of the function is missing/],
  ['evaluate(3)', () => call(evaluate, 3), /3/],
  ['add(x)', () => call(add, x), /expected a tensor, a number or a boolean as operand, got undefined/],
  ["add(x, 'a')", () => call(add, x, 'a'), /got "a"/],
  ['x.add([1, 2])', () => x.add(any([1, 2])), /got a list \(make it a tensor: tensor\(…\)\)/],
  ['matmul(x)', () => call(matmul, x), /^matmul: expected a tensor, got undefined/],
  ['x.matmul()', () => call(x.matmul.bind(x)), /^matmul: expected a tensor, got undefined/],
  ['sum()', () => call(sum), /^sum: expected a tensor, got undefined/],
  ["sum(x, 'a')", () => call(sum, x, 'a'), /^sum: expected an axis or a list of axes, got a/],
  ['mean(x, {})', () => call(mean, x, {}), /expected an axis or a list of axes/],
  ["x.transpose('a')", () => x.transpose(any('a')), /^transpose: expected a list of axes, got a/],
  ['random.normal(3, [2])', () => random.normal(any(3), [2]), /expected a key of randomness .* got 3/],
  [
    "sampleNormal(key, 'a')",
    () => random.sampleNormal(random.key(1), any('a')),
    /expected a number of samples/,
  ],
]

test.each(mistakes)('%s', async (_, work, message) => {
  const error: unknown = await Promise.resolve()
    .then(work)
    .catch((reason: unknown) => reason)
  expect(error).toMatchObject({
    name: 'TreelineError',
    code: expect.stringMatching(/^TL_/),
    message: expect.stringMatching(message),
  })
})

test('a tensor is shown as what it is', () => {
  expect(
    inspect(
      tensor([
        [1, 2],
        [3, 4],
      ]),
    ),
  ).toBe('Tensor f32[2,2] [[1,2],[3,4]]')
  expect(inspect({ weights: zeros([100, 3]) })).toBe('{ weights: Tensor f32[100,3] }')
  expect(inspect(tensor([true, false]))).toBe('Tensor bool[2] [true,false]')
})

test('toArray has a type', () => {
  const nested = tensor([
    [1, 2],
    [3, 4],
  ]).toArray<number[][]>()
  expect(nested[1]![0]! + 1).toBe(4)
  const values = x.toArray()
  expectTypeOf(values).not.toBeUnknown()
  expectTypeOf(values).not.toBeAny()
  expect(Array.isArray(values) && values.length).toBe(2)
})

test('JSON holds the nested lists of a tensor', () => {
  expect(
    JSON.stringify({
      x: tensor([
        [1, 2],
        [3, 4.5],
      ]),
      flag: tensor([true]),
    }),
  ).toBe('{"x":[[1,2],[3,4.5]],"flag":[true]}')
})
