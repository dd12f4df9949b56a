/**
 * The package as a stranger gets it: packed, installed into empty projects from the npm registry alone – without install
 * scripts, and with them where the .NET host that one of them wants cannot be reached – and used from every subpath.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const scratch = mkdtempSync(join(tmpdir(), 'treeline-package-'))
// tens of thousands of files
afterAll(() => rmSync(scratch, { recursive: true, force: true }), 120_000)

const about = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string
  exports: Record<string, unknown>
}
const subpaths = Object.keys(about.exports).map((name) => name.replace(/^\./, 'treeline'))

async function run(program: string, words: string[], cwd: string, env: NodeJS.ProcessEnv = {}) {
  const { stdout, stderr } = await promisify(execFile)(program, words, {
    cwd,
    env: { ...process.env, ...env },
    maxBuffer: 1e8,
  })
  return { out: stdout, err: stderr }
}

interface Packed {
  filename: string
  unpackedSize: number
  files: { path: string; mode: number; size: number }[]
}
let packed: Packed
beforeAll(async () => {
  // dist is fresh (npm test builds it), and other tests read it: prepack, which builds it anew, is left out
  const { out } = await run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch],
    root,
  )
  const [first] = Object.values(JSON.parse(out) as Packed[])
  packed = first!
}, 120_000)

/** An empty project of either kind. */
function emptyProject(name: string): string {
  const folder = join(scratch, name)
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }))
  return folder
}

const blocks = (page: string): string[] =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```js\n([\s\S]*?)^```/gm)].map((match) => match[1]!)

/** Whatever README shows, and the experiment of docs/experiments.md, in a project that has the package. */
async function useIn(folder: string, runtime: string): Promise<void> {
  const imports = subpaths.map((path) => `if (!Object.keys(await import('${path}')).length) throw '${path}'`)
  writeFileSync(join(folder, 'all.mjs'), imports.join('\n'))
  await run(process.execPath, ['all.mjs'], folder)
  for (const [i, code] of blocks('README.md').entries()) {
    writeFileSync(join(folder, `readme-${i}.mjs`), code)
    const { out } = await run(process.execPath, [`readme-${i}.mjs`], folder)
    expect(out, `README.md, block ${i}`).not.toMatch(/\bfalse\b|NaN/)
  }
  const own = blocks('docs/experiments.md').find((code) => code.startsWith('// count.mjs'))
  writeFileSync(join(folder, 'count.mjs'), own!)
  const program = join(folder, 'node_modules/.bin/treeline')
  const { out } = await run(program, ['run', './count.mjs', '--set', 'to=10', '--quiet'], folder)
  expect(out).toBe('last square 100\n')
  const doctor = await run(program, ['doctor'], folder)
  expect(doctor.out).toContain('ready')
  expect(doctor.out).toMatch(new RegExp(`onnxruntime .*${runtime}`))
}

test('the tarball holds code, types, docs and licences, and an executable program', () => {
  const paths = packed.files.map(({ path }) => path)
  for (const path of [
    'README.md',
    'CHANGELOG.md',
    'LICENSE',
    'docs/cli.md',
    'docs/experiments.md',
    'assets/fonts/OFL.txt',
  ])
    expect(paths).toContain(path)
  for (const path of ['index', 'tensor/index', 'lab/index', 'cli/main'])
    expect(paths).toEqual(expect.arrayContaining([`dist/${path}.js`, `dist/${path}.d.ts`]))
  expect(paths).toEqual(
    expect.arrayContaining(['mjs', 'wasm'].map((end) => `dist/onnxruntime/ort-wasm-simd-threaded.${end}`)),
  )
  expect(paths.filter((path) => /^(src|test|bench)\/|tsbuildinfo|\.map$/.test(path))).toEqual([])
  expect(packed.files.find(({ path }) => path === 'dist/cli/main.js')!.mode & 0o111).toBe(0o111)
  // the runtime apart, a dependency or a data set that creeps in is seen here: code, docs, figures and the page are about seven megabytes
  const runtime = packed.files.filter(({ path }) => path.startsWith('dist/onnxruntime/'))
  const runtimeSize = runtime.reduce((sum, { size }) => sum + size, 0)
  expect(runtimeSize).toBeGreaterThan(10e6)
  expect(packed.unpackedSize - runtimeSize).toBeLessThan(8e6)
})

test('nothing that is installed for a clone runs a script of its own, and packing builds', () => {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8')
  expect(lock).not.toContain('hasInstallScript')
  expect(existsSync(join(root, '.npmrc'))).toBe(false)
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['prepare', 'prepack']))
  for (const name of ['preinstall', 'install', 'postinstall']) expect(scripts).not.toHaveProperty(name)
})

describe('installed from the npm registry', () => {
  test('without install scripts, in a strict TypeScript project: native, and every type holds', async () => {
    const folder = emptyProject('typed')
    await run('npm', ['install', join(scratch, packed.filename), '--ignore-scripts', '--no-audit'], folder)
    expect(existsSync(join(folder, 'node_modules/onnxruntime-node'))).toBe(true)
    const uses = `${subpaths.map((path, i) => `import * as m${i} from '${path}'`).join('\n')}
      import { compile, matmul, type Tensor, tensor } from 'treeline/tensor'
      export const all: object[] = [${subpaths.map((_, i) => `m${i}`)}]
      const a: Tensor = tensor([[1, 2], [3, 4]]).sub(1)
      // @ts-expect-error a tensor is no number
      export const number: number = a
      // @ts-expect-error a method that is none
      matmul(a, a).add(a).notAMethod()
      export const rows: number[][] = (await compile((x: Tensor) => x.relu())(a)).toArray<number[][]>()`
    writeFileSync(join(folder, 'use.ts'), uses)
    const options = { strict: true, skipLibCheck: false, noEmit: true, types: [], target: 'es2022' }
    for (const [module, moduleResolution] of [
      ['nodenext', 'nodenext'],
      ['esnext', 'bundler'],
    ]) {
      const file = { compilerOptions: { ...options, module, moduleResolution }, files: ['use.ts'] }
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(file))
      const tsc = join(root, 'node_modules/typescript/bin/tsc')
      const { out } = await run(process.execPath, [tsc, '-p', '.'], folder).catch(
        (error: { stdout: string }) => ({
          out: error.stdout,
        }),
      )
      expect(out).toBe('')
    }
    await useIn(folder, 'native')
  }, 400_000)

  test('with install scripts, in a JavaScript project, where the .NET host is out of reach: on WebAssembly', async () => {
    const folder = emptyProject('plain')
    // what the script of onnxruntime-node asks for its way; npm does not
    const nowhere = {
      GLOBAL_AGENT_HTTPS_PROXY: 'http://127.0.0.1:9',
      GLOBAL_AGENT_HTTP_PROXY: 'http://127.0.0.1:9',
    }
    const words = ['install', join(scratch, packed.filename), '--ignore-scripts=false', '--no-audit']
    await run('npm', words, folder, nowhere)
    expect(existsSync(join(folder, 'node_modules/onnxruntime-node'))).toBe(false)
    await useIn(folder, 'WebAssembly')
    const { out } = await run('du', ['-sk', 'node_modules'], folder)
    expect(Number(out.split('\t')[0])).toBeLessThan(75_000)
    expect(statSync(join(folder, 'node_modules/.bin/treeline')).mode & 0o111).toBeTruthy()
  }, 400_000)
})
