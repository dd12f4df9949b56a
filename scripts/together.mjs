// Scripts of the package at the same time, `node scripts/together.mjs build types`: each is one thread. Fails when one of them does.
import { spawn } from 'node:child_process'

const run = (name) =>
  new Promise((resolve) =>
    spawn('npm', ['run', '--silent', name], { stdio: 'inherit', shell: process.platform === 'win32' }).on(
      'close',
      resolve,
    ),
  )
const codes = await Promise.all(process.argv.slice(2).map(run))
if (codes.some((code) => code !== 0)) process.exit(1)
