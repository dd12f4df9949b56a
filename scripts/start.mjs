/** @file `npm start`: builds, saying so all the while, then takes the tour. */
import { spawn } from 'node:child_process'

/** Carry out a command with this terminal; its exit code, 130 when it was interrupted. */
const carryOut = (command, words, options = {}) =>
  new Promise((resolve) => {
    const child = spawn(command, words, { stdio: 'inherit', ...options })
    child.on('close', (code, signal) =>
      resolve(signal === 'SIGINT' || signal === 'SIGTERM' ? 130 : (code ?? 1)),
    )
  })

// the child gets Ctrl-C from the terminal as this process does; its answer is the exit code
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {})

const begun = Date.now()
const say = () =>
  console.error(`building Treeline: ${Math.round((Date.now() - begun) / 1000)} s (once; some twenty seconds)`)
say()
const timer = setInterval(say, 4000)
const built = await carryOut('npm run --silent build', [], { shell: true })
clearInterval(timer)
process.exitCode =
  built === 0
    ? await carryOut(process.execPath, ['dist/cli/main.js', 'tour', ...process.argv.slice(2)])
    : built
