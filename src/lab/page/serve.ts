/**
 * @file The page on this machine: its files and, read-only, folders of runs. It answers its own address alone: a page of another
 * host must not read runs through the reader's browser.
 */
import { createReadStream, realpathSync, type Stats, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, resolve, sep } from 'node:path'
import { fail, TreelineError } from '../../base/index.ts'
import { readBytes, textOf } from '../../base/read.ts'
import { listRuns, orderRuns, selectRuns } from '../runs/index.ts'

/** What is served. */
export interface PageOptions {
  /** The built page. */
  readonly page: string
  /** Where the runtime's files lie when the built page is without them, as in the package. */
  readonly runtime?: string
  /** Folders of runs. */
  readonly runs?: readonly string[]
  /** 0: a free one. */
  readonly port?: number
}

export interface ServedPage {
  readonly url: string
  close(): Promise<void>
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.jsonl': 'text/plain; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.pdf': 'application/pdf',
}

/** Memory between threads needs a page that is isolated from others. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-cache',
}

/** Reports show what is in them and load nothing. */
const reportPolicy =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data: 'self'; font-src data:; sandbox allow-popups"

/** Rows of a list at the most, unless more are asked for. */
const rowsAtOnce = 500

const answer = (
  response: ServerResponse,
  status: number,
  text: string,
  type = 'text/plain; charset=utf-8',
): void => {
  response.writeHead(status, { ...isolation, 'Content-Type': type })
  response.end(response.req.method === 'HEAD' ? undefined : text)
}

/** A file below `root`, wherever links lead; undefined for what is elsewhere, or no file. */
function fileBelow(root: string, path: string): { path: string; status: Stats } | undefined {
  try {
    const base = realpathSync(root)
    const real = realpathSync(resolve(base, `.${sep}${path}`))
    if (real !== base && !real.startsWith(base + sep)) return undefined
    const status = statSync(real)
    return status.isFile() ? { path: real, status } : undefined
  } catch {
    return undefined
  }
}

function sendFile(
  response: ServerResponse,
  found: ReturnType<typeof fileBelow>,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (!found) {
    answer(response, 404, 'there is no such file here\n')
    return
  }
  const type = types[extname(found.path)] ?? 'application/octet-stream'
  const size = { 'Content-Type': type, 'Content-Length': found.status.size }
  response.writeHead(200, { ...isolation, ...headers, ...size })
  if (response.req.method === 'HEAD') response.end()
  else
    createReadStream(found.path)
      .on('error', () => response.destroy())
      .pipe(response)
}

/** Runs as `treeline runs --json` has them, with the address of each one's report. */
function runList(roots: readonly string[], query: URLSearchParams): string {
  const { runs } = listRuns(roots)
  const where = query.get('where')?.trim()
  const sort = query.get('sort')?.trim()
  const limit = Number(query.get('limit') ?? rowsAtOnce)
  const found = where ? selectRuns(runs, where) : runs
  const sorted = sort ? orderRuns(found, sort) : found
  const some = sorted.slice(0, Number.isSafeInteger(limit) && limit >= 0 ? limit : rowsAtOnce)
  const addressOf = (folder: string): string | null => {
    const root = roots.findIndex(
      (own) => resolve(folder) === resolve(own) || resolve(folder).startsWith(resolve(own) + sep),
    )
    const path = resolve(folder).slice(resolve(roots[root]!).length)
    const report = `${path}${sep}report.html`
    return fileBelow(roots[root]!, report)
      ? `runs/${root}${report.split(sep).map(encodeURIComponent).join('/')}`
      : null
  }
  return JSON.stringify({
    total: found.length,
    runs: some.map((run) => ({ ...run, report: addressOf(run.folder) })),
  })
}

/** What a request gets at once when it asks for what is never given. */
function refusal({
  headers: { host = '', origin },
  method,
  socket,
}: IncomingMessage): [number, string] | undefined {
  const { port } = socket.address() as AddressInfo
  const own = [`127.0.0.1:${port}`, `localhost:${port}`]
  if (!own.includes(host) || (origin !== undefined && !own.some((one) => origin === `http://${one}`)))
    return [403, `this page answers http://${own[0]}/ alone\n`]
  if (method !== 'GET' && method !== 'HEAD') return [405, 'this page is only read: GET and HEAD\n']
  return undefined
}

/** The path of a request, decoded; undefined for one that leads nowhere. */
function pathOf(url: URL): string | undefined {
  try {
    const path = decodeURIComponent(url.pathname)
    return path.includes('\0') || path.split(/[\\/]/).includes('..') ? undefined : path
  } catch {
    return undefined
  }
}

function respond(
  request: IncomingMessage,
  response: ServerResponse,
  { page, runtime, runs = [] }: PageOptions,
): void {
  const refused = refusal(request)
  const url = URL.canParse(request.url ?? '', 'http://127.0.0.1')
    ? new URL(request.url ?? '', 'http://127.0.0.1')
    : undefined
  const path = url && pathOf(url)
  const [, index, below] = /^\/runs\/(\d+)\/(.+)$/.exec(path ?? '') ?? []
  const root = runs[Number(index)]
  if (refused) answer(response, ...refused)
  else if (!url || path === undefined) answer(response, 404, 'there is no such file here\n')
  else if (path === '/') {
    const text = textOf(readBytes(join(page, 'index.html')), 'index.html')
    answer(response, 200, runs.length > 0 ? text.replace('<html ', '<html data-runs ') : text, types['.html'])
  } else if (path === '/api/runs' && runs.length > 0)
    answer(response, 200, runList(runs, url.searchParams), types['.json'])
  else if (below !== undefined && root !== undefined)
    sendFile(response, fileBelow(root, below), { 'Content-Security-Policy': reportPolicy })
  else {
    const [, file] = /^\/runtime\/(.+)$/.exec(path) ?? []
    const own = fileBelow(page, path.slice(1))
    sendFile(
      response,
      own ?? (file !== undefined && runtime !== undefined ? fileBelow(runtime, file) : undefined),
    )
  }
}

const listening = (server: Server, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })

/** Serve the page until it is closed. Throws TL_IO where the page is not built or the port is taken. */
export async function servePage(options: PageOptions): Promise<ServedPage> {
  const { page, runs = [], port = 0 } = options
  if (!fileBelow(page, 'index.html'))
    fail('TL_IO', `${page}: the page is not built there (npm run build:page, in a clone of Treeline)`)
  // a folder that is not there is said now, not at the first request
  listRuns(runs)
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
    try {
      respond(request, response, options)
    } catch (error) {
      const isOurs = error instanceof TreelineError
      if (!response.headersSent)
        answer(response, isOurs ? 400 : 500, `${(error as Error).message.split('\n')[0]}\n`)
      else response.destroy()
    }
  })
  server.maxConnections = 256
  await listening(server, port).catch((error: NodeJS.ErrnoException) =>
    fail(
      'TL_IO',
      error.code === 'EADDRINUSE'
        ? `port ${port}: another program listens there (take another one, or --port 0 for a free one)`
        : `port ${port}: cannot listen: ${error.message}`,
      error,
    ),
  )
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
