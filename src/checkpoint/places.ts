/** @file Tensors whose place in a file is known already: read without the file's header. */
import { type CheckpointTensor, plainTensor, type TensorPlace } from './checkpoint.ts'
import { allocate, type ByteSource, fileSource } from './source.ts'

/** What a header says of a tensor that lies in a file as plain bytes. It can be sent to another thread. */
export interface StoredAt extends TensorPlace {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly byteLength: number
}

/** Files that are open for reading at known places. */
export interface Places {
  /** Throws `TL_IO`, and when it is read `TL_BAD_FILE`, if the file has become shorter. */
  readonly tensor: (name: string, at: StoredAt) => CheckpointTensor
  readonly close: () => void
}

/** Open it; files are opened as they are asked for. */
export function openPlaces(): Places {
  const files = new Map<string, ByteSource>()
  return {
    tensor(name, { path, offset, dtype, shape, byteLength }) {
      const file = files.get(path) ?? fileSource(path)
      files.set(path, file)
      return plainTensor(
        { name, dtype, shape, byteLength },
        (begin, end) => {
          const bytes = allocate(end - begin, `${path}: tensor ${name}`)
          file.readInto(offset + begin, bytes)
          return bytes
        },
        (begin, into) => file.readInto(offset + begin, into),
        { path, offset },
      )
    },
    close() {
      for (const file of files.values()) file.close()
      files.clear()
    },
  }
}
