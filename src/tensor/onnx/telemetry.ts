/**
 * @file ONNX Runtime's native library reports about its use (device id, sessions, timings) unless ORT_DISABLE_TELEMETRY is set
 * in the environment of the process when it is loaded. Here it is set, whatever it was. Node only.
 */
import { fail } from '../../base/index.ts'

const variable = 'ORT_DISABLE_TELEMETRY'
/** Milliseconds that the main thread gets to answer. */
const patience = 2000

/**
 * Set the variable from a worker thread, whose `process.env` is a copy that native code never sees: the main thread is asked
 * to set it, through the inspector, for only that reaches a program which is not ours. False when there is no answer.
 */
async function setOnMainThread(): Promise<boolean> {
  const { Session } = await import('node:inspector')
  const session = new Session()
  try {
    session.connectToMainThread()
    return await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), patience)
      const expression = `process.env.${variable} = '1'`
      session.post('Runtime.evaluate', { expression, returnByValue: true }, (error, reply) => {
        clearTimeout(timer)
        resolve(!error && reply?.result.value === '1')
      })
    })
  } finally {
    session.disconnect()
  }
}

/** Turn the reports off for this process. To be awaited before the native library is loaded. Throws TL_UNSUPPORTED. */
export async function silenceTelemetry(): Promise<void> {
  const { isMainThread } = await import('node:worker_threads')
  // a worker's copy says what the process had when the worker began
  const was = process.env[variable]
  process.env[variable] = '1'
  if (isMainThread) return
  // a Node that is built without the inspector cannot ask
  if (await setOnMainThread().catch(() => false)) return
  if (was !== '1')
    fail(
      'TL_UNSUPPORTED',
      `the runtime's reports about its use cannot be turned off from this worker thread: start the program with ${variable}=1`,
    )
}
