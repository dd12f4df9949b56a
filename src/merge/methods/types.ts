/** @file What a merge method is: a row of data and one pure function over the values of one tensor. */
import type { Key } from '../../base/index.ts'
import type { Arithmetic, NumberType, Session, Vector } from '../vector/index.ts'

export type ParameterValue = number | boolean | string
export type Parameters = Readonly<Record<string, ParameterValue>>

/** One parameter of a method, as a configuration file gives it (a scalar, once gradients and filters are resolved). */
export interface ParameterSpec {
  readonly name: string
  readonly type: 'number' | 'integer' | 'boolean'
  /** Absent: the parameter is required. */
  readonly default?: number | boolean
  readonly min?: number
  readonly max?: number
  readonly doc: string
  /** Present: mergekit accepts the parameter here, and it changes nothing. Says why. */
  readonly inert?: string
  /** Present: not for configuration files; `prepare` of the method finds it. */
  readonly computed?: true
}

/** The values of one model for one tensor, row-major, and that model's parameters. */
export interface ModelInput {
  readonly values: Float32Array
  readonly parameters: Parameters
}

/** Everything that decides one merged tensor. `models` does not hold the base, unless the method ignores bases. */
export interface MergeInput {
  readonly name: string
  readonly shape: readonly number[]
  readonly base?: Float32Array | undefined
  readonly models: readonly ModelInput[]
  readonly parameters: Parameters
  /** Randomness of this tensor; only dare_* and della* use it. */
  readonly key: Key
  /** What every result is rounded to: F32 unless given. */
  readonly arithmetic?: NumberType
  /** Elements of the blocks that it is computed in; decides no result. */
  readonly block?: number
}

/** The same with values that are not computed yet. */
export interface LazyInput extends Omit<MergeInput, 'base' | 'models' | 'arithmetic' | 'block'> {
  readonly base?: Vector | undefined
  readonly models: readonly { readonly values: Vector; readonly parameters: Parameters }[]
  readonly session: Session
  readonly arithmetic: Arithmetic
}

/** A method itself: the merged tensor as an expression of its inputs and of numbers measured on them. */
export type Formula = (input: LazyInput) => Vector

/**
 * What a method does for a tensor that some inputs lack: refuse; give back the only input that has it (whichever, or
 * only the base); or, with too few inputs, the base alone, or leave the tensor out.
 */
export type MissingPolicy = 'error' | 'pass-single' | 'pass-base' | 'base-or-skip'

/** One tensor, or a piece of one, as a first look at the whole model sees it. */
export type Looked = Pick<LazyInput, 'session' | 'arithmetic'> & {
  readonly base: Vector
  readonly models: readonly Vector[]
}

/**
 * A first look at the whole model, for a statistic that no single tensor has. Ask the `question` of every tensor (or of
 * every piece of one, in any order and on any thread), `add` the answers, then call `endPass`; while it returns true, do the
 * same again.
 */
export interface Preparation {
  /** Plain data. */
  readonly question: () => unknown
  /** The answer of one tensor, a pure function of its arguments. */
  readonly look: (question: unknown, looked: Looked) => Uint32Array[]
  readonly add: (answer: readonly Uint32Array[]) => void
  /** All of it for values in memory. */
  readonly see: (base: Float32Array, models: readonly Float32Array[]) => void
  readonly endPass: () => boolean
  /** After the last pass: the computed parameters of each model, to be added to its own. */
  readonly perModel: () => Parameters[]
}

/** The parameters of one tensor, complete and each in its own range. */
export interface TensorParameters {
  readonly parameters: Parameters
  /** Of each model besides the base. */
  readonly perModel: readonly Parameters[]
  /** A number as the arithmetic has it. */
  readonly number: (x: number) => number
}

/** A merge method: what it needs, and `merge`, a pure function of the inputs of one tensor. */
export interface MergeMethod {
  readonly name: string
  readonly title: string
  /** The paper or program that the method comes from. */
  readonly source: string
  readonly parameters: {
    readonly global: readonly ParameterSpec[]
    readonly perModel: readonly ParameterSpec[]
  }
  /** false: a base has no special part; one that is configured is listed among the models (last, if not listed). */
  readonly needsBase: boolean | 'optional'
  /** How many models besides the base. */
  readonly minModels: number
  readonly maxModels: number
  readonly missing: MissingPolicy
  /** True: the result differs with the key (at densities below 1). */
  readonly random: boolean
  /**
   * How far one output value looks: 'element' when merging a range of the tensor gives that range of the merged tensor,
   * 'tensor' when the whole tensor is needed.
   */
  readonly reach: (parameters: Parameters, perModel: readonly Parameters[]) => 'element' | 'tensor'
  /** What is wrong with parameters together, such as weights that sum to 0; undefined: nothing. */
  readonly check: (given: TensorParameters) => string | undefined
  /** Present: the method has computed parameters, which come from a first pass over all tensors. */
  readonly prepare?: ((parameters: Parameters, perModel: readonly Parameters[]) => Preparation) | undefined
  /**
   * The merged tensor, f32, as long as the inputs, which are left as they are. Errors: TL_BAD_ARGUMENT for a parameter
   * that is missing, unknown or out of range and for a wrong number of models, TL_SHAPE_MISMATCH for unequal lengths.
   */
  readonly merge: (input: MergeInput) => Float32Array
  /** The same for values that are read block by block. */
  readonly formula: Formula
}
