/** @file A tokenizer for tests of editing. */

/** A token for each character. */
export const words = {
  encode: (text: string) => [...text].map((c) => c.charCodeAt(0) % 96),
  decode: (ids: Iterable<number>) =>
    [...ids].map((id) => String.fromCharCode(id < 32 ? id + 96 : id)).join(''),
  eosIds: [],
  addsBos: false,
  fingerprint: () => 'characters',
}
