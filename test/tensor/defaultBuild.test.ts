/** @file Which build of the runtime a program gets, in processes of their own where some packages are missing. */
import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'

describe('the build of the default backend', () => {
  const main = new URL('../../dist/tensor/index.js', import.meta.url).href
  /** A program that trains nothing, says which build it ran on, in a Node where some packages are missing. */
  const run = (env: Record<string, string>, missing: readonly string[] = [], more = '') => {
    const hooks = `export const resolve = (s, c, next) => {
      if (${JSON.stringify(missing)}.some((name) => s.startsWith(name)))
        throw Object.assign(new Error("Cannot find package '" + s + "' imported from x"), { code: 'ERR_MODULE_NOT_FOUND' })
      return next(s, c)
    }`
    const code = `import { register } from 'node:module'
      register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)})
      const { compile, ones, runtime, silenceRuntimeNotice, sum } = await import(${JSON.stringify(main)})
      ${more}
      const total = await compile(sum)(ones([3]))
      await compile(sum)(ones([4]))
      console.log((await runtime()).name, total.item())`
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      env: { ...process.env, TREELINE_RUNTIME: '', ...env },
      encoding: 'utf8',
    })
    return { said: stdout.trim(), told: stderr.trim(), status }
  }

  test('is the native one where it loads', () => {
    expect(run({})).toEqual({ said: 'native 3', told: '', status: 0 })
  })
  test('is WebAssembly where the native one is missing, which is said in one line', () => {
    const { said, told } = run({}, ['onnxruntime-node'])
    expect(said).toBe('wasm 3')
    expect(told.split('\n')).toHaveLength(1)
    expect(told).toContain('npm install treeline --ignore-scripts')
  })
  test('is WebAssembly without a word where that is asked for, or the line is not wanted', () => {
    expect(run({ TREELINE_RUNTIME: 'wasm' })).toEqual({ said: 'wasm 3', told: '', status: 0 })
    expect(run({}, ['onnxruntime-node'], 'silenceRuntimeNotice()').told).toBe('')
  })
  test('is none where it is forbidden or there is none, and the way out is said', () => {
    expect(run({ TREELINE_RUNTIME: 'native' }, ['onnxruntime-node']).told).toContain(
      'onnxruntime-node is not installed',
    )
    expect(run({ TREELINE_RUNTIME: 'fast' }).told).toContain(
      'TREELINE_RUNTIME: expected native or wasm, got "fast"',
    )
  })
})
