/** @file One tensor of the output as planned: merged or copied, from what, with which parameters, in which type. */
import { type MergeConfig, parametersFor } from '../config/index.ts'
import type { MergeMethod } from '../methods/index.ts'
import type { Wanted } from './groups.ts'
import type { Aligned, Found } from './inputs.ts'
import { storedAt } from './stacks.ts'
import type { PlannedInput, PlannedTensor } from './types.ts'

const isInteger = (dtype: string): boolean => /^(I\d|U\d|BOOL|C64)/.test(dtype)
const widths: Readonly<Record<string, number>> = { F64: 8, F32: 4, BF16: 2, F16: 2, F8_E4M3: 1, F8_E5M2: 1 }
const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

/** The type that holds all of these: the common one, else the f32 that the arithmetic is in. */
function promoted(dtypes: readonly string[]): string {
  const [first] = dtypes
  if (dtypes.every((dtype) => dtype === first) && first! in widths) return first!
  return dtypes.includes('F64') ? 'F64' : 'F32'
}

type Decision = 'merge' | 'copy' | 'skip'

/** What the method does with a tensor that some inputs lack. */
export function decide(method: MergeMethod, found: readonly Found[], wanted: Wanted): Decision {
  if (found.length === wanted.inputs.length) return 'merge'
  const base = found.length === 1 && found[0]!.model === wanted.base
  if (found.length === 1 && method.missing === 'pass-single') return 'copy'
  if (base && (method.missing === 'pass-base' || method.missing === 'base-or-skip')) return 'copy'
  const others = found.filter(({ model }) => method.needsBase === false || model !== wanted.base).length
  const enough = others >= method.minModels && (method.needsBase !== true || others < found.length)
  if (enough) return 'merge'
  return method.missing === 'base-or-skip' ? 'skip' : 'copy'
}

export function plannedTensor(
  wanted: Wanted,
  { found, shape, linesView }: Aligned,
  config: MergeConfig,
  action: 'merge' | 'copy',
): PlannedTensor {
  const { method } = config
  const integers = found.some(({ header }) => isInteger(header.dtype))
  const isBase = (one: Found): boolean => method.needsBase !== false && one.model === wanted.base
  const input = (one: Found): PlannedInput => ({
    model: one.model,
    tensor: one.tensor,
    ...storedAt(one.header),
    ...(one.view ? { view: one.view } : {}),
    parameters:
      isBase(one) || action === 'copy'
        ? {}
        : parametersFor(method.parameters.perModel, [one.own, ...wanted.settings], {
            tensor: one.written,
            depth: wanted.t,
            of: one.model,
          }),
  })
  const copied = integers || action === 'copy'
  const parameters = copied
    ? {}
    : parametersFor(method.parameters.global, wanted.settings, {
        tensor: wanted.name,
        depth: wanted.t,
        of: `the ${method.name} merge`,
      })
  const base = copied ? undefined : found.find(isBase)
  const models = found.filter((one) => one !== base).map(input)
  const natural = promoted(found.map(({ header }) => header.dtype))
  return {
    name: wanted.name,
    shape,
    dtype: integers ? found[0]!.header.dtype : (config.dtype ?? natural),
    compute: config.computeDtype ?? natural,
    action: copied ? 'copy' : 'merge',
    ...(base ? { base: input(base) } : {}),
    models,
    parameters,
    reach: copied
      ? 'tensor'
      : method.reach(
          parameters,
          models.map((one) => one.parameters),
        ),
    ...(wanted.depth ? { depth: wanted.depth } : {}),
    ...(linesView ? { linesView } : {}),
  }
}

/** Bytes of a tensor of the output. */
export const bytesOf = ({ shape, dtype }: PlannedTensor): number =>
  sizeOf(shape) * (widths[dtype] ?? (Number(/\d+/.exec(dtype)?.[0] ?? 8) || 8) / 8)
