/** @file What WebAssembly's vectors can do at most: multiply and add in registers alone, without a load or a store. */

const accumulators = 12
const lanes = 4
const rounds = 2 ** 20

const unsigned = (value) => {
  const bytes = []
  do {
    bytes.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0))
    value >>>= 7
  } while (value)
  return bytes
}
const section = (id, content) => [id, ...unsigned(content.length), ...content]
const simd = (operation) => [0xfd, ...unsigned(operation)]
const get = (local) => [0x20, local]
const set = (local) => [0x21, local]

/** `(rounds: i32) -> f32`: a loop of `accumulators` independent products and sums of four lanes. */
function program() {
  const first = 2
  const factor = 1
  const splat = (value) => [0x43, ...new Uint8Array(new Float32Array([value]).buffer), ...simd(19)]
  const body = [
    ...splat(0.999999).concat(set(factor)),
    ...Array.from({ length: accumulators }, (_, i) => [...splat(i), ...set(first + i)]).flat(),
    0x03,
    0x40, // loop
    ...Array.from({ length: accumulators }, (_, i) => [
      ...get(first + i),
      ...get(factor),
      ...simd(230), // f32x4.mul
      ...get(factor),
      ...simd(228), // f32x4.add
      ...set(first + i),
    ]).flat(),
    ...get(0),
    0x41,
    1,
    0x6b,
    0x22,
    0,
    0x0d,
    0,
    0x0b, // n = n − 1; again while it is not 0
    ...get(first),
    ...Array.from({ length: accumulators - 1 }, (_, i) => [...get(first + 1 + i), ...simd(228)]).flat(),
    ...simd(31),
    0,
    0x0b, // lane 0
  ] // prettier-ignore
  const locals = [1, accumulators + 1, 0x7b]
  const code = [...locals, ...body]
  return new Uint8Array([
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, [1, 0x60, 1, 0x7f, 1, 0x7d]),
    ...section(3, [1, 0]),
    ...section(7, [1, 1, 0x66, 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]) // prettier-ignore
}

/** GFLOP/s of one thread, the best of `times`. */
export function wasmPeak(times = 20) {
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(program())).exports
  f(rounds)
  let best = 0
  for (let i = 0; i < times; i++) {
    const start = process.cpuUsage()
    f(rounds)
    const { user } = process.cpuUsage(start)
    best = Math.max(best, (rounds * accumulators * lanes * 2) / (user * 1e3))
  }
  return best
}
