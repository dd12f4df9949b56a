/**
 * @file Worker threads load TypeScript, also on a Node that does not: `node --import` of this file. What is compiled is kept
 * in `node_modules/.cache`, by content, so that the compiler is loaded once for each version of a file.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { register } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'

const cache = fileURLToPath(new URL('../node_modules/.cache/treeline-test/', import.meta.url))

/** JavaScript of a source. */
async function compiled(path) {
  const text = readFileSync(path, 'utf8')
  const kept = `${cache}${createHash('sha256').update(text).digest('hex').slice(0, 24)}.mjs`
  try {
    return readFileSync(kept, 'utf8')
  } catch {
    const { default: ts } = await import('typescript')
    const { outputText } = ts.transpileModule(text, {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
    })
    mkdirSync(cache, { recursive: true })
    // several threads may write the same
    const own = `${kept}.${process.pid}.${Math.random()}`
    writeFileSync(own, outputText)
    renameSync(own, kept)
    return outputText
  }
}

/** A hook of Node: the source of a module. */
export async function load(url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context)
  return { format: 'module', source: await compiled(fileURLToPath(url)), shortCircuit: true }
}

// the tests themselves are compiled by their runner
if (!isMainThread) register(import.meta.url)
