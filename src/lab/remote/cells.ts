/** @file A study's measurements as jobs that a carrier carries. */
import { join, resolve } from 'node:path'
import { writeAtomically } from '../../base/files.ts'
import { fail, prettyJson } from '../../base/index.ts'
import { packageVersion } from '../../base/version.ts'
import type { Away } from '../away.ts'
import type { AnyExperiment } from '../experiment.ts'
import { type MachineKind, readMachines } from '../machine.ts'
import type { Order } from '../study/measure.ts'
import type { AnyStudy } from '../study/study.ts'
import type { Carrier } from './carrier.ts'
import { type Job, type Made, makeJob } from './job.ts'
import { readsOf } from './reads.ts'

/** Count where results of a run were made, in `machines.json` of its folder. */
function machineCounter(folder: string): (made: Made) => void {
  const path = join(folder, 'machines.json')
  const kinds = new Map<string, MachineKind>()
  const key = ({ node, cpu }: Omit<MachineKind, 'jobs'>): string => `${node} ${cpu}`
  for (const kind of readMachines(folder)) kinds.set(key(kind), kind)
  return ({ node, cpu }) => {
    const before = kinds.get(key({ node, cpu }))
    kinds.set(key({ node, cpu }), { node, cpu, jobs: (before?.jobs ?? 0) + 1 })
    writeAtomically(path, prettyJson([...kinds.values()]))
  }
}

/** The jobs of some orders. `module`: the experiment's own, as a path. */
async function jobsOfCells(
  experiment: AnyExperiment,
  study: AnyStudy,
  orders: readonly Order[],
  module?: string,
): Promise<Job[]> {
  const reads = orders[0] && (await readsOf(orders[0].config))
  return orders.map(({ config, cell, replica, prepared, threads, folder }) =>
    makeJob({
      ...{ treeline: packageVersion(), experiment: experiment.name, version: experiment.version },
      ...(module !== undefined && { module: resolve(module) }),
      ...(reads && { reads }),
      threads,
      seconds: study.cost?.(cell, config) ?? null,
      work: {
        ...{ kind: 'cell', config: { ...config }, cell, replica },
        ...(prepared !== undefined && { prepared }),
      },
      place: { folder: resolve(folder) },
    }),
  )
}

/** Measurements of a study, made by a carrier. `folder` is the run's. */
export function cellsAway(
  carrier: Carrier,
  experiment: AnyExperiment & { readonly study: AnyStudy },
  folder: string,
  { module, onNote }: { readonly module?: string; readonly onNote?: (line: string) => void } = {},
): Away {
  return async (given, { signal, onResult, onReport }) => {
    const orders = given as readonly Order[]
    const jobs = await jobsOfCells(experiment, experiment.study, orders, module)
    const count = machineCounter(folder)
    // equal jobs are one, whose result all of them get
    const places = new Map<string, number[]>()
    for (const [at, { id }] of jobs.entries()) places.set(id, [...(places.get(id) ?? []), at])
    const unique = [...places.values()].map(([first]) => jobs[first!]!)
    await carrier.carry(unique, {
      signal,
      onNote,
      onDone(done, { id }) {
        if ('failed' in done) fail('TL_IO', done.failed)
        if (!('rows' in done)) return fail('TL_BAD_FILE', `${id}: expected rows of a measurement`)
        for (const at of places.get(id)!) onResult(done.rows, at, orders[at] as never)
        count(done.made)
      },
      onProgress({ id }, share, detail) {
        const at = places.get(id)![0]!
        onReport({ share, detail }, at, orders[at] as never)
      },
    })
  }
}
