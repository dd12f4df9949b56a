/**
 * @file `npm run bench -- profile NAME`: where a training step of ours spends its time, by kind of operation and by node, from
 * ONNX Runtime's own profiler.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { problems } from './lib/problems.mjs'

export const usage = `npm run bench -- profile NAME [--threads 1] [--steps 20] [--top 15]
  NAME: ${problems.map((p) => p.name).join(', ')}`

/** One line for each group: its share, milliseconds a step, how many nodes. */
function show(groups, steps, total, top) {
  const rows = [...groups].sort(([, a], [, b]) => b.time - a.time).slice(0, top)
  return rows.map(([name, { time, count }]) => {
    const share = `${((100 * time) / total).toFixed(1)} %`.padStart(7)
    return `${share}  ${(time / 1000 / steps).toFixed(4).padStart(10)} ms  ${String(Math.round(count / steps)).padStart(5)}  ${name}`
  })
}

function grouped(events, nameOf) {
  const groups = new Map()
  for (const event of events) {
    const name = nameOf(event)
    const entry = groups.get(name) ?? { time: 0, count: 0 }
    entry.time += event.dur
    entry.count++
    groups.set(name, entry)
  }
  return groups
}

const shapes = (list = []) =>
  list.map((entry) => Object.values(entry).map((s) => `[${s.join(',')}]`)).join(' ')

/** Returns the exit code. */
export async function profile(args) {
  let parsed
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: {
        threads: { type: 'string', default: '1' },
        steps: { type: 'string', default: '20' },
        top: { type: 'string', default: '15' },
      },
    })
  } catch (error) {
    process.stderr.write(`${error.message}\n${usage}\n`)
    return 2
  }
  const { values, positionals } = parsed
  const problem = problems.find((p) => p.name === positionals[0])
  const [threads, steps, top] = [values.threads, values.steps, values.top].map(Number)
  if (!problem || ![threads, steps, top].every((n) => Number.isInteger(n) && n >= 1)) {
    process.stderr.write(`${usage}\n`)
    return 2
  }
  const { makeOnnxBackend } = await import('../dist/tensor/index.js')
  const { buildStep } = await import('./lib/steps.mjs')
  const ort = await import('onnxruntime-node')
  const folder = mkdtempSync(join(os.tmpdir(), 'treeline-profile-'))
  try {
    const sessions = []
    const { InferenceSession, Tensor } = ort.default ?? ort
    const create = async (bytes, options) => {
      const session = await InferenceSession.create(bytes, options)
      if (options.enableProfiling) sessions.push(session)
      return session
    }
    const backend = makeOnnxBackend('profiled', async () => ({ Tensor, InferenceSession: { create } }), {
      session: { enableProfiling: true, profileFilePrefix: join(folder, 'step') },
    })
    const warm = 5
    const timed = async ({ call }) => {
      for (let i = 0; i < warm; i++) await call(i)
      const start = performance.now()
      for (let i = 0; i < steps; i++) await call(warm + i)
      return (performance.now() - start) / steps
    }
    // The profiler takes time of its own, so the step is also timed without it.
    const plain = await buildStep(problem.network, problem.width, { threads })
    const wall = await timed(plain)
    plain.program.dispose()
    await timed(await buildStep(problem.network, problem.width, { threads, backend }))
    for (const session of sessions) session.endProfiling()
    const files = readdirSync(folder).map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')))
    const runs = files.flat()
    const calls = runs.filter((e) => e.name === 'model_run').sort((a, b) => a.ts - b.ts)
    const from = calls[calls.length - steps]?.ts ?? 0
    const nodes = runs.filter((e) => e.cat === 'Node' && e.name.endsWith('_kernel_time') && e.ts >= from)
    const total = nodes.reduce((sum, e) => sum + e.dur, 0)
    const lines = [
      `${problem.name}, ${threads} ${threads === 1 ? 'thread' : 'threads'}: ${wall.toFixed(3)} ms a step, traced and compiled in ${plain.compileSeconds.toFixed(2)} s; with the profiler on ${Math.round(nodes.length / steps)} nodes take ${(total / 1000 / steps).toFixed(3)} ms`,
      '',
      'by operation: share, time a step, nodes',
      ...show(
        grouped(nodes, (e) => e.args.op_name),
        steps,
        total,
        top,
      ),
      '',
      'by operation and shapes of its inputs',
      ...show(
        grouped(nodes, (e) => `${e.args.op_name} ${shapes(e.args.input_type_shape)}`),
        steps,
        total,
        top,
      ),
    ]
    process.stdout.write(`${lines.join('\n')}\n`)
    return 0
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
