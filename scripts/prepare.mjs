// `npm ci` in a clone, and installing from git, build the package; an install without development dependencies cannot, and
// need not.
import { execSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
if (existsSync(`${root}/node_modules/typescript`))
  execSync('npm run --silent build', { cwd: root, stdio: ['ignore', 2, 2] })
