// `npm run test:page`: the page in a real browser. Without one it says so, and nothing is tested.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const candidates = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]
const browser = candidates.find((path) => path && existsSync(path))
if (!browser) {
  console.error(
    'test:page: no Chromium here, so the page is not tested (apt install chromium, or CHROMIUM=/path)',
  )
  process.exit(0)
}
const npm = (...words) =>
  spawnSync('npm', words, { stdio: 'inherit', shell: process.platform === 'win32' }).status
const status =
  npm('run', '--silent', 'build') ||
  npm('run', '--silent', 'build:page') ||
  spawnSync('npx', ['vitest', 'run', '--project', 'page', ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, TREELINE_PAGE: browser },
    shell: process.platform === 'win32',
  }).status
process.exit(status ?? 1)
