/** @file What a manifest holds. */
import type { FileHash } from '../../base/hashFile.ts'

/** What the file says it is. */
export const manifestFormat = 'treeline-merge/1'

/** One file of a model or of the output. */
export interface ManifestFile extends FileHash {
  readonly name: string
}

/** Options that decide bytes. */
export interface MergeSettings {
  readonly seed: number
  readonly lenient: boolean
  readonly shardSize: number
  readonly arithmetic: 'float32' | 'dtype'
}

/** The whole of it. */
export interface Manifest {
  readonly format: typeof manifestFormat
  readonly versions: { readonly treeline: string }
  readonly recipe: { readonly path: string; readonly text: string }
  readonly settings: MergeSettings
  readonly inputs: readonly { readonly model: string; readonly files: readonly ManifestFile[] }[]
  /** Bytes of the tensors that the merge reads, each counted once. */
  readonly bytesRead: number
  readonly plan: {
    readonly method: string
    readonly lines?: { readonly alpha: number; readonly beta: number }
    readonly tensors: readonly unknown[]
  }
  readonly outputs: readonly ManifestFile[]
}
