/** @file `npm run bench -- NAME [options]`: one of the benchmarks below. */
import { engine, usage } from './engine.mjs'

const benchmarks = { engine }
const [name, ...args] = process.argv.slice(2)
const run = benchmarks[name]
if (run) process.exitCode = await run(args)
else {
  const wrong = name && name !== '--help'
  const text = `${wrong ? `unknown benchmark "${name}", expected ${Object.keys(benchmarks).join(', ')}\n\n` : ''}${usage}\n`
  ;(wrong || !name ? process.stderr : process.stdout).write(text)
  process.exitCode = name === '--help' ? 0 : 2
}
