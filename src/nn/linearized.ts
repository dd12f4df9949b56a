/** @file The tangent model of a network: its first-order expansion in the parameters around θ₀. */
import { add, jvp, sub, type Tensor, type Tree, zipTrees } from '../tensor/index.ts'
import type { Parameters } from './layer.ts'

/** f_lin(x; θ) = f(x; θ₀) + J(x) (θ − θ₀), J the derivative of f in the parameters at θ₀. */
export interface Linearized<P extends Parameters, Inputs extends readonly unknown[], R extends Tree<Tensor>> {
  /**
   * f_lin at parameters that are like θ₀. At θ₀ itself it is f(θ₀) to the last bit. Its gradient is Jᵀ g at θ₀: reverse mode runs
   * through the tangents alone, so that a step costs 5 passes where a plain one costs 3, and nothing is differentiated twice.
   */
  readonly apply: (parameters: P, ...inputs: Inputs) => R
  /** f(x; θ₀) and J(x) τ apart, for a change τ like θ₀: along θ₀ + α τ the tangent model is value + α · change. */
  readonly parts: (change: P, ...inputs: Inputs) => { value: R; change: R }
}

/**
 * The tangent model of `network` at `parameters0`, concrete or part of a graph; inputs are those of `network.apply`. The network
 * is any pure function of parameters: one of ours, an encoder, blocks of a language model. Throws `TL_BAD_ARGUMENT` where
 * parameters are not like θ₀. (Ortiz-Jimenez, Favero and Frossard 2023, eq. 4)
 */
export function linearize<P extends Parameters, Inputs extends readonly unknown[], R extends Tree<Tensor>>(
  network: { readonly apply: (parameters: P, ...inputs: Inputs) => R },
  parameters0: P,
): Linearized<P, Inputs, R> {
  const parts = (change: P, ...inputs: Inputs): { value: R; change: R } => {
    const along: [P] = [change]
    const { value, tangents } = jvp((p: P) => network.apply(p, ...inputs), [parameters0] as [P], along)
    return { value, change: tangents }
  }
  return {
    parts,
    apply: (parameters, ...inputs) => {
      const change = zipTrees(sub, parameters as Tree<Tensor>, parameters0 as Tree<Tensor>) as P
      const found = parts(change, ...inputs)
      return zipTrees(add, found.value as Tree<Tensor>, found.change as Tree<Tensor>) as R
    },
  }
}
