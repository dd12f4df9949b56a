/** @file Download to a file that may already hold a part of the content; survives dropped connections. */
import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { bytes, fail } from '../base/index.ts'
import { explainCacheError } from './cache.ts'
import { get } from './http.ts'
import type { NpmSettings } from './registry.ts'

type DownloadOptions = {
  settings: NpmSettings
  /** The size the content must have. */
  size: number
  /** The cache's folder, for messages. */
  cacheDir: string
  /** How to go on without the network, the end of every message. */
  advice: string
  signal?: AbortSignal | undefined
  onBytes?: ((done: number) => void) | undefined
  /** Pauses before each new attempt, in milliseconds; their number is how often we try again in vain. */
  pauses?: readonly number[] | undefined
  /** Give up on a silent connection after so long, in milliseconds. */
  idleMs?: number | undefined
}

/** Attempts in all, however much each one brings. */
const MAX_ATTEMPTS = 100

/**
 * Bring `part` to `size` bytes from `address`, continuing after the bytes it has. Dropped connections and server
 * errors are tried again. Throws `TL_NETWORK`, `TL_CHECKSUM` (wrong size), `TL_IO`, `TL_INTERRUPTED`; what was
 * received stays in `part`.
 */
export async function download(address: string, part: string, options: DownloadOptions): Promise<void> {
  const { size, signal, advice } = options
  const pauses = options.pauses ?? [500, 2000, 5000]
  let vain = 0
  for (let attempt = 1; ; attempt++) {
    const before = sizeOf(part)
    if (before === size) return
    let problem: Error
    try {
      const response = await get(new URL(address), {
        settings: options.settings,
        headers: {
          'accept-encoding': 'identity',
          ...(before > 0 && before < size && { range: `bytes=${before}-` }),
        },
        signal,
        idleMs: options.idleMs ?? 30_000,
      })
      problem =
        (await receive(response, part, before, address, options)) ??
        new Error('the connection ended too soon')
    } catch (error) {
      if (signal?.aborted) return interrupted(part, options)
      if ((error as { code?: string }).code?.startsWith('TL_')) throw error
      problem = error as Error
    }
    const now = sizeOf(part)
    if (now === size) return
    vain = now > before ? 0 : vain + 1
    if (vain > pauses.length || attempt === MAX_ATTEMPTS || permanent(problem)) {
      const kept = now > 0 ? ` (${bytes(now)} of ${bytes(size)} are kept, the same command continues)` : ''
      return fail(
        'TL_NETWORK',
        `cannot download ${address}: ${reason(problem)}${kept}; try again, ${advice}`,
        problem,
      )
    }
    try {
      await sleep(pauses[Math.max(0, vain - 1)] ?? 0, undefined, signal ? { signal } : {})
    } catch {
      return interrupted(part, options)
    }
  }
}

function interrupted(part: string, { size }: DownloadOptions): never {
  return fail(
    'TL_INTERRUPTED',
    `download interrupted at ${bytes(sizeOf(part))} of ${bytes(size)}: the part is kept, the same command continues`,
  )
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0

/** Append the body (or start over when the server sent everything). Returns a problem worth another attempt, if any. */
async function receive(
  response: IncomingMessage,
  part: string,
  before: number,
  address: string,
  { size, cacheDir, advice, signal, onBytes }: DownloadOptions,
): Promise<Error | undefined> {
  const status = response.statusCode ?? 0
  const continues = status === 206 && response.headers['content-range']?.startsWith(`bytes ${before}-`)
  if (!continues && status !== 200) {
    response.destroy()
    if (status === 206 || status === 416) {
      closeSync(openSync(part, 'w')) // what we have does not fit what the server has: start over
      return new Error('the server cannot continue the download')
    }
    if (status === 429 || status >= 500) return new Error(`the server answered ${status}`)
    const why: Record<number, string> = {
      401: '401 (not authorized): check the token in your .npmrc',
      403: '403 (forbidden): the registry does not let you have this package',
      404: '404 (not found): this registry does not have the package; set another one with npm_config_registry',
    }
    return fail(
      'TL_NETWORK',
      `cannot download ${address}: the server answered ${why[status] ?? status}, ${advice}`,
    )
  }
  let done = continues ? before : 0
  let descriptor: number
  try {
    descriptor = openSync(part, continues ? 'a' : 'w')
  } catch (error) {
    response.destroy()
    return explainCacheError(error, cacheDir)
  }
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      signal?.throwIfAborted()
      done += chunk.byteLength
      if (done > size)
        fail(
          'TL_CHECKSUM',
          `${address} is larger than the expected ${size} bytes: not the file we know, ${advice}`,
        )
      writeAll(descriptor, chunk, cacheDir)
      onBytes?.(done)
    }
  } finally {
    closeSync(descriptor)
    response.destroy()
  }
  return undefined
}

function writeAll(descriptor: number, chunk: Uint8Array, cacheDir: string): void {
  try {
    for (let offset = 0; offset < chunk.byteLength; ) offset += writeSync(descriptor, chunk, offset)
  } catch (error) {
    explainCacheError(error, cacheDir)
  }
}

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/

/** Trying again at once changes nothing. */
const permanent = ({ code }: NodeJS.ErrnoException): boolean => code !== undefined && CERTIFICATE.test(code)

function reason(error: NodeJS.ErrnoException): string {
  // A host with several addresses fails with one error for each.
  const { code, message } =
    error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : error
  if (code && CERTIFICATE.test(code))
    return `its certificate is not trusted (${code}): set NODE_EXTRA_CA_CERTS, or cafile in your .npmrc`
  const known: Record<string, string> = {
    ENOTFOUND: 'the host is not known (no network?)',
    EAI_AGAIN: 'the host name cannot be looked up (no network?)',
    ECONNREFUSED: 'the connection was refused',
    ENETUNREACH: 'the network cannot be reached',
    EHOSTUNREACH: 'the host cannot be reached',
    ECONNRESET: 'the connection broke off',
    ECONNABORTED: 'the connection broke off',
  }
  return (code && known[code]) || message
}
