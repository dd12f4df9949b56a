/** @file `treeline vector norms` and `cosine`: tables of sizes and angles. */
import { Command } from 'commander'
import { prettyJson } from '../../../base/index.ts'
import type { TaskVector, VectorNorms } from '../../../merge/index.ts'
import { columnsText } from '../../columns.ts'
import type { Io } from '../../io.ts'
import { examples, jsonOption } from '../../options.ts'
import { baseOption, shown, withOpen } from './files.ts'

interface Flags {
  base?: string
  tensors?: boolean
  json?: boolean
}

/** Open all the vectors, and measure. */
async function measure<Result>(
  paths: readonly string[],
  base: string | undefined,
  of: (vectors: TaskVector[]) => Promise<Result>,
): Promise<Result> {
  const { openVector } = await import('../../../merge/index.ts')
  const { openCheckpoint } = await import('../../../checkpoint/index.ts')
  return withOpen((keep) => {
    const from = base === undefined ? undefined : keep(openCheckpoint(base))
    return of(paths.map((path) => keep(openVector(path, from))))
  })
}

function normRows(all: readonly VectorNorms[], isByTensor: boolean): string[][] {
  const digits = (value: number | undefined): string => (value === undefined ? '–' : value.toPrecision(4))
  const listed = all.map((one) =>
    isByTensor
      ? one.tensors.map(({ name, l1, l2 }) => [name, { l1, l2 }] as const)
      : one.layers.map(
          ({ stack, layer, l1, l2 }) =>
            [layer === null ? 'outside layers' : `${stack}.${layer}`, { l1, l2 }] as const,
        ),
  )
  const maps = listed.map((rows) => new Map(rows))
  const names = [...new Set(listed.flatMap((rows) => rows.map(([name]) => name)))]
  return [
    [isByTensor ? 'tensor' : 'layer', ...all.flatMap((_, i) => [`L1 of ${i + 1}`, `L2 of ${i + 1}`])],
    ...names.map((name) => [
      name,
      ...maps.flatMap((map) => [digits(map.get(name)?.l1), digits(map.get(name)?.l2)]),
    ]),
    ['total', ...all.flatMap(({ l1, l2 }) => [digits(l1), digits(l2)])],
  ]
}

export const normsCommand = (io: Io): Command =>
  new Command('norms')
    .description('L1 and L2 norms of every layer and of the whole')
    .argument('<vectors...>', 'vector files or adapters; with --base also checkpoints')
    .addOption(baseOption())
    .option('--tensors', 'every tensor instead of every layer')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples([
        'treeline vector norms a.safetensors b.safetensors',
        'where, and how much, each has changed',
      ]),
    )
    .action(async (paths: string[], flags: Flags) => {
      const { vectorNormsSteps } = await import('../../../merge/index.ts')
      const all = await measure(paths, flags.base, async (vectors) => {
        const norms: VectorNorms[] = []
        for (const vector of vectors)
          norms.push(await shown(io, flags.json, (onTensor) => vectorNormsSteps(vector, onTensor)))
        return norms
      })
      if (flags.json) {
        io.out(prettyJson(all))
        return
      }
      for (const [i, { path, tensors }] of all.entries()) {
        io.out(`${i + 1}: ${path}\n`)
        for (const { name, notFinite } of tensors.filter((one) => one.notFinite > 0).slice(0, 10))
          io.out(`   ${name}: ${notFinite} elements not finite, left out\n`)
      }
      io.out(columnsText(normRows(all, flags.tensors === true), { firstIsText: true }))
    })

export const cosineCommand = (io: Io): Command =>
  new Command('cosine')
    .description('the cosine of the angle between each two vectors')
    .argument('<vectors...>', 'vector files or adapters; with --base also checkpoints')
    .addOption(baseOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples([
        'treeline vector cosine --base base digits/ clothes/',
        'two checkpoints, seen from their base',
      ]),
    )
    .action(async (paths: string[], flags: Flags) => {
      const { vectorCosinesSteps } = await import('../../../merge/index.ts')
      const cosines = await measure(paths, flags.base, (vectors) =>
        shown(io, flags.json, (onTensor) => vectorCosinesSteps(vectors, onTensor)),
      )
      if (flags.json) io.out(prettyJson({ vectors: paths, cosines }))
      else
        io.out(
          columnsText(
            [
              ['', ...paths.map((_, i) => String(i + 1))],
              ...cosines.map((row, i) => [
                `${i + 1}: ${paths[i]}`,
                ...row.map((value) => value?.toFixed(4) ?? '–'),
              ]),
            ],
            { firstIsText: true },
          ),
        )
    })
