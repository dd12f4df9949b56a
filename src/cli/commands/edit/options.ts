/** @file The options of `treeline edit`, in groups: an action takes some groups and refuses the others. */
import { Option } from 'commander'
import { forceOption, integerOption, jsonOption, quietOption, threadsOption } from '../../options.ts'

export type { Option }

const groups = {
  /** One fact instead of a file. */
  fact: () => [
    new Option('--prompt <text>', 'one fact instead of a file: what is asked'),
    new Option('--target <text>', 'and what the model is to answer'),
    new Option('--subject <text>', 'and what it is about'),
  ],
  /** Which facts of a file. */
  facts: () => [
    new Option('--one-per-subject', 'the first fact of each subject only'),
    integerOption('--limit <n>', 'at most so many facts', 1, 1e9),
  ],
  /** Facts that the store holds already. */
  again: () => [new Option('--again', 'also teach facts that the store holds already')],
  /** What is done about edits that are not learned, or not any more. */
  reteach: () => [
    new Option('--reteach', 'teach again what an edit does not say: a new edit takes its place'),
  ],
  /** What is asked after an edit. */
  audit: () => [
    new Option(
      '--no-audit',
      'do not ask an edit after it is taught (an edit that fails is taught once more, and reported if it still does)',
    ),
  ],
  calibration: () => [
    new Option(
      '--false-positives <rate>',
      'allowed share of unrelated prompts that an edit answers (add: a new store; default 0.01)',
    ),
  ],
  /** In the place of prompts: what the scope is learned on. */
  relations: () => [
    new Option(
      '--relations <file>',
      'learn the scope on relations of yours together with ours, in the place of setting the threshold',
    ),
    new Option('--scope <level>', 'and its level: narrow, balanced or wide (default: as it is)').choices([
      'narrow',
      'balanced',
      'wide',
    ]),
  ],
  /** Settings of a new store. */
  store: () => [
    integerOption('--layer <n>', 'a new store: the edited block', 0, 1e6),
    integerOption('--k <n>', 'a new store: features that an edit may use', 1, 1e6),
    new Option('--router <name>', 'a new store: the feature that finds the edit'),
    integerOption('--router-layer <n>', 'a new store: the block it is taken from', 0, 1e6),
    new Option(
      '--gate <gate>',
      'a new store: whether a prompt must name the subject (default subject)',
    ).choices(['none', 'subject']),
    new Option(
      '--scope <level>',
      'a new store: how widely an edit answers other questions about its subject: narrow, one in fifty; balanced (default), three in twenty; wide, all that are near enough',
    ).choices(['narrow', 'balanced', 'wide']),
    new Option('--threshold <number>', 'a new store: least overlap (default: set by held-out prompts)'),
    integerOption('--steps <n>', 'a new store: steps of an edit at most', 1, 1e6),
    new Option('--rate <number>', 'a new store: learning rate'),
    new Option('--momentum <share>', 'a new store: of the last step in the next'),
    new Option(
      '--protection <number>',
      'a new store: how strongly new edits are kept from overwriting earlier ones; 0 not at all',
    ),
    new Option(
      '--contexts <n>',
      'a new store: put n texts of the model (at most 10), or those of a JSON file, before prompts in training',
    ),
    new Option('--decay <of>', 'a new store: weight decay').choices(['none', 'active-columns', 'dense']),
    new Option('--denominator <n>', 'a new store: what the loss of a target is divided by').choices([
      'n',
      'n+1',
    ]),
    new Option('--end', 'a new store: teach also that the text ends after the target'),
    new Option('--published', 'a new store: steps, decay, stop rule and threshold of the paper'),
  ],
  storeSeed: () => [integerOption('--seed <n>', 'a new store: its permutation', 0, 0xffff_ffff)],
  output: () => [forceOption()],
  work: () => [threadsOption(), quietOption(), jsonOption()],
} satisfies Record<string, () => Option[]>

export type OptionGroup = keyof typeof groups

/** The options of some groups (of all when none are named), each once, with the groups it is in. */
export function optionsOf(
  names: readonly OptionGroup[] = Object.keys(groups) as OptionGroup[],
): { option: Option; groups: OptionGroup[] }[] {
  const found = new Map<string, { option: Option; groups: OptionGroup[] }>()
  for (const name of names)
    for (const option of groups[name]()) {
      const known = found.get(option.attributeName())
      if (known) known.groups.push(name)
      else found.set(option.attributeName(), { option, groups: [name] })
    }
  return [...found.values()]
}
