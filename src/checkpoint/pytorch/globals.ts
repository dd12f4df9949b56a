/**
 * @file What a pickle of tensors may ask for by name: PyTorch's tensor builders, storages and dtypes, and plain
 * containers. Everything else is refused by name; nothing is ever imported.
 */
import { fail } from '../../base/index.ts'
import { quoted } from '../header.ts'
import { type TorchDtype, torchDtypes, torchStorages } from './dtypes.ts'
import type { PickleHost } from './pickle.ts'

/** Numbers that lie in the archive's file `data/<key>`; `dtype` is absent for untyped bytes (`count` is then bytes). */
export type TorchStorage = { kind: 'storage'; key: string; dtype?: TorchDtype; count: number }

/** A view of a storage. Offset and strides in elements. */
export type TorchTensor = {
  kind: 'tensor'
  storage: TorchStorage
  dtype: TorchDtype
  offset: number
  shape: number[]
  strides: number[]
}

/** A name that stands for something: a dtype, a storage class, or something to call. */
type Global = { kind: 'global'; name: string; call?: (args: unknown[], host: Checks) => unknown }

type Checks = {
  wrong: (problem: string) => never
  /** Copying what a pickle only points at must not cost more than reading the pickle once. */
  spend: (items: number) => void
}

const kindOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined
export const isTensor = (value: unknown): value is TorchTensor => kindOf(value) === 'tensor'
export const isStorage = (value: unknown): value is TorchStorage => kindOf(value) === 'storage'
export const isGlobal = (value: unknown): value is { name: string } => kindOf(value) === 'global'

/** The names that may be called, and what they give. */
const CALLS: Record<string, (args: unknown[], checks: Checks) => unknown> = {
  'torch._utils._rebuild_tensor': rebuildTensor,
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  'torch._utils._rebuild_tensor_v3': rebuildTensor,
  'torch._utils._rebuild_parameter': rebuildParameter,
  'torch._utils._rebuild_parameter_with_state': rebuildParameter,
  'torch.Size': ([sizes], { wrong }) => (Array.isArray(sizes) ? sizes : wrong('torch.Size of no tuple')),
  'torch.device': ([device], { wrong }) =>
    typeof device === 'string' ? device : wrong('torch.device of no text'),
  'collections.OrderedDict': ([pairs], checks) =>
    new Map(listOf(pairs, checks).map((pair) => pairOf(pair, checks))),
  'builtins.set': ([items], checks) => new Set(listOf(items, checks)),
  '__builtin__.set': ([items], checks) => new Set(listOf(items, checks)),
  // protocol 2 has no bytes: Python writes them as a text that is to be encoded
  '_codecs.encode': ([text, encoding], { wrong, spend }) => {
    if (typeof text !== 'string' || encoding !== 'latin1')
      return wrong('_codecs.encode of something else than latin1')
    spend(text.length)
    return new Uint8Array(Buffer.from(text, 'latin1'))
  },
}

const UNTYPED = new Set([
  'torch.storage.UntypedStorage',
  'torch.UntypedStorage',
  'torch.storage._UntypedStorage',
])

/** The host for `unpickle` that knows tensors and nothing else. `budget` bounds copying, in items. */
export function tensorHost(label: string, budget: number): PickleHost {
  let left = budget
  const checks: Checks = {
    wrong: (problem) => fail('TL_BAD_FILE', `${label}: ${problem}`),
    spend(items) {
      left -= items
      if (left < 0) checks.wrong('the pickle copies the same values again and again')
    },
  }
  return {
    global(module, name) {
      const full = `${module}.${name}`
      const call = Object.hasOwn(CALLS, full) ? CALLS[full] : undefined
      if (call || torchDtypes.has(full) || torchStorages.has(full) || UNTYPED.has(full))
        return { kind: 'global', name: full, call } satisfies Global
      return fail(
        'TL_UNSUPPORTED',
        `${label}: pickle asks for ${printable(full)}: refused; only tensors and plain containers are read, because anything else could run code. Save the weights alone: torch.save(model.state_dict(), file)`,
      )
    },
    call(callable, args) {
      const { name, call } = (isGlobal(callable) ? callable : {}) as Partial<Global>
      if (!call)
        return checks.wrong(`pickle calls ${name ? printable(name) : 'what is no function'}: refused`)
      return call(args, checks)
    },
    build(target) {
      // an OrderedDict's attributes (module versions) and a parameter's are no weights
      if (!(target instanceof Map) && !isTensor(target))
        checks.wrong('pickle gives attributes to what has none: refused')
    },
    persistent: (id) => storageOf(id, checks),
  }
}

/** A name fit for a message of one line. */
const printable = (name: string): string => (/^[\w.]{1,80}$/.test(name) ? name : quoted(name))

function listOf(value: unknown, { wrong, spend }: Checks): unknown[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) return wrong('a list expected')
  spend(value.length)
  return value
}

const pairOf = (value: unknown, { wrong }: Checks): [unknown, unknown] =>
  Array.isArray(value) && value.length === 2
    ? [value[0], value[1]]
    : wrong('a pair of key and value expected')

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** ('storage', class, key, device, number of elements). */
function storageOf(id: unknown, { wrong }: Checks): TorchStorage {
  if (!Array.isArray(id) || id[0] !== 'storage') return wrong('a persistent id that names no storage')
  const [, type, key, , count] = id
  if (!isGlobal(type) || typeof key !== 'string' || !isCount(count)) return wrong('a damaged storage')
  const dtype = torchStorages.get(type.name)
  if (!dtype && !UNTYPED.has(type.name)) wrong(`${printable(type.name)} is no storage`)
  return { kind: 'storage', key, dtype, count }
}

/** (storage, offset, size, strides, requires grad, hooks, dtype of untyped storages, …). */
function rebuildTensor(args: unknown[], { wrong }: Checks): TorchTensor {
  const [storage, offset, shape, strides, , , type] = args
  if (!isStorage(storage) || !isCount(offset) || !Array.isArray(shape) || !Array.isArray(strides))
    return wrong('a damaged tensor: expected storage, offset, size and strides')
  if (shape.length !== strides.length || shape.length > 64 || ![...shape, ...strides].every(isCount))
    wrong('a damaged tensor: expected as many strides as sizes, all integers >= 0')
  const dtype = storage.dtype ?? (isGlobal(type) ? torchDtypes.get(type.name) : undefined)
  if (!dtype) return wrong('a tensor of untyped bytes whose dtype is not said')
  return { kind: 'tensor', storage, dtype, offset, shape: [...shape], strides: [...strides] }
}

/** (tensor, requires grad, hooks, …): a parameter is read as its tensor. */
function rebuildParameter([tensor]: unknown[], { wrong }: Checks): TorchTensor {
  return isTensor(tensor) ? tensor : wrong('a parameter of no tensor')
}
