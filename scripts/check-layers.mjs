// Data flows one way: a floor imports only floors above it in this list, and only through their index or a door that is
// listed with its reason. Prints every violation, exits 1 when there is one.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const floors = [
  ['base'],
  ['tensor'],
  ['checkpoint'],
  ['tokenizer'],
  ['nn'],
  ['data'],
  ['grammar'],
  ['diffusion'],
  ['vision'],
  ['lm'],
  ['vlm'],
  ['merge'],
  ['edit'],
  ['lab'],
  ['experiments'],
  ['cli', 'web'],
]
const level = new Map(floors.flatMap((names, index) => names.map((name) => [name, index])))
/** Doors beside index.ts, each with the reason why it is one. */
export const doors = {
  'base/cacheFolder.ts': 'Node only',
  'base/files.ts': 'Node only: floors that run in a browser must not load it through base/index.ts',
  'base/journal.ts': 'Node only',
  'base/leave.ts': 'Node only',
  'base/lock.ts': 'Node only',
  'base/ownModules.ts': 'Node only',
  'base/hashFile.ts': 'Node only',
  'base/outputFolder.ts': 'Node only',
  'base/version.ts': 'Node only',
  'base/outputs.ts': 'Node only',
  'base/read.ts': 'Node only',
  'base/workers.ts': 'Node only',
  'base/written.ts': 'Node only, and loads a YAML parser',
  'base/wasm/index.ts': 'an assembler that few floors need',
  'lab/page/index.ts': 'serves a page without loading what makes runs',
  'lab/runs/index.ts': 'lists runs without loading what makes them',
  'experiments/load.ts': 'one experiment without the libraries of the others',
  'merge/workers.ts': 'loads nothing, so that threads start before the rest of merging is there',
}

/** Floors that run in a browser, too, and the files of theirs that only Node loads, each with its reason. */
const inBrowsers = new Set(['tensor', 'nn', 'grammar', 'diffusion'])
const forNode = {
  'tensor/onnx/runtime.ts': 'finds and loads the native build, where there is one',
  'tensor/onnx/telemetry.ts': 'an environment variable that only the native library reads',
  'nn/train/checkpoint.ts': 'checkpoints are files',
  'diffusion/images/folder.ts': 'models of others are folders',
}

/** The program without its comments, about: enough to find names in it. */
const withoutComments = (text) => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '')

/** What a browser does not have, in a file that it is to run. */
function nodeOnly(text) {
  const code = withoutComments(text)
  const named = /from '(node:[^']+)'|(?<![.'\w])(Buffer|process)\s*\./.exec(code)
  if (named) return named[1] ?? named[2]
  for (const [, type, door] of code.matchAll(/import (type )?[^;'"]*from '(?:\.\.\/)+(base\/[^']+)'/g))
    if (!type && doors[door]?.startsWith('Node only')) return door
  return undefined
}

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
    const text = readFileSync(file, 'utf8')
    const node = inBrowsers.has(room) && !Object.hasOwn(forNode, here) ? nodeOnly(text) : undefined
    if (node) found.push(`${here}: uses ${node}, which no browser has (${room} runs in browsers)`)
    for (const match of text.matchAll(/(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g)) {
      const target = relative(source, resolve(dirname(file), match[1]))
      const other = target.split('/')[0]
      if (other === room) continue
      if (target.startsWith('..')) found.push(`${here}: imports ${match[1]}, which lies outside src`)
      else if (!(level.get(other) < level.get(room)))
        found.push(`${here}: ${room} may not import ${other} (a lower floor never imports a higher one)`)
      else if (target !== `${other}/index.ts` && !Object.hasOwn(doors, target))
        found.push(`${here}: imports ${target}, an internal of ${other}; use ${other}/index.ts`)
    }
  }
  for (const door of Object.keys(doors))
    if (!existsSync(join(source, door)) && existsSync(join(source, 'base/workers.ts')))
      found.push(`${door}: is listed as a door, but there is no such file`)
  return found
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = violations(fileURLToPath(new URL('../src', import.meta.url)))
  for (const message of found) console.error(message)
  if (found.length) process.exit(1)
}
