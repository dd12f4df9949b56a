/** @file Finds a Python that has PyTorch. */
import { execFileSync } from 'node:child_process'

const probe = 'import sys, torch; print(sys.version.split()[0], torch.__version__)'

/** Asks candidates in turn: the flag, TREELINE_PYTHON, python3. { command, python, torch } or { reason }. */
export function findTorch(flag) {
  const named = flag ?? process.env.TREELINE_PYTHON
  const from = flag === undefined ? 'TREELINE_PYTHON' : '--python'
  const command = named || 'python3'
  try {
    const out = execFileSync(command, ['-c', probe], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 })
    const [python, torch] = out.toString().trim().split(' ')
    return { command, python, torch }
  } catch (error) {
    const why = error.code === 'ENOENT' ? 'there is no such program' : lastLine(error.stderr) || error.message
    return { reason: named ? `${from} is ${named}: ${why}` : `python3: ${why}`, named: Boolean(named) }
  }
}

const lastLine = (text) =>
  String(text ?? '')
    .trim()
    .split('\n')
    .at(-1)
