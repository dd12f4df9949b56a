/** @file What sets runs apart: fields of their configs, numbers of their results, outcomes of their claims. */
import { fail, type Json, toJson } from '../../base/index.ts'
import { type Cell, leaves } from '../collect/table.ts'
import { isFinished, readConfigFile, readSummary, type Summary } from '../runFolder.ts'
import { claimsOfSummary } from '../study/outcomes.ts'
import type { RunRecord } from './record.ts'
import { readRecord } from './record.ts'

/** Something that runs have, one value a run; null where a run does not have it. */
interface Difference {
  readonly name: string
  readonly values: readonly Cell[]
}

/** A claim that came out another way, or with another number. */
interface ClaimDifference {
  readonly claim: string
  readonly outcomes: readonly (string | null)[]
  readonly measured: readonly (number | null)[]
  readonly errors: readonly (number | null)[]
}

export interface Comparison {
  readonly runs: readonly RunRecord[]
  readonly config: readonly Difference[]
  readonly result: readonly Difference[]
  readonly claims: readonly ClaimDifference[]
  /** Where they were made, when that differs: processors and versions of Node round differently. */
  readonly made: readonly Difference[]
}

/** Names whose values differ, in the order in which they first occur. */
function differences(trees: readonly Json[]): Difference[] {
  const flat = trees.map((tree) => new Map(leaves(tree, 'text')))
  const names = new Set(flat.flatMap((one) => [...one.keys()]))
  return [...names]
    .map((name) => ({ name, values: flat.map((one) => one.get(name) ?? null) }))
    .filter(({ values }) => new Set(values).size > 1)
}

const withoutRows = ({ rows: _, ...result }: Readonly<Record<string, Json>>): Json => result

function madeOf(summary: Summary | undefined): Json {
  if (!summary) return {}
  const { treeline, machine } = summary
  return { treeline, node: machine.node, cpu: machine.cpu, platform: machine.platform }
}

function claimDifferences(summaries: readonly (Summary | undefined)[]): ClaimDifference[] {
  const all = summaries.map((summary) => (summary ? claimsOfSummary(summary) : []))
  const names = new Set(all.flatMap((claims) => claims.map(({ claim }) => claim)))
  return [...names]
    .map((claim) => {
      const found = all.map((claims) => claims.find((one) => one.claim === claim))
      return {
        claim,
        outcomes: found.map((one) => one?.outcome ?? null),
        measured: found.map((one) => one?.measured ?? null),
        errors: found.map((one) => one?.error ?? null),
      }
    })
    .filter(({ outcomes, measured }) => new Set(outcomes).size > 1 || new Set(measured).size > 1)
}

/** Compare two or more runs. Throws TL_USAGE for fewer, and what reading a run throws. */
export function compareRuns(folders: readonly string[]): Comparison {
  if (folders.length < 2) fail('TL_USAGE', `compare: expected two or more run folders, got ${folders.length}`)
  const runs = folders.map(readRecord)
  const summaries = folders.map((folder) => (isFinished(folder) ? readSummary(folder) : undefined))
  const configs = folders.map((folder) => {
    const { experiment, version, config } = readConfigFile(folder)
    return toJson({ experiment, version, ...config })
  })
  return {
    runs,
    config: differences(configs),
    result: differences(summaries.map((summary) => withoutRows(summary?.result ?? {}))),
    claims: claimDifferences(summaries),
    made: differences(summaries.filter((one) => one !== undefined).map(madeOf)),
  }
}
