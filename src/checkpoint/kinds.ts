/** @file What a file holds, told by its bytes and never by its name; what is no weight file is refused by what it is. */
import { bytes, fail } from '../base/index.ts'
import { isNpy } from './npy.ts'
import { type ByteSource, fileSource } from './source.ts'
import { readZip } from './zip.ts'

/** Kinds of files that hold tensors; `index` names the shards of a model. */
export type Kind = 'gguf' | 'npy' | 'npz' | 'pytorch' | 'index' | 'safetensors'

/** Files of other programs by their first bytes, and what to do about them. */
const OTHERS: readonly (readonly [lead: string, what: string, advice: string])[] = [
  ['\x89HDF\r\n\x1a\n', 'an HDF5 file (Keras, older TensorFlow)', 'save its weights as safetensors or .npz'],
  ['lmgg', 'a GGML file from before GGUF', 'convert it to GGUF with a current llama.cpp'],
  ['tjgg', 'a GGML file from before GGUF', 'convert it to GGUF with a current llama.cpp'],
  ['fmgg', 'a GGML file from before GGUF', 'convert it to GGUF with a current llama.cpp'],
  ['\x1f\x8b', 'a gzip archive', 'unpack it first'],
  ['BZh', 'a bzip2 archive', 'unpack it first'],
  ['\xfd7zXZ\0', 'an xz archive', 'unpack it first'],
  ['\x28\xb5\x2f\xfd', 'a zstd archive', 'unpack it first'],
  ['7z\xbc\xaf\x27\x1c', 'a 7z archive', 'unpack it first'],
  ['%PDF', 'a PDF document', 'name the weights'],
  ['\x89PNG', 'a picture (PNG)', 'name the weights'],
  ['\xff\xd8\xff', 'a picture (JPEG)', 'name the weights'],
  ['\x7fELF', 'a program', 'name the weights'],
  ['PAR1', 'a Parquet table', 'name the weights'],
]

const LOOKED_FOR =
  'safetensors (a length of 8 bytes, then "{"), GGUF, .npy, zip archives of PyTorch or NumPy, pickles of PyTorch, a JSON index'

/** Refuse what people often have in place of weights: nothing, a pointer of Git LFS, a web page, another program's file. */
function refuseStandIns({ byteLength, label }: ByteSource, lead: Buffer): void {
  if (byteLength === 0) fail('TL_BAD_FILE', `${label}: the file is empty: download or write it again`)
  const text = lead.toString('latin1')
  const start = text.trimStart().toLowerCase()
  if (start.startsWith('version https://git-lfs'))
    fail(
      'TL_BAD_FILE',
      `${label}: a Git LFS pointer (${byteLength} bytes), not the weights: run "git lfs pull" in its repository`,
    )
  if (start.startsWith('<!doctype') || start.startsWith('<html'))
    fail('TL_BAD_FILE', `${label}: a web page, not the weights: download the file itself`)
  const other = OTHERS.find(([lead]) => text.startsWith(lead))
  if (other) fail('TL_UNSUPPORTED', `${label}: ${other[1]}, not weights that can be read: ${other[2]}`)
}

/** The kind that the first bytes show, or undefined. */
function shownBy(lead: Buffer): Kind | 'zip' | undefined {
  const text = lead.toString('latin1')
  if (text.startsWith('GGUF')) return 'gguf'
  if (isNpy(lead)) return 'npy'
  if (text.startsWith('PK\x03\x04')) return 'zip'
  // safetensors begins with the length of its header, a JSON index with a brace
  if (lead[8] === 0x7b && !/^\s*\{\s*"/.test(text)) return 'safetensors'
  // older PyTorch files are bare pickles; the reader says what to do with them
  if (lead[0] === 0x80 && lead[1]! <= 5) return 'pytorch'
  if (/^(\xef\xbb\xbf)?\s*\{/.test(text)) return 'index'
  // a header that is cut, or has another first character than it must, is for its reader to explain
  if (lead.length >= 8 && lead.readBigUInt64LE(0) < 100_000_000n) return 'safetensors'
  return undefined
}

const leadOf = (source: ByteSource): Buffer => {
  const lead = Buffer.alloc(Math.min(32, source.byteLength))
  source.readInto(0, lead)
  return lead
}

/** What the source holds. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED` with what was found and what was looked for. */
export function kindOf(source: ByteSource): Kind {
  const lead = leadOf(source)
  refuseStandIns(source, lead)
  const kind = shownBy(lead)
  if (kind === 'zip') return zipKind(source)
  return kind ?? unknown(source, lead)
}

function unknown({ label, byteLength }: ByteSource, lead: Buffer): never {
  const hex = [...lead.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
  const isText = /^[\x09\x0a\x0d\x20-\x7e]+$/.test(lead.toString('latin1'))
  const found = isText
    ? `a text that begins with ${JSON.stringify(lead.toString('latin1').slice(0, 20))}`
    : `begins with the bytes ${hex}`
  return fail(
    'TL_BAD_FILE',
    `${label}: not a weight file, whatever its name (${bytes(byteLength)}, ${found}); looked for ${LOOKED_FOR}`,
  )
}

function zipKind(source: ByteSource): Kind {
  const names = [...readZip(source).keys()]
  if (names.length > 0 && names.every((name) => name.endsWith('.npy'))) return 'npz'
  if (names.some((name) => name === 'data.pkl' || name.endsWith('/data.pkl'))) return 'pytorch'
  return fail(
    'TL_UNSUPPORTED',
    `${source.label}: a zip archive that is neither of PyTorch nor of NumPy (.npz)`,
  )
}

/**
 * Does this file of a folder hold weights? Files that the usual endings name are weights until their reader says otherwise;
 * any other name is asked for its bytes, and only what cannot be mistaken counts.
 */
export function looksLikeWeights(path: string): boolean {
  if (/\.(safetensors|gguf|bin|pt|pth|npz)$/i.test(path)) return true
  if (/\.(json|txt|md|py|jinja|model|tmp|zip|npy)$/i.test(path)) return false
  try {
    const source = fileSource(path)
    try {
      const lead = leadOf(source)
      const kind = shownBy(lead)
      if (kind === 'zip') return zipKind(source) !== undefined
      return kind === 'gguf' || (kind === 'safetensors' && lead[8] === 0x7b)
    } finally {
      source.close()
    }
  } catch {
    return false
  }
}
