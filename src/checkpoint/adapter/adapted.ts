/** @file A base model with an adapter as one checkpoint: what PEFT's `merge_and_unload` gives, computed as it is read. */
import { type Checkpoint, type CheckpointTensor, elements, rangeEnd } from '../checkpoint.ts'
import { decodeF32, elementBytes, encodeF32, isConvertible } from '../convertDtype.ts'
import { type AdapterChange, adapterChanges } from './change.ts'
import { openAdapter } from './open.ts'

/** A changed tensor in the type of the base's; quantized weights become F32. */
function changedTensor({ name, shape, from, values }: AdapterChange): CheckpointTensor {
  const dtype = isConvertible(from.dtype) ? from.dtype : 'F32'
  const width = elementBytes(dtype)
  const total = elements(shape)
  const encoded = (start: number, count: number): Uint8Array => encodeF32(values(start, count), dtype)
  return {
    name,
    dtype,
    shape,
    byteLength: total * width,
    bytes: () => encoded(0, total),
    f32(start = 0, count) {
      const end = rangeEnd({ name, shape }, start, count)
      return decodeF32(encoded(start, end - start), dtype)
    },
  }
}

/**
 * The base with the adapter applied. Rounded once to f32 and then to the base's types. Closing it closes both. Throws as
 * `openAdapter` and `adapterChanges` do.
 */
export function adapted(base: Checkpoint, adapterPath: string, path: string): Checkpoint {
  const adapter = openAdapter(adapterPath)
  try {
    const tensors = new Map(base.tensors)
    for (const change of adapterChanges(adapter, base)) tensors.set(change.name, changedTensor(change))
    return {
      path,
      format: `${base.format} with an adapter`,
      tensors,
      metadata: base.metadata,
      close() {
        adapter.close()
        base.close()
      },
    }
  } catch (error) {
    adapter.close()
    throw error
  }
}
