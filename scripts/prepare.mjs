// Installing from git builds the package, and so does `npm install` in a clone; `npm ci` there leaves it to `npm start` and
// `npm test`. An install without development dependencies cannot build, and need not.
import { execSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
// npm says what it packs, also where it packs a dependency from git for somebody's `npm ci`
const isClone = process.env.npm_command === 'ci' && !process.env.npm_package_resolved
if (!isClone && existsSync(`${root}/node_modules/typescript`))
  execSync('npm run --silent build', { cwd: root, stdio: ['ignore', 2, 2] })
