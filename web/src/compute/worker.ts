/** @file The page's worker: it computes and trains, so that the page never stalls. A job is ended by ending its worker. */
import { setDefaultBackend } from '../../../src/tensor/index.ts'
import { openBrowserBackend } from '../../../src/web/index.ts'
import { learnLastToken, learnToCompose, plateausOf } from './training.ts'
import { survivalPoints } from './trees.ts'
import { chunkPoints, mixturePoints } from './trips.ts'

/** What the page may ask for. */
export type Job =
  | { kind: 'survival'; args: Parameters<typeof survivalPoints> }
  | { kind: 'chunks'; args: Parameters<typeof chunkPoints> }
  | { kind: 'mixture'; args: Parameters<typeof mixturePoints> }
  | { kind: 'plateaus'; args: Parameters<typeof plateausOf> }
  | { kind: 'lastToken'; args: [Parameters<typeof learnLastToken>[0], Parameters<typeof learnLastToken>[1]] }
  | { kind: 'compose'; args: [Parameters<typeof learnToCompose>[0], Parameters<typeof learnToCompose>[1]] }

/** What the page hears. */
export type News =
  | { of: 'point'; point: unknown }
  | { of: 'loading'; done: number; total: number }
  | { of: 'runtime'; threads: number; notice?: string }
  | { of: 'done' }
  | { of: 'failed'; message: string }

const say = (news: News): void => postMessage(news)
const point = (value: unknown): void => say({ of: 'point', point: value })

async function openRuntime(): Promise<void> {
  const base = new URL('../runtime/', self.location.href)
  const backend = await openBrowserBackend({
    threads: 1,
    files: {
      module: new URL('ort-wasm-simd-threaded.mjs', base),
      wasm: new URL('ort-wasm-simd-threaded.wasm', base),
    },
    onProgress: (done, total) => say({ of: 'loading', done, total }),
  })
  setDefaultBackend(backend)
  say({
    of: 'runtime',
    threads: backend.threads,
    ...(backend.notice !== undefined && { notice: backend.notice }),
  })
}

const jobs = {
  survival: (...args: Parameters<typeof survivalPoints>) => {
    for (const one of survivalPoints(...args)) point(one)
  },
  chunks: (...args: Parameters<typeof chunkPoints>) => {
    for (const one of chunkPoints(...args)) point(one)
  },
  mixture: (...args: Parameters<typeof mixturePoints>) => {
    for (const one of mixturePoints(...args)) point(one)
  },
  plateaus: (...args: Parameters<typeof plateausOf>) => point(plateausOf(...args)),
  lastToken: async (
    ...[sizes, options]: [Parameters<typeof learnLastToken>[0], Parameters<typeof learnLastToken>[1]]
  ) => {
    await openRuntime()
    await learnLastToken(sizes, options, point)
  },
  compose: async (
    ...[sizes, options]: [Parameters<typeof learnToCompose>[0], Parameters<typeof learnToCompose>[1]]
  ) => {
    await openRuntime()
    await learnToCompose(sizes, options, point)
  },
}

self.onmessage = async ({ data }: MessageEvent<Job>) => {
  try {
    await (jobs[data.kind] as (...args: unknown[]) => unknown)(...data.args)
    say({ of: 'done' })
  } catch (error) {
    say({ of: 'failed', message: error instanceof Error ? error.message.split('\n')[0]! : String(error) })
  }
}
