/** @file `treeline grammar parse`: which strings are of a grammar, and how far up the others are legal. */
import { Command } from 'commander'
import { percent } from '../../../base/index.ts'
import { checkFile, writeOutput } from '../../../base/outputs.ts'
import type { Io } from '../../io.ts'
import { checkForce, examples, forceOption, jsonOption } from '../../options.ts'
import { jsonText, loadGrammar, readText } from './files.ts'

/** The command. */
export const parseCommand = (io: Io): Command =>
  new Command('parse')
    .description('find the trees of strings, as far up as they are legal')
    .argument('<grammar>', 'a *.grammar.json file')
    .argument('<strings>', 'JSON: a list of strings, or what sample --json printed; - for standard input')
    .option('--out <file>', 'write the result there, as JSON')
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['treeline grammar parse g.grammar.json strings.json', 'class of each string, or where it breaks'],
        [
          'treeline grammar sample g.grammar.json --json | treeline grammar parse g.grammar.json -',
          'in a pipe',
        ],
      ),
    )
    .action(
      async (path: string, stringsPath: string, flags: { out?: string; force?: boolean; json?: boolean }) => {
        const rule = { inputs: [path, stringsPath], force: flags.force === true }
        checkForce(flags.force, flags.out, '--out')
        if (flags.out !== undefined) checkFile(flags.out, rule)
        const { grammarName, parse, parseReport, stringsFromText } = await import('../../../grammar/index.ts')
        const grammar = await loadGrammar(path)
        const { leaves, count } = stringsFromText(grammar, readText(stringsPath), stringsPath)
        const report = parseReport(parse(grammar, leaves, count))
        const text = flags.json || flags.out !== undefined ? jsonText({ ...report }) : ''
        if (flags.out !== undefined) writeOutput(flags.out, text, rule)
        if (flags.json) {
          io.out(text)
          return
        }
        if (flags.out) io.out(`${flags.out}\n`)
        else
          for (const [i, string] of report.strings.entries())
            io.out(
              string.valid
                ? `${i}: class ${string.class}\n`
                : `${i}: not of the grammar; legal at heights 0 … ${grammar.L}: ${string.validity.map((share) => percent(share)).join(', ')}\n`,
            )
        const valid = report.strings.filter((string) => string.valid).length
        io.out(`${valid} of ${count} strings are of the grammar ${grammarName(grammar)}\n`)
        io.out(
          `legal nodes at heights 0 … ${grammar.L}: ${report.validity.map((share) => percent(share)).join(', ')}\n`,
        )
      },
    )
