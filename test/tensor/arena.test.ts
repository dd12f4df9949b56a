/** @file Arrays that end together, and programs whose constants were made there. */
import { describe, expect, it } from 'vitest'
import {
  add,
  compileDynamic,
  matmul,
  openArena,
  type Sizes,
  spec,
  type Tensor,
  tensor,
} from '../../src/tensor/index.ts'

describe('an arena', () => {
  it('has zeros that do not overlap, of any size', () => {
    const arena = openArena()
    const sizes = [3, 70_000_000, 1, 64, 1_000_000]
    const arrays = sizes.map((size) => arena.bytes(size))
    for (const [i, array] of arrays.entries()) {
      expect(array.length).toBe(sizes[i])
      expect(array[0]).toBe(0)
      expect(array[array.length - 1]).toBe(0)
      array.fill(i + 1)
    }
    const numbers = arena.floats(5).fill(0.5)
    for (const [i, array] of arrays.entries())
      expect([array[0], array[array.length - 1]]).toEqual([i + 1, i + 1])
    expect([...numbers]).toEqual([0.5, 0.5, 0.5, 0.5, 0.5])
    arena.release()
    expect([...arrays, numbers].map(({ length }) => length)).toEqual([0, 0, 0, 0, 0, 0])
    // and serves again
    expect([...arena.floats(2)]).toEqual([0, 0])
    arena.release()
  })

  it('ends when the runtime has what a program is made of, and the program goes on', async () => {
    const arena = openArena()
    const weight = arena.floats(64 * 32)
    for (let i = 0; i < weight.length; i++) weight[i] = Math.sin(i)
    const own = weight.slice()
    const program = await compileDynamic(
      (x: Tensor) => matmul(x, tensor(weight, { shape: [64, 32] })),
      ({ R }: Sizes) => [spec([R!, 64])],
      { samples: [{ R: 10007 }, { R: 10009 }], arena },
    )
    expect(weight.length).toBe(0)
    const x = Float32Array.from({ length: 2 * 64 }, (_, i) => Math.cos(i))
    const [y] = (await program.run({ R: 2 }, [x])) as [Float32Array]
    for (const r of [0, 1])
      for (const n of [0, 31]) {
        let sum = 0
        for (let k = 0; k < 64; k++) sum += x[r * 64 + k]! * own[k * 32 + n]!
        expect(y[r * 32 + n]).toBeCloseTo(sum, 4)
      }
    program.dispose()
  })

  it('lasts as long as a program that is given its matrices at each call', async () => {
    const arena = openArena()
    const weight = arena.floats(64 * 32)
    for (let i = 0; i < weight.length; i++) weight[i] = Math.sin(i)
    const program = await compileDynamic(
      (x: Tensor) => {
        const w = tensor(weight, { shape: [64, 32] })
        return add(matmul(matmul(x, w), w, { transposeB: true }), x)
      },
      ({ R }: Sizes) => [spec([R!, 64])],
      { samples: [{ R: 10007 }, { R: 10009 }], arena, given: 1024 },
    )
    expect(weight.length).toBe(64 * 32)
    const x = Float32Array.from({ length: 64 }, (_, i) => Math.cos(i))
    const [first] = (await program.run({ R: 1 }, [x])) as [Float32Array]
    // it reads the array itself, not a copy
    weight.fill(0)
    const [second] = (await program.run({ R: 1 }, [x])) as [Float32Array]
    expect([...second]).toEqual([...x])
    for (const k of [0, 63]) {
      let sum = x[k]!
      for (let n = 0; n < 32; n++) {
        let own = 0
        for (let j = 0; j < 64; j++) own += x[j]! * Math.fround(Math.sin(j * 32 + n))
        sum += own * Math.fround(Math.sin(k * 32 + n))
      }
      expect(first[k]).toBeCloseTo(sum, 3)
    }
    program.dispose()
    await expect.poll(() => weight.length).toBe(0)
  })

  it('ends also where a program is refused', async () => {
    const arena = openArena()
    const weight = arena.floats(4)
    const refused = compileDynamic(
      (x: Tensor) => matmul(x, tensor(weight, { shape: [4, 1] })).add(x.shape[0]!),
      ({ R }: Sizes) => [spec([R!, 4])],
      { samples: [{ R: 10007 }, { R: 10009 }], arena },
    )
    await expect(refused).rejects.toThrow()
    expect(weight.length).toBe(0)
  })
})
