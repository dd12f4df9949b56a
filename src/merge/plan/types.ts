/** @file The plan of a merge: every output tensor with its inputs and parameters, as data that a worker can be sent. */
import type { StoredAt } from '../../checkpoint/index.ts'
import type { Parameters } from '../methods/index.ts'
import type { Problem } from '../problems.ts'
import type { TableView } from '../vocabulary/index.ts'

/** One input of one output tensor. */
export interface PlannedInput {
  readonly model: string
  /** The tensor to read; a tied head reads the embedding. */
  readonly tensor: string
  /** Where it lies, so that workers need not read the model's headers again; absent for packed formats. */
  readonly stored?: StoredAt
  readonly parameters: Parameters
  /** The tensor is a table of tokens, and this is how it becomes one of the output's. */
  readonly view?: TableView
}

/** One output tensor. */
export interface PlannedTensor {
  readonly name: string
  readonly shape: readonly number[]
  /** As safetensors names it. */
  readonly dtype: string
  /** The type that mergekit computes in: `dtype` of the configuration, else that of the inputs. */
  readonly compute: string
  /** copy: the bytes of the only input, or of inputs that must be equal (integers, masks). */
  readonly action: 'merge' | 'copy'
  readonly base?: PlannedInput
  readonly models: readonly PlannedInput[]
  readonly parameters: Parameters
  /** Values of f32 that one output value depends on: a range, or the whole tensor. */
  readonly reach: 'element' | 'tensor'
  /** The layer within its stack; absent outside layers. */
  readonly depth?: { readonly layer: number; readonly count: number }
  /** How the table of the base that LiNeS measures from becomes one of the output's. */
  readonly linesView?: TableView
}

/** A complete plan; with `problems` it cannot be carried out. */
export interface MergePlan {
  readonly method: string
  readonly tensors: readonly PlannedTensor[]
  readonly lines?: { readonly alpha: number | 'auto'; readonly beta: number; readonly base: string }
  /** Layers of the output where they differ from those of the model that the config is taken from. */
  readonly layers?: number
  readonly problems: readonly Problem[]
  readonly warnings: readonly string[]
  /** Bytes of the output's tensors. */
  readonly outputBytes: number
}
