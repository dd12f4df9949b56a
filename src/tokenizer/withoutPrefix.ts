/** @file Normalizers and pre-tokenizers for a piece in the middle of a text. */
import { isObject } from '../base/index.ts'

/** A normalizer's or pre-tokenizer's JSON without what it puts before a text: for a piece in the middle of one. */
export function withoutPrefix(json: unknown): unknown {
  if (!isObject(json)) return json
  const parts = (key: string) => (Array.isArray(json[key]) ? (json[key] as unknown[]) : [])
  switch (json['type']) {
    case 'Prepend':
      return null
    case 'ByteLevel':
      return { ...json, add_prefix_space: false }
    case 'Metaspace':
      return { ...json, prepend_scheme: 'never' }
    case 'Sequence':
      return {
        ...json,
        ...('normalizers' in json && {
          normalizers: parts('normalizers')
            .map(withoutPrefix)
            .filter((step) => step !== null),
        }),
        ...('pretokenizers' in json && { pretokenizers: parts('pretokenizers').map(withoutPrefix) }),
      }
    default:
      return json
  }
}
