// What the compiler leaves undone: what it made of a source that is no more goes, the program's file may be executed, and the two files of ONNX Runtime's WebAssembly build
// that are used lie in the package (`onnxruntime-web` as a whole is ten times as large).
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const dist = fileURLToPath(new URL('../dist', import.meta.url))
const source = fileURLToPath(new URL('../src', import.meta.url))
for (const path of readdirSync(dist, { recursive: true })) {
  const [, module] = /^(.+?)(?:\.d\.ts|\.js)$/.exec(path) ?? []
  if (module && !existsSync(join(source, `${module}.ts`))) rmSync(join(dist, path))
}

chmodSync(join(dist, 'cli/main.js'), 0o755)

const from = dirname(createRequire(import.meta.url).resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm'))
const to = join(dist, 'onnxruntime')
mkdirSync(to, { recursive: true })
for (const end of ['mjs', 'wasm'])
  copyFileSync(join(from, `ort-wasm-simd-threaded.${end}`), join(to, `ort-wasm-simd-threaded.${end}`))
const { name, version, license } = JSON.parse(readFileSync(join(from, '../package.json'), 'utf8'))
writeFileSync(
  join(to, 'package.json'),
  `${JSON.stringify({ name, version, license, type: 'module' }, null, 2)}\n`,
)
copyFileSync(new URL('../assets/onnxruntime-LICENSE.txt', import.meta.url), join(to, 'LICENSE'))
