/**
 * @file PyTorch checkpoints (`.pt`, `.pth`, `.bin`) as torch.save has written them since 1.6: a zip archive with one
 * pickle, whose tensors point at files of numbers. The pickle is read by a machine that knows tensors and nothing else.
 * Format: torch/serialization.py (`_save`), torch/_utils.py (`_rebuild_tensor_v2`).
 */
import { fail } from '../../base/index.ts'
import { type Checkpoint, type CheckpointTensor, elements, plainTensor } from '../checkpoint.ts'
import { elementCount } from '../dtypes.ts'
import { quoted } from '../header.ts'
import { type ByteSource, fileSource, memorySource } from '../source.ts'
import { readZip, readZipEntry, type ZipEntry } from '../zip.ts'
import { flatten } from './flatten.ts'
import { type TorchTensor, tensorHost } from './globals.ts'
import { unpickle } from './pickle.ts'
import { gather, lastIndex } from './strided.ts'

/** A longer pickle than any list of tensors; each of its bytes may become an object. */
const MAX_PICKLE = 1 << 26
/** Expanded views (stride 0) may have more elements than their storage, but no more than this. */
const MAX_EXPANDED = 1 << 24

/**
 * Open a PyTorch archive: the pickle is read, the numbers stay in the file. Nested containers give dotted names; what is
 * no tensor is in `metadata`. Views are given row-major whatever their strides.
 * Throws `TL_BAD_FILE`, `TL_IO`, and `TL_UNSUPPORTED` for older formats and for pickles that ask for anything else.
 */
export function openPytorch(path: string): Checkpoint {
  const source = fileSource(path)
  try {
    return openSource(source)
  } catch (error) {
    source.close()
    throw error
  }
}

/** The same from bytes in memory; `label` names them in messages. */
export const parsePytorch = (bytes: Uint8Array, label = 'pytorch'): Checkpoint =>
  openSource(memorySource(bytes, label))

function openSource(source: ByteSource): Checkpoint {
  const { label } = source
  checkLead(source)
  const entries = readZip(source)
  const { pickle, folder } = findPickle(entries, label)
  checkByteOrder(source, entries.get(`${folder}byteorder`))
  const host = tensorHost(label, pickle.size)
  // a value that is visited twice is named twice in the pickle, unless containers share their parts
  const flat = flatten(unpickle(readZipEntry(source, pickle), host, label), label, 4 * pickle.size)
  const tensors = new Map<string, CheckpointTensor>()
  for (const [name, tensor] of flat.tensors) {
    const file = `${folder}data/${tensor.storage.key}`
    const entry = entries.get(file)
    if (!entry)
      return fail(
        'TL_BAD_FILE',
        `${label}: tensor ${quoted(name)}: the archive has no ${quoted(file)}, where its numbers should be`,
      )
    tensors.set(name, lazyTensor(source, entry, name, tensor))
  }
  return {
    path: label,
    format: 'pytorch',
    tensors,
    metadata: Object.fromEntries(flat.values),
    close: source.close,
  }
}

function checkLead(source: ByteSource): void {
  const lead = new Uint8Array(Math.min(16, source.byteLength))
  source.readInto(0, lead)
  if (lead[0] === 0x50 && lead[1] === 0x4b) return
  const again =
    'open it in Python once and save it again: torch.save(torch.load(file, weights_only=True), file)'
  // protocol 2, then the long integer 0x1950a86a20f9469cfc6c
  if (lead[0] === 0x80 && lead[2] === 0x8a && lead[3] === 10)
    fail(
      'TL_UNSUPPORTED',
      `${source.label}: PyTorch's format from before 1.6, without a zip archive: ${again}`,
    )
  if (lead[0] === 0x80 && lead[1]! <= 5)
    fail('TL_UNSUPPORTED', `${source.label}: a bare pickle, not a PyTorch archive: save it with torch.save`)
  fail('TL_BAD_FILE', `${source.label}: does not begin as a zip archive: not a PyTorch checkpoint`)
}

function findPickle(
  entries: ReadonlyMap<string, ZipEntry>,
  label: string,
): { pickle: ZipEntry; folder: string } {
  const found = [...entries.values()].filter(({ name }) => /^(?:[^/]*\/)?data\.pkl$/.test(name))
  const [pickle] = found
  if (!pickle || found.length > 1)
    return fail(
      'TL_BAD_FILE',
      `${label}: ${found.length} files data.pkl in the archive, a PyTorch checkpoint has one`,
    )
  const folder = pickle.name.slice(0, -'data.pkl'.length)
  if (entries.has(`${folder}constants.pkl`))
    fail(
      'TL_UNSUPPORTED',
      `${label}: a TorchScript program (torch.jit.save): save its weights alone: torch.save(model.state_dict(), file)`,
    )
  if (pickle.size > MAX_PICKLE)
    fail('TL_UNSUPPORTED', `${label}: a pickle of ${pickle.size} bytes, at most ${MAX_PICKLE} are read`)
  return { pickle, folder }
}

function checkByteOrder(source: ByteSource, entry: ZipEntry | undefined): void {
  if (!entry || entry.size > 16) return
  const order = Buffer.from(readZipEntry(source, entry)).toString('utf8')
  if (order !== 'little')
    fail(
      'TL_UNSUPPORTED',
      `${source.label}: byte order ${quoted(order)}, expected "little": save it on such a machine`,
    )
}

/** Check a view against its storage and the storage against the archive. */
function lazyTensor(
  source: ByteSource,
  entry: ZipEntry,
  name: string,
  { storage, dtype, offset, shape, strides }: TorchTensor,
): CheckpointTensor {
  const wrong = (problem: string): never =>
    fail('TL_BAD_FILE', `${source.label}: tensor ${quoted(name)}: ${problem}`)
  const storageBytes = storage.count * (storage.dtype?.bytes ?? 1)
  if (entry.size !== storageBytes)
    wrong(
      `${quoted(entry.name)} has ${entry.size} bytes, its storage of ${storage.count} takes ${storageBytes}`,
    )
  const capacity = Math.floor(entry.size / dtype.bytes)
  const layout = { offset, shape, strides }
  const count = elementCount(shape)
  const sizes = `shape [${shape.join(', ')}], strides [${strides.join(', ')}], offset ${offset}`
  if (count === undefined || (count > 0 && !(lastIndex(layout) < capacity)))
    return wrong(`${sizes} reach beyond its storage of ${capacity} elements`)
  if (count > capacity && count > MAX_EXPANDED)
    wrong(`${sizes}: an expanded view of ${count} elements on ${capacity}: save it with .contiguous()`)
  const { bytes } = dtype
  const header = { name, dtype: dtype.dtype, shape, byteLength: elements(shape) * bytes }
  const read = (begin: number, end: number) => readZipEntry(source, entry, begin, end)
  return plainTensor(header, (begin, end) => gather(layout, bytes, begin / bytes, end / bytes, read))
}
