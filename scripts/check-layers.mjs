// Data flows one way: a floor imports only floors above it in this list, and only through their index
// (base/files.ts, base/leave.ts, base/lock.ts, base/ownModules.ts, base/outputs.ts, base/outputFolder.ts, base/workers.ts and base/written.ts are the Node-only exceptions, few floors need base/wasm,
// merge/workers loads nothing so that threads can start first). Prints
// every violation, exits 1 when there is one.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const floors = [
  ['base'],
  ['tensor'],
  ['checkpoint'],
  ['nn'],
  ['data'],
  ['grammar'],
  ['diffusion'],
  ['lm'],
  ['merge'],
  ['edit'],
  ['lab'],
  ['experiments'],
  ['cli'],
]
const level = new Map(floors.flatMap((names, index) => names.map((name) => [name, index])))
const open = new Set([
  'base/files.ts',
  'base/journal.ts',
  'base/leave.ts',
  'base/lock.ts',
  'base/ownModules.ts',
  'base/outputFolder.ts',
  'base/outputs.ts',
  'base/workers.ts',
  'base/written.ts',
  'base/wasm/index.ts',
  'merge/workers.ts',
])

export const walk = (directory, wanted = /\.ts$/) =>
  readdirSync(directory).flatMap((name) => {
    const path = join(directory, name)
    return statSync(path).isDirectory() ? walk(path, wanted) : wanted.test(name) ? [path] : []
  })

/** All violations of the layer rule below `source`, as messages. */
export function violations(source) {
  const found = []
  for (const file of walk(source)) {
    const here = relative(source, file)
    const room = here.split('/')[0]
    if (here === 'index.ts') continue
    if (!level.has(room))
      found.push(`${here}: unknown floor "${room}" (known: ${[...level.keys()].join(', ')})`)
    for (const match of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g)) {
      const target = relative(source, resolve(dirname(file), match[1]))
      const other = target.split('/')[0]
      if (other === room) continue
      if (target.startsWith('..')) found.push(`${here}: imports ${match[1]}, which lies outside src`)
      else if (!(level.get(other) < level.get(room)))
        found.push(`${here}: ${room} may not import ${other} (a lower floor never imports a higher one)`)
      else if (target !== `${other}/index.ts` && !open.has(target))
        found.push(`${here}: imports ${target}, an internal of ${other}; use ${other}/index.ts`)
    }
  }
  return found
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = violations(fileURLToPath(new URL('../src', import.meta.url)))
  for (const message of found) console.error(message)
  if (found.length) process.exit(1)
}
