// A package is always packed with fresh code: an old dist is removed and built again. In a clone without its dependencies
// (`git clone`, `npm pack`) they are installed first, without their scripts.
import { execFileSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const npm = (...words) => {
  const [program, ...first] = process.env.npm_execpath
    ? [process.execPath, process.env.npm_execpath]
    : ['npm']
  // standard output is the packer's: it prints the name of the file there
  execFileSync(program, [...first, ...words], { cwd: root, stdio: ['ignore', 2, 2] })
}
if (!existsSync(`${root}/node_modules/typescript`)) npm('ci', '--ignore-scripts')
rmSync(`${root}/dist`, { recursive: true, force: true })
npm('run', '--silent', 'build')
npm('run', '--silent', 'build:page')
