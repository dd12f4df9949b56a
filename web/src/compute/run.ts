/** @file One job on a worker of its own: points as they come, and a way to end it. */
import type { Job, News } from './worker.ts'

export interface Running {
  /** End the job at once. */
  stop(): void
}

export interface Listeners<Point> {
  readonly onPoint: (point: Point) => void
  /** Without a message: it came to its end. */
  readonly onEnd: (failure?: string) => void
  readonly onLoading?: (done: number, total: number) => void
  /** The runtime is there; `notice` says what makes it slow. */
  readonly onRuntime?: (notice: string | undefined) => void
}

export function run<Point>(job: Job, { onPoint, onEnd, onLoading, onRuntime }: Listeners<Point>): Running {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
  let ended = false
  const end = (failure?: string): void => {
    if (ended) return
    ended = true
    worker.terminate()
    onEnd(failure)
  }
  worker.onmessage = ({ data }: MessageEvent<News>) => {
    if (ended) return
    if (data.of === 'point') onPoint(data.point as Point)
    else if (data.of === 'loading') onLoading?.(data.done, data.total)
    else if (data.of === 'runtime') onRuntime?.(data.notice)
    else if (data.of === 'failed') end(data.message)
    else if (data.of === 'done') end()
  }
  worker.onerror = (event) => {
    event.preventDefault()
    end(event.message || 'the worker could not start')
  }
  worker.postMessage(job)
  return {
    stop: () => {
      ended = true
      worker.terminate()
    },
  }
}
