/** @file LiNeS within a merge: factors of the layers, and where each tensor of the base is read. */
import { openCheckpoint } from '../../checkpoint/index.ts'
import { type LinesRow, linesPlan } from '../lines/index.ts'
import { type MergePlan, type PlannedTensor, storedAt, tiedTo } from '../plan/index.ts'
import { headersAs } from './headers.ts'
import type { LinesStep } from './work.ts'

/** The layer and LiNeS factor of every tensor of a plan with `lines`, at this α. Throws as `linesPlan` does. */
export const linesFactors = (plan: MergePlan, alpha: number): LinesRow[] =>
  linesPlan(
    plan.tensors.filter(({ action }) => action === 'merge').map(({ name }) => name),
    { alpha, beta: plan.lines!.beta },
  )

/** Where LiNeS reads each tensor of its base. */
export function linesSteps(plan: MergePlan): (tensor: PlannedTensor) => LinesStep | undefined {
  const { lines } = plan
  if (!lines) return () => undefined
  const checkpoint = openCheckpoint(lines.base)
  const headers = headersAs(checkpoint.tensors, new Map(plan.tensors.map((tensor) => [tensor.name, tensor])))
  const names = new Map(
    plan.tensors.map(({ name }) => [name, headers.has(name) ? name : tiedTo(name, headers)]),
  )
  checkpoint.close()
  return ({ name, action, linesView }) => {
    if (action === 'copy') return undefined
    const header = headers.get(names.get(name) ?? name)
    const tensor = header?.name ?? name
    return {
      model: lines.base,
      tensor,
      ...(header ? storedAt(header) : {}),
      ...(linesView ? { view: linesView } : {}),
    }
  }
}
