/** @file Finds a Python that has a package. */
import { execFileSync } from 'node:child_process'

/** Asks candidates in turn: the flag, TREELINE_PYTHON, python3. { command, python, version } or { reason, named }. */
function findPackage(flag, probe) {
  const named = flag ?? process.env.TREELINE_PYTHON
  const from = flag === undefined ? 'TREELINE_PYTHON' : '--python'
  const command = named || 'python3'
  try {
    const out = execFileSync(command, ['-c', probe], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 })
    const [python, version] = out.toString().trim().split(' ')
    return { command, python, version }
  } catch (error) {
    const why = error.code === 'ENOENT' ? 'there is no such program' : lastLine(error.stderr) || error.message
    return { reason: named ? `${from} is ${named}: ${why}` : `python3: ${why}`, named: Boolean(named) }
  }
}

/** Has this Python these modules? */
export function has(python, modules) {
  try {
    execFileSync(python, ['-c', `import ${modules}`], { stdio: 'ignore', timeout: 120_000 })
    return true
  } catch {
    return false
  }
}

/** A Python with PyTorch: { command, python, torch } or { reason, named }. */
export function findTorch(flag) {
  const { version, ...found } = findPackage(
    flag,
    'import sys, torch; print(sys.version.split()[0], torch.__version__)',
  )
  return version === undefined ? found : { ...found, torch: version }
}

/** A Python with mergekit: { command, python, mergekit } or { reason, named }. */
export function findMergekit(flag) {
  const { version, ...found } = findPackage(
    flag,
    'import sys, mergekit; from importlib.metadata import version; print(sys.version.split()[0], version("mergekit"))',
  )
  return version === undefined ? found : { ...found, mergekit: version }
}

const lastLine = (text) =>
  String(text ?? '')
    .trim()
    .split('\n')
    .at(-1)
