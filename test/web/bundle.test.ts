/** What browsers load: no module of Node in sight, and twins that stand for their files. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { describe, expect, it } from 'vitest'
// @ts-expect-error a plain module of the build
import { browserTwins, twins as twinsOfPackage } from '../../scripts/page/plugins.mjs'

const twins = twinsOfPackage as Map<string, string>
const source = (path: string): string => fileURLToPath(new URL(`../../src/${path}`, import.meta.url))

/** Everything that some floors export, as one program for browsers. */
async function bundled(floors: readonly string[]): Promise<{ code: string; modules: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-bundle-'))
  try {
    const entry = join(folder, 'entry.js')
    const lines = floors.map((floor, i) => `export * as f${i} from ${JSON.stringify(source(floor))}`)
    writeFileSync(entry, lines.join('\n'))
    const result = await build({
      ...{ configFile: false, logLevel: 'silent', root: folder, plugins: [browserTwins()] },
      build: {
        ...{ write: false, target: 'es2022', lib: { entry, formats: ['es'] } },
        rolldownOptions: { treeshake: false },
      },
    })
    const [first] = (Array.isArray(result) ? result : [result]) as {
      output: { type: string; code?: string; moduleIds?: string[] }[]
    }[]
    const chunks = first!.output.filter(({ type }) => type === 'chunk')
    return {
      code: chunks.map(({ code }) => code).join('\n'),
      modules: chunks.flatMap(({ moduleIds }) => moduleIds ?? []),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('floors that browsers load', () => {
  it('are bundled without a module of Node', async () => {
    const { code, modules } = await bundled(
      ['tensor', 'nn', 'grammar', 'diffusion', 'web'].map((floor) => `${floor}/index.ts`),
    )
    for (const path of [
      'tensor/onnx/session.ts',
      'nn/train/train.ts',
      'grammar/inference/up.ts',
      'diffusion/uTurn.ts',
    ])
      expect(modules).toContain(source(path))
    // a failure shows these few characters, not the bundle
    expect([...code.matchAll(/.{40}['"`]node:[a-z].{20}/g)].map(([text]) => text)).toEqual([])
    expect(code.includes('onnxruntime-node')).toBe(false)
    for (const [node, browser] of twins) {
      expect(modules).not.toContain(node)
      // threads are asked for by one function alone, which is loaded when it is called
      expect(modules).toContain(browser)
    }
    expect(gzipSync(code).length).toBeLessThan(300_000)
  })

  it('a module of Node is refused by name', async () => {
    await expect(bundled(['base/files.ts'])).rejects.toThrow(
      /base\/files.ts imports node:\w+, which no browser has/,
    )
  })
})

describe('twins', () => {
  it.each([...twins])('%s: what %s exports, it exports, too', async (node, browser) => {
    expect(existsSync(node)).toBe(true)
    const [of, twin] = (await Promise.all([import(node), import(browser)])) as [object, object]
    // readers of bytes are exported by the twin alone where the file exports readers of files
    const additional = new Set(['headerLength', 'parseHeader'])
    const names = Object.keys(twin).filter((name) => !additional.has(name))
    expect(names.length).toBeGreaterThan(0)
    for (const name of names) expect(Object.keys(of)).toContain(name)
  })
})
