/** @file `treeline completion`: a script that makes a shell complete commands, options and names. */
import { Argument, Command } from 'commander'
import { completionScript, type Shell, shells } from '../completion.ts'
import type { Io } from '../io.ts'
import { laboratory } from '../laboratory.ts'
import { examples } from '../options.ts'

/** The command; `allCommands` gives the program with every command there is. */
export const completionCommand = (io: Io, allCommands: (io: Io) => Promise<Command>): Command =>
  new Command('completion')
    .description('print a script that makes your shell complete commands, options and names')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .addHelpText(
      'after',
      examples(
        ['source <(treeline completion bash)', 'in this shell; put the line into ~/.bashrc'],
        ['treeline completion zsh > ~/.zsh/_treeline', 'once; ~/.zsh stands in fpath'],
        ['treeline completion fish > ~/.config/fish/completions/treeline.fish', 'once'],
      ),
    )
    .action(async (shell: Shell) => {
      const [lab, program] = await Promise.all([laboratory(), allCommands(io)])
      const names = (await lab.loadExperiments()).map(({ name }) => name)
      const words: Readonly<Record<string, readonly string[]>> = {
        'treeline run': names,
        'treeline list': names,
        'treeline completion': shells,
        'treeline schema': ['merge', 'sweep'],
      }
      io.out(completionScript(shell, program, (path) => words[path] ?? []))
    })
