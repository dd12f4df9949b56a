/** @file A merge configuration after reading: what mergekit's YAML says, with the line of everything that may be wrong. */
import type { MergeMethod, ParameterValue } from '../methods/index.ts'
import type { SkipPattern } from './skip.ts'

/** A scalar, or a gradient: values at evenly spaced depths, from the first layer to the last. */
export type Scalars = ParameterValue | readonly ParameterValue[]

/** One entry of a filter list: the first whose text occurs in the tensor's name gives the value; no text matches all. */
export interface FilterEntry {
  readonly filter?: string
  readonly value: Scalars
  readonly where: string
}

/** What is written for one parameter. */
export type Setting =
  | { readonly kind: 'value'; readonly value: Scalars; readonly where: string }
  | { readonly kind: 'filters'; readonly entries: readonly FilterEntry[]; readonly where: string }

/** Parameters of one place of the file. */
export type Settings = ReadonlyMap<string, Setting>

/** One model of a slice: layers [from, to) of it, or all of them. */
export interface Source {
  readonly model: string
  readonly layers?: readonly [from: number, to: number]
  readonly parameters: Settings
  readonly where: string
}

/** Consecutive layers of the output, made of equally many of each source. */
export interface OutputSlice {
  readonly sources: readonly Source[]
  readonly baseModel?: string
  readonly parameters: Settings
  readonly where: string
}

/** One stack of layers of the output with what belongs to it; `name` undefined: every stack of the architecture. */
export interface OutputModule {
  readonly name?: string
  readonly slices: readonly OutputSlice[]
  readonly parameters: Settings
  readonly where: string
}

/** LiNeS after the merge: λ = α + β · depth, α = 'auto' from L1 norms (Wang et al. 2025, arXiv 2410.17146). */
export interface LinesSetting {
  readonly alpha: number | 'auto'
  readonly beta: number
  /** The model that task vectors are measured from. */
  readonly base: string
  readonly where: string
}

/** Where the row of a token comes from: its row in a model, zeros, or another token of a model. */
export type TokenSource =
  | { readonly kind: 'model'; readonly model: string }
  | { readonly kind: 'zero' }
  | { readonly kind: 'model_token'; readonly model: string; readonly token?: string; readonly id?: number }

/** What the file says about one token of the output. */
export interface TokenRule {
  readonly token: string
  readonly source?: TokenSource
  /** Models that have the token take the source's row, too. */
  readonly force: boolean
  readonly where: string
}

/** The output's tokenizer. */
export interface TokenizerSetting {
  /** 'union', 'base' or a model. */
  readonly source: string
  readonly tokens: readonly TokenRule[]
  /** The tables' rows are rounded up to a multiple of this. */
  readonly padToMultipleOf?: number
  readonly where: string
}

/** Number types that a merge can write, by the names that mergekit uses, with those of safetensors. */
export const outputDtypes = {
  float32: 'F32',
  bfloat16: 'BF16',
  float16: 'F16',
  float64: 'F64',
} as const
export type OutputDtype = (typeof outputDtypes)[keyof typeof outputDtypes]

/** Can a merge write it? */
export const isOutputDtype = (dtype: string): dtype is OutputDtype =>
  Object.values<string>(outputDtypes).includes(dtype)

/** A configuration that makes sense by itself; whether it fits the checkpoints is for the plan to say. */
export interface MergeConfig {
  readonly path: string
  /** The file as it was written: the recipe. */
  readonly text: string
  readonly method: MergeMethod
  readonly baseModel?: string
  /** From `out_dtype`, else `dtype`; undefined: the type of the inputs. */
  readonly dtype?: OutputDtype
  /** From `dtype`: what mergekit computes in, and so do we when asked to; undefined: the type of the inputs. */
  readonly computeDtype?: OutputDtype
  readonly modules: readonly OutputModule[]
  readonly parameters: Settings
  /** Absent: the tokenizer of the base, and tables as they are. */
  readonly tokenizer?: TokenizerSetting
  /** 'auto', or Jinja. */
  readonly chatTemplate?: string
  readonly lines?: LinesSetting
  /** Tensors that stay as the base (without one, the first model) has them. */
  readonly skip: readonly SkipPattern[]
  /** Every model, the base first, in the order of their first appearance. */
  readonly models: readonly string[]
  /** What `--lenient` let pass, and what is accepted without effect. */
  readonly warnings: readonly string[]
}
