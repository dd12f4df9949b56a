/** @file Tables of counts in a thread's memory: two halves that count in turn, added up at the end. */
import {
  add,
  below,
  branchIf,
  type Code,
  encodeModule,
  functionCode,
  get,
  i32,
  constant as integer,
  load4,
  locals,
  loop,
  simd,
  store4,
  tee,
} from '../../base/wasm/index.ts'

/** Counts of each of 2¹⁶ values, twice. */
export const tableBytes = 2 ** 19
const half = tableBytes / 2

/** table[i] += table[half + i], four words at a time. */
function foldCode(): Code {
  const [table, at] = [0, 1]
  const address = [...get(table), ...get(at), ...add]
  const sum = [...address, ...load4(0), ...address, ...integer(half), ...add, ...load4(0), ...simd(0xae)]
  return functionCode(
    [locals(1, i32)],
    loop([
      ...[...address, ...sum, ...store4(0)],
      ...[...get(at), ...integer(16), ...add, ...tee(at), ...integer(half), ...below, ...branchIf(0)],
    ]),
  )
}

/** Makes a function that adds the halves of a table up, and gives a copy of the sums. */
export function tables(memory: WebAssembly.Memory): (table: number) => Uint32Array {
  let fold: ((table: number) => void) | undefined
  return (table) => {
    if (!fold) {
      const bytes = encodeModule([{ name: 'fold', parameters: [i32], results: [], code: foldCode() }])
      const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { m: { m: memory } })
      fold = instance.exports['fold'] as (table: number) => void
    }
    fold(table)
    return new Uint32Array(memory.buffer, table, half / 4).slice()
  }
}
