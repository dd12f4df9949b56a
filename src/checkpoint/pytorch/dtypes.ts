/** @file PyTorch's element types: the name of the dtype, the class of its storage, and the name they have here. */

/** One element type, `bytes` each. `dtype` is the name safetensors gives it, where it has one. */
export type TorchDtype = { dtype: string; bytes: number }

type Row = [torch: string, storage: string | undefined, dtype: string, bytes: number]

/** Types without a storage class of their own are saved as untyped bytes with the dtype beside them. */
const ROWS: Row[] = [
  ['float32', 'FloatStorage', 'F32', 4],
  ['float64', 'DoubleStorage', 'F64', 8],
  ['float16', 'HalfStorage', 'F16', 2],
  ['bfloat16', 'BFloat16Storage', 'BF16', 2],
  ['uint8', 'ByteStorage', 'U8', 1],
  ['int8', 'CharStorage', 'I8', 1],
  ['int16', 'ShortStorage', 'I16', 2],
  ['int32', 'IntStorage', 'I32', 4],
  ['int64', 'LongStorage', 'I64', 8],
  ['bool', 'BoolStorage', 'BOOL', 1],
  ['complex64', 'ComplexFloatStorage', 'C64', 8],
  ['complex128', 'ComplexDoubleStorage', 'C128', 16],
  ['uint16', undefined, 'U16', 2],
  ['uint32', undefined, 'U32', 4],
  ['uint64', undefined, 'U64', 8],
  ['float8_e4m3fn', undefined, 'F8_E4M3', 1],
  ['float8_e5m2', undefined, 'F8_E5M2', 1],
  ['float8_e4m3fnuz', undefined, 'F8_E4M3FNUZ', 1],
  ['float8_e5m2fnuz', undefined, 'F8_E5M2FNUZ', 1],
  ['float8_e8m0fnu', undefined, 'F8_E8M0', 1],
]

/** `torch.float32` → its type. */
export const torchDtypes: ReadonlyMap<string, TorchDtype> = new Map(
  ROWS.map(([torch, , dtype, bytes]) => [`torch.${torch}`, { dtype, bytes }]),
)

/** `torch.FloatStorage` → its type. */
export const torchStorages: ReadonlyMap<string, TorchDtype> = new Map(
  ROWS.flatMap(([, storage, dtype, bytes]) =>
    storage ? [[`torch.${storage}`, { dtype, bytes }] as const] : [],
  ),
)
