/** @file Number types by the words that people use for them: `bf16` as flags print it, and what other programs call the same. */

/** Names of config.json, by those of the files. */
const torchNames: Readonly<Record<string, string>> = {
  F64: 'float64',
  F32: 'float32',
  BF16: 'bfloat16',
  F16: 'float16',
  F8_E4M3: 'float8_e4m3fn',
  F8_E5M2: 'float8_e5m2',
}

/** What programs call them besides the name in the file. */
const words: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(torchNames).map(([dtype, word]) => [word, dtype])),
  double: 'F64',
  float: 'F32',
  fp32: 'F32',
  half: 'F16',
  fp16: 'F16',
}

/** The type that a word means, as a file names it: `bf16`, `BF16`, `bfloat16` and `torch.bfloat16` are BF16. */
export function dtypeOf(word: string): string {
  const plain = word.toLowerCase().replace(/^torch\./, '')
  return words[plain] ?? plain.toUpperCase()
}

/** What config.json calls a type of a file; undefined for types that it has no word for. */
export const torchName = (dtype: string): string | undefined => torchNames[dtype]

/** The one spelling that is printed, and that every flag has. */
export const dtypeWord = (dtype: string): string => dtype.toLowerCase()
