/** @file `treeline diff`: how far two checkpoints are apart, layer by layer. */
import { Command } from 'commander'
import { inSteps, percent } from '../../base/index.ts'
import { checkFile, formatOf, writeOutput } from '../../base/outputs.ts'
import type { CheckpointDiff, LayerDiff, TensorDiff } from '../../merge/index.ts'
import { diffFigure } from '../diffFigure.ts'
import type { Io } from '../io.ts'
import { checkForce, examples, forceOption, jsonOption } from '../options.ts'
import { makeDisplay } from '../progress.ts'

const blocks = [...' ▁▂▃▄▅▆▇█']

/** One character for each layer, as high as its change is large. */
export function layerStrip(values: readonly number[]): string {
  const most = Math.max(...values, 0)
  return values.map((value) => blocks[most > 0 ? Math.ceil((value / most) * 8) : 0]).join('')
}

function strips(layers: readonly LayerDiff[], io: Io): void {
  for (const stack of new Set(layers.map((one) => one.stack))) {
    const own = layers.filter((one) => one.stack === stack)
    const values = own.map(({ relative }) => relative ?? 0)
    const range = `${percent(Math.min(...values))} to ${percent(Math.max(...values))}`
    if (own[0]!.layer === null) io.out(`outside layers: ${percent(values[0]!)}\n`)
    else io.out(`${stack}: |${layerStrip(values)}| ${own.length} layers, ${range}\n`)
  }
}

function show(diff: CheckpointDiff, all: boolean, io: Io): void {
  const { tensors, layers, onlyA, onlyB, reshaped, change, relative } = diff
  const changed = tensors.filter((one) => one.differing > 0).length
  const odd = tensors.filter(({ notFinite: [a, b] }) => a + b > 0)
  io.out(
    `${changed} of ${tensors.length} shared tensors differ; ‖b − a‖ = ${change.toPrecision(4)}, ${percent(relative)} of ‖a‖${odd.length > 0 ? ', of what is finite' : ''}\n`,
  )
  for (const { name, shape, notFinite } of odd.slice(0, 10))
    io.out(
      `${name}: ${notFinite[0]} of ${shape.reduce((product, size) => product * size, 1)} elements not finite in a, ${notFinite[1]} in b\n`,
    )
  if (odd.length > 10) io.out(`… and ${odd.length - 10} more tensors with elements that are not finite\n`)
  strips(layers, io)
  // what has become NaN or infinite has changed the most
  const sizeOf = ({ relative: own, differing, notFinite: [a, b] }: TensorDiff): number =>
    differing > 0 && a !== b ? Infinity : (own ?? Number.MAX_VALUE)
  const largest = tensors.toSorted((a, b) => {
    const [x, y] = [sizeOf(a), sizeOf(b)]
    return x === y ? 0 : y - x
  })
  const rows = (all ? tensors : largest.slice(0, 10)).map((one) => [
    percent(one.relative),
    one.cosine === null ? '–' : one.cosine.toFixed(6),
    one.name,
  ])
  io.out(
    `\n${'change'.padStart(10)}  ${'cosine'.padStart(9)}  ${all ? 'tensor' : 'tensor (largest changes)'}\n`,
  )
  for (const [size, cosine, name] of rows) io.out(`${size!.padStart(10)}  ${cosine!.padStart(9)}  ${name}\n`)
  for (const [words, names] of [
    ['only in A', onlyA],
    ['only in B', onlyB],
    ['of another shape', reshaped],
  ] as const)
    if (names.length > 0)
      io.out(
        `${words}: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}\n`,
      )
}

interface Flags {
  all?: boolean
  svg?: string
  force?: boolean
  json?: boolean
}

/** The command. */
export const diffCommand = (io: Io): Command =>
  new Command('diff')
    .description('how two checkpoints differ: the change of every layer and tensor, norms and cosines')
    .argument('<a>', 'a model folder or weight file')
    .argument('<b>', 'another')
    .option('--all', 'every tensor, layer by layer, instead of the largest changes')
    .option('--svg <file>', 'a picture: the change of every kind of tensor in every layer')
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['treeline diff base tuned', 'what fine-tuning has changed, and where'],
        ['treeline diff base tuned --svg change.svg', 'the same as a picture'],
      ),
    )
    .action(async (a: string, b: string, flags: Flags) => {
      const rule = { inputs: [a, b], force: flags.force === true }
      checkForce(flags.force, flags.svg, '--svg')
      if (flags.svg !== undefined) {
        formatOf(flags.svg, ['.svg'])
        checkFile(flags.svg, rule)
      }
      const { diffing } = await import('../../merge/index.ts')
      const { openCheckpoint } = await import('../../checkpoint/index.ts')
      const display = makeDisplay('diff', io, flags.json)
      const first = openCheckpoint(a)
      try {
        const second = openCheckpoint(b)
        try {
          const diff = await inSteps(
            diffing(first, second, (detail, done, total) => display.update({ done, total, detail })),
          )
          display.end()
          const finite = (_: string, value: unknown): unknown =>
            typeof value === 'number' && !Number.isFinite(value) ? null : value
          if (flags.json) io.out(`${JSON.stringify(diff, finite, 2)}\n`)
          else show(diff, flags.all === true, io)
          // last: a picture that cannot be written takes no numbers away
          if (flags.svg !== undefined) {
            const lab = await import('../../lab/index.ts')
            writeOutput(flags.svg, lab.posterSvg(diffFigure(lab, diff), `treeline diff ${a} ${b}`), rule)
          }
        } finally {
          second.close()
        }
      } finally {
        display.end()
        first.close()
      }
    })
