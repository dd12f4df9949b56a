// What keeps rooms readable: no circles between files (types count), no export that nobody uses, no function over 80 lines and no
// file over 350 without a reason in house-exceptions.mjs. Prints every finding, exits 1 when there is one; an exception that is
// no longer needed is a finding, too.
import { readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { walk } from './check-layers.mjs'
import { longFiles, longFunctions, spareExports } from './house-exceptions.mjs'

export const limits = { file: 350, function: 80 }

/** Sources by path, parsed. */
const parse = (files) =>
  new Map(
    files.map((file) => [
      file,
      ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true),
    ]),
  )

const isRelative = (node) => node && ts.isStringLiteralLike(node) && node.text.startsWith('.')

/** The source of a file, also of a compiled one that tests and benchmarks import. */
const sourceOf = (path) => path.replace(/\.js$/, '.ts').replace(/([\\/])dist([\\/])/, '$1src$2')

/** What a file imports: `[target, names]`, names undefined for all (`import *`, `export *`, `import()`). */
function importsOf(source) {
  const found = []
  const add = (specifier, names) =>
    found.push([sourceOf(resolve(dirname(source.fileName), specifier.text)), names])
  const visit = (node) => {
    if (ts.isImportDeclaration(node) && isRelative(node.moduleSpecifier)) {
      const { name, namedBindings } = node.importClause ?? {}
      const named =
        namedBindings && ts.isNamedImports(namedBindings)
          ? namedBindings.elements.map((one) => (one.propertyName ?? one.name).text)
          : namedBindings
            ? undefined
            : []
      add(node.moduleSpecifier, named && [...named, ...(name ? ['default'] : [])])
    } else if (ts.isExportDeclaration(node) && isRelative(node.moduleSpecifier)) {
      const { exportClause } = node
      const named =
        exportClause && ts.isNamedExports(exportClause)
          ? exportClause.elements.map((one) => (one.propertyName ?? one.name).text)
          : undefined
      add(node.moduleSpecifier, named)
    } else if (
      ts.isCallExpression(node) &&
      node.expression.kind === ts.SyntaxKind.ImportKeyword &&
      isRelative(node.arguments[0])
    )
      add(node.arguments[0], undefined)
    else if (ts.isImportTypeNode(node) && isRelative(node.argument.literal))
      add(node.argument.literal, undefined)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

/** Names that a file exports itself, with their lines. */
function exportsOf(source) {
  const names = []
  for (const node of source.statements) {
    const modifiers = ts.canHaveModifiers(node) ? (ts.getModifiers(node) ?? []) : []
    if (!modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) continue
    const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1
    if (ts.isVariableStatement(node))
      for (const { name } of node.declarationList.declarations)
        if (ts.isIdentifier(name)) names.push([name.text, line])
        else for (const one of name.elements) if (one.name) names.push([one.name.text, line])
    if (node.name) names.push([node.name.text, line])
  }
  return names
}

/** Named functions over the limit: `[name, lines]`. Methods of an object count for the object's constant. */
function functionsOver(source, limit) {
  const found = []
  const lines = (node) =>
    source.getLineAndCharacterOfPosition(node.end).line -
    source.getLineAndCharacterOfPosition(node.getStart()).line +
    1
  const nameOf = (node) =>
    node.name?.getText() ??
    (ts.isVariableDeclaration(node.parent) || ts.isPropertyAssignment(node.parent)
      ? node.parent.name.getText()
      : undefined)
  const visit = (node) => {
    if (ts.isFunctionLike(node) && node.body && lines(node) > limit) {
      const name = nameOf(node)
      if (name) found.push([name, lines(node)])
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

/** Strongly connected files with more than one member (Tarjan 1972). */
function circlesOf(graph) {
  const [index, low] = [new Map(), new Map()]
  const [stack, on, circles] = [[], new Set(), []]
  const connect = (file) => {
    index.set(file, index.size)
    low.set(file, index.get(file))
    stack.push(file)
    on.add(file)
    for (const next of graph.get(file) ?? []) {
      if (!graph.has(next)) continue
      if (!index.has(next)) {
        connect(next)
        low.set(file, Math.min(low.get(file), low.get(next)))
      } else if (on.has(next)) low.set(file, Math.min(low.get(file), index.get(next)))
    }
    if (low.get(file) !== index.get(file)) return
    const circle = []
    for (let last; last !== file; ) {
      last = stack.pop()
      on.delete(last)
      circle.push(last)
    }
    if (circle.length > 1) circles.push(circle.sort())
  }
  for (const file of graph.keys()) if (!index.has(file)) connect(file)
  return circles
}

/** All findings below `source`; `users` are folders whose imports count as use. */
export function findings(source, users = [], exceptions = { longFiles, longFunctions, spareExports }) {
  const found = []
  const own = parse(walk(source))
  const others = parse(users.flatMap((folder) => walk(folder, /\.m?[tj]s$/)))
  const name = (file) => relative(source, file)
  const graph = new Map([...own].map(([file, parsed]) => [file, importsOf(parsed).map(([target]) => target)]))
  for (const circle of circlesOf(graph)) found.push(`circle: ${circle.map(name).join(', ')}`)

  const used = new Map()
  for (const parsed of [...own.values(), ...others.values()])
    for (const [target, names] of importsOf(parsed)) {
      const before = used.get(target) ?? new Set()
      for (const one of names ?? ['*']) before.add(one)
      used.set(target, before)
    }
  const spare = new Set(Object.keys(exceptions.spareExports))
  for (const [file, parsed] of own) {
    const uses = used.get(file) ?? new Set()
    if (uses.has('*') || name(file) === 'index.ts' || /(^|\/)main\.ts$/.test(name(file))) continue
    // a twin is used in the place of another file (`browser` in package.json); test/web/bundle.test.ts holds it to that file
    if (file.endsWith('.browser.ts')) continue
    for (const [exported, line] of exportsOf(parsed)) {
      // a task is named by its export, for threads find it so (base/workers.ts)
      if (parsed.text.includes(`name: '${exported}'`)) continue
      const key = `${name(file)} ${exported}`
      if (!uses.has(exported) && !spare.delete(key))
        found.push(`${name(file)}:${line}: exports ${exported}, which nobody uses`)
    }
  }
  for (const key of spare) found.push(`house-exceptions.mjs: spareExports: ${key} is used or gone`)

  const [files, functions] = [
    new Map(Object.entries(exceptions.longFiles)),
    new Map(Object.entries(exceptions.longFunctions)),
  ]
  for (const [file, parsed] of own) {
    const lines = parsed.text.trimEnd().split('\n').length
    if (lines > limits.file && !files.delete(name(file)))
      found.push(`${name(file)}: ${lines} lines, more than ${limits.file}`)
    for (const [named, length] of functionsOver(parsed, limits.function)) {
      const key = `${name(file)} ${named}`
      if (!functions.delete(key))
        found.push(`${name(file)}: ${named} has ${length} lines, more than ${limits.function}`)
    }
  }
  for (const key of files.keys()) found.push(`house-exceptions.mjs: longFiles: ${key} is short or gone`)
  for (const key of functions.keys())
    found.push(`house-exceptions.mjs: longFunctions: ${key} is short or gone`)
  return found
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const found = findings(
    join(root, 'src'),
    ['test', 'bench', 'scripts'].map((folder) => join(root, folder)),
  )
  for (const message of found) console.error(message)
  if (found.length) process.exit(1)
}
