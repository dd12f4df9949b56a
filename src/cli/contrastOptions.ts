/** @file How much the picture counts: options of the commands that see pictures. */
import { type Command, Option } from 'commander'
import { didYouMean, fail } from '../base/index.ts'
import type { Key } from '../tensor/index.ts'
import type { GenerateWithImagesOptions } from '../vlm/index.ts'

type Numbers = Readonly<Record<string, number>>

/** Contrast rules as flags give them. */
export interface ContrastFlags {
  m3id?: Numbers | true
  cfg?: Numbers
  vcd?: Numbers | true
}

/** Reads `name=value` with commas between; `alone` is what a number without a name is. */
const numbersOf =
  (flag: string, names: readonly string[], alone?: string) =>
  (text: string): Numbers => {
    const found: Record<string, number> = {}
    for (const part of text.split(',')) {
      const [first = '', second] = part.split('=').map((word) => word.trim())
      const [name, word] = second === undefined && alone !== undefined ? [alone, first] : [first, second]
      if (!names.includes(name))
        fail('TL_USAGE', `${flag} ${text}: there is no "${name}": ${didYouMean(name, names)}`)
      const value = Number(word)
      if (word === undefined || word === '' || Number.isNaN(value))
        fail('TL_USAGE', `${flag} ${text}: expected ${name}=NUMBER, got ${part}`)
      if (Object.hasOwn(found, name)) fail('TL_USAGE', `${flag} ${text}: ${name} stands there twice`)
      found[name] = value
    }
    return found
  }

const rules = ['m3id', 'cfg', 'vcd'] as const

/** Add the options to a command. */
export const withContrast = (command: Command): Command =>
  command
    .addOption(
      new Option(
        '--m3id [lambda=.02,alpha=.3]',
        'count the picture more the longer the text: names lambda, alpha (the gate), max-weight, t0, cutoff',
      )
        .argParser(numbersOf('--m3id', ['lambda', 'alpha', 'max-weight', 't0', 'cutoff']))
        .conflicts(['cfg', 'vcd']),
    )
    .addOption(
      new Option('--cfg <scale>', 'count the picture this much throughout; also scale=2,alpha=.8,cutoff=.1')
        .argParser(numbersOf('--cfg', ['scale', 'alpha', 'cutoff'], 'scale'))
        .conflicts('vcd'),
    )
    .addOption(
      new Option(
        '--vcd [alpha=.5,beta=.1]',
        'contrast with the picture under noise: names alpha, beta (the cut), step (of 1000, default 500)',
      ).argParser(numbersOf('--vcd', ['alpha', 'beta', 'step'])),
    )

/** What rules are made with: their own options, without the dash. */
const named = (numbers: Numbers | true): Record<string, number> =>
  numbers === true
    ? {}
    : Object.fromEntries(
        Object.entries(numbers).map(([name, value]) => [name === 'max-weight' ? 'maxWeight' : name, value]),
      )

/** Why a text may fall apart under a rule, if it may: the weight grows without end, and nothing cuts what is implausible. */
function warningOf({ m3id }: ContrastFlags, maxTokens: number): string | undefined {
  if (m3id === undefined) return undefined
  const { lambda = 0.02, alpha = 0.3, maxWeight, cutoff } = named(m3id)
  const weight = Math.expm1(lambda * maxTokens)
  if (alpha <= 0.5 || maxWeight !== undefined || cutoff !== undefined || weight < 3) return undefined
  return `--m3id: after ${maxTokens} tokens the difference counts ${weight.toPrecision(2)} times: without cutoff=.1 or max-weight=1 long texts fall apart\n`
}

/** The rule of the flags, and what to say about it. Throws `TL_BAD_ARGUMENT`. */
export async function contrastOf(
  flags: ContrastFlags,
  maxTokens: number,
  noise: Key,
): Promise<{ options: Pick<GenerateWithImagesOptions, 'contrast' | 'disturb'>; warning?: string }> {
  const kind = rules.find((rule) => flags[rule] !== undefined)
  if (!kind) return { options: {} }
  const { contrast, underNoise } = await import('../vlm/index.ts')
  const { step = 500, ...own } = named(flags[kind]!)
  if (kind === 'vcd') return { options: { contrast: contrast.vcd(own), disturb: underNoise(step, noise) } }
  if (kind === 'cfg') {
    const { scale } = own
    if (scale === undefined) fail('TL_USAGE', '--cfg: expected a scale, such as --cfg 2')
    return { options: { contrast: contrast.cfg({ ...own, scale: scale! }) } }
  }
  const warning = warningOf(flags, maxTokens)
  return {
    options: { contrast: contrast.m3id({ lambda: 0.02, alpha: 0.3, ...own }) },
    ...(warning !== undefined && { warning }),
  }
}
