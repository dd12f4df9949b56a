// What the page's bundle needs beside the sources: twins of files that only Node loads, and the runtime's two files.
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { browser } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Sources that a browser loads in the place of others: what `browser` of package.json says of `dist`. */
export const twins = new Map(
  Object.entries(browser).map((pair) =>
    pair.map((path) => join(root, 'src', path.slice('./dist/'.length).replace(/\.js$/, '.ts'))),
  ),
)

/** A bundler's plugin that takes twins, and refuses what no browser has. */
export const browserTwins = () => ({
  name: 'browser-twins',
  enforce: 'pre',
  resolveId(source, importer) {
    if (source.startsWith('node:') || source === 'onnxruntime-node')
      throw new Error(`${relative(root, importer)} imports ${source}, which no browser has`)
    if (!importer || !source.startsWith('.')) return undefined
    return twins.get(resolve(dirname(importer), source))
  },
})

/** The runtime's files as assets of the bundle, under `runtime/`. */
export const runtimeFiles = () => ({
  name: 'runtime-files',
  generateBundle() {
    const from = dirname(
      createRequire(import.meta.url).resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm'),
    )
    for (const end of ['mjs', 'wasm']) {
      const name = `ort-wasm-simd-threaded.${end}`
      this.emitFile({ type: 'asset', fileName: `runtime/${name}`, source: readFileSync(join(from, name)) })
    }
    const licence = join(root, 'assets/onnxruntime-LICENSE.txt')
    if (existsSync(licence))
      this.emitFile({ type: 'asset', fileName: 'runtime/LICENSE.txt', source: readFileSync(licence) })
  },
})
