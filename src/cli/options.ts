/** @file Options that mean the same in every command. */
import { Option } from 'commander'
import { didYouMean, dtypeOf, dtypeWord, fail } from '../base/index.ts'

/** An option that takes a whole number in a range. */
export function integerOption(flags: string, description: string, low: number, high: number): Option {
  const name = flags.split(' ')[0]!
  return new Option(flags, description).argParser((word: string) => {
    const value = Number(word)
    if (word.trim() === '' || !Number.isInteger(value) || value < low || value > high)
      fail('TL_USAGE', `${name}: expected an integer from ${low} to ${high}, got ${word}`)
    return value
  })
}

/** `--dtype`: one spelling in every command; what other programs call the same types is taken, too. */
export function dtypeOption<Word extends string>(description: string, choices: readonly Word[]): Option {
  const option = new Option('--dtype <type>', description).choices(choices)
  return option.argParser((word: string): Word => {
    const meant = dtypeWord(dtypeOf(word))
    const found = choices.find((choice) => choice === meant)
    return found ?? fail('TL_USAGE', `--dtype ${word}: there is no such type: ${didYouMean(meant, choices)}`)
  })
}

/** `--json` */
export const jsonOption = (): Option => new Option('--json', 'print the result as one JSON document')

/** `--quiet` */
export const quietOption = (): Option =>
  new Option('-q, --quiet', 'no progress and no messages, only the result')

/** `--force` */
export const forceOption = (what = 'replace what is there; an input is never replaced'): Option =>
  new Option('--force', what)

/** `--force` without an output that it could replace. */
export function checkForce(force: boolean | undefined, out: string | undefined, flag: string): void {
  if (force && out === undefined)
    fail('TL_USAGE', `--force: it replaces the file of ${flag}, which is not given`)
}

/** `--threads` */
export const threadsOption = (): Option =>
  integerOption('--threads <n>', 'threads for compiled programs (default: all cores)', 1, 1024)

/** `--seed` */
export const seedOption = (): Option =>
  integerOption('--seed <n>', 'all randomness comes from it; the same as --set seed=n', 0, 0xffff_ffff)

/** Gather a repeated option into a list. */
export const collect = (word: string, words: string[] = []): string[] => [...words, word]

/** Examples at the end of a help text. */
export const examples = (...lines: [command: string, meaning: string][]): string => {
  const width = Math.max(...lines.map(([command]) => command.length))
  return `\nExamples:\n${lines.map(([command, meaning]) => `  ${command.padEnd(width)}  ${meaning}`).join('\n')}\n`
}
