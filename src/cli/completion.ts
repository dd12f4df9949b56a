/** @file Shell completion: a script for bash, zsh or fish, made from the commands themselves. */
import type { Command, Option } from 'commander'
import { commandPath } from './errors.ts'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

/** A command as completion sees it. */
interface Place {
  /** `treeline data get` */
  readonly path: string
  readonly commands: readonly { name: string; about: string }[]
  readonly options: readonly Option[]
  /** Words that its first argument may be; files otherwise. */
  readonly words: readonly string[]
}

const placesOf = (command: Command, words: (path: string) => readonly string[]): Place[] => [
  {
    path: commandPath(command),
    commands: command.commands.map((child) => ({ name: child.name(), about: child.description() })),
    options: command.options,
    words: words(commandPath(command)),
  },
  ...command.commands.flatMap((child) => placesOf(child, words)),
]

const flagsOf = ({ options }: Place): string[] => [
  ...options.flatMap(({ long, short }) => [long, short].filter((flag) => flag !== undefined)),
  '--help',
]

/** Choices of an option for the shell: only plain words, which need no quotes. */
const choicesOf = ({ argChoices = [] }: Option): string[] =>
  argChoices.filter((word) => /^[\w.+-]+$/.test(word))

function bash(places: readonly Place[]): string {
  const steps = places.flatMap(({ path, commands }) => commands.map(({ name }) => `'${path} ${name}'`))
  const values = places.flatMap(({ path, options }) =>
    options.flatMap((option) => {
      const choices = choicesOf(option)
      if (choices.length > 0)
        return [
          `    '${path} ${option.long}') COMPREPLY=($(compgen -W '${choices.join(' ')}' -- "$cur")); return ;;`,
        ]
      // a value of another kind may be a file: the shell's own completion
      return option.required || option.optional ? [`    '${path} ${option.long}') return ;;`] : []
    }),
  )
  const words = places.map(
    (place) =>
      `    '${place.path}') words='${[...place.commands.map(({ name }) => name), ...place.words].join(' ')}' flags='${flagsOf(place).join(' ')}' ;;`,
  )
  return `_treeline() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path=treeline words= flags= word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path $word" in
    ${steps.join('|')}) path="$path $word" ;;
    esac
  done
  COMPREPLY=()
  case "$path $previous" in
${values.join('\n')}
  esac
  case "$path" in
${words.join('\n')}
  esac
  case "$cur" in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
  esac
}
complete -o default -F _treeline treeline
`
}

/** A text between single quotes, for fish. */
const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`

function fish(places: readonly Place[]): string {
  const lines = places.flatMap((place) => {
    const [, ...steps] = place.path.split(' ')
    const inside = steps.map((step) => `__fish_seen_subcommand_from ${step}`).join('; and ')
    const names = place.commands.map(({ name }) => name).join(' ')
    const before = names === '' ? '' : `not __fish_seen_subcommand_from ${names}`
    const here = [inside, before].filter(Boolean).join('; and ')
    const at = here === '' ? '' : ` -n ${quoted(here)}`
    return [
      ...place.commands.map(
        ({ name, about }) => `complete -c treeline -f${at} -a ${name} -d ${quoted(about)}`,
      ),
      ...(place.words.length > 0 ? [`complete -c treeline${at} -a ${quoted(place.words.join(' '))}`] : []),
      ...place.options.map((option) => {
        const choices = choicesOf(option)
        const value =
          choices.length > 0 ? ` -x -a ${quoted(choices.join(' '))}` : option.required ? ' -r' : ''
        const short = option.short ? ` -s ${option.short.slice(1)}` : ''
        return `complete -c treeline${at} -l ${option.long!.slice(2)}${short}${value} -d ${quoted(option.description)}`
      }),
    ]
  })
  return `${lines.join('\n')}\n`
}

/** The script of a shell for a whole program; `words` are those that the first argument of a command may be. */
export function completionScript(
  shell: Shell,
  program: Command,
  words: (path: string) => readonly string[],
): string {
  const places = placesOf(program, words)
  if (shell === 'fish') return fish(places)
  const script = bash(places)
  return shell === 'bash'
    ? script
    : `#compdef treeline\nautoload -U +X bashcompinit && bashcompinit\n${script}`
}
