/** @file One GET that follows redirects and goes through the user's proxy. Node 20's `fetch` knows no proxies. */
import { get as httpGet, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { get as httpsGet } from 'node:https'
import type { Socket } from 'node:net'
import { isIP } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import type { NpmSettings } from './registry.ts'

type GetOptions = {
  settings: NpmSettings
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
  /** Give up when nothing arrives for so long, in milliseconds. */
  idleMs: number
}

const MAX_REDIRECTS = 5

/** Resolve to the response, whatever its status, with the body unread. Rejects with the system's error. */
export async function get(url: URL, options: GetOptions): Promise<IncomingMessage> {
  for (let hops = 0; ; hops++) {
    const response = await getOnce(url, options)
    const { location } = response.headers
    if (![301, 302, 303, 307, 308].includes(response.statusCode ?? 0) || !location) return response
    response.destroy()
    if (hops === MAX_REDIRECTS) throw new Error(`more than ${MAX_REDIRECTS} redirects`)
    const next = new URL(location, url)
    if (next.protocol !== 'http:' && next.protocol !== 'https:')
      throw new Error(`redirected to ${next.protocol}`)
    url = next
  }
}

async function getOnce(
  url: URL,
  { settings, headers, signal, idleMs }: GetOptions,
): Promise<IncomingMessage> {
  const authorization = settings.authorizationFor(url)
  const options: RequestOptions & { ca?: string | undefined } = {
    headers: { accept: '*/*', 'user-agent': 'treeline', ...(authorization && { authorization }), ...headers },
    agent: false,
    ...(signal && { signal }),
  }
  const proxy = settings.proxyFor(url)
  const secure = url.protocol === 'https:'
  let socket: Socket | undefined
  if (secure && settings.ca) options.ca = settings.ca
  if (secure && proxy) {
    socket = await tunnel(url, proxy, options, idleMs)
    const inner = socket
    const servername = isIP(url.hostname) ? '' : url.hostname
    options.createConnection = () =>
      tlsConnect({ socket: inner, servername, ...(settings.ca && { ca: settings.ca }) })
  }
  return new Promise((resolve, reject) => {
    const request =
      proxy && !secure
        ? httpGet({
            ...options,
            ...address(proxy),
            path: url.href,
            headers: { ...options.headers, host: url.host, ...proxyLogin(proxy) },
          })
        : (secure ? httpsGet : httpGet)(url, options)
    request.once('response', (response) => {
      // Ending the TLS inside leaves the connection to the proxy open.
      response.once('close', () => socket?.destroy())
      resolve(response)
    })
    request.on('error', (error) => {
      socket?.destroy()
      reject(error)
    })
    request.setTimeout(idleMs, () => request.destroy(silence(idleMs)))
  })
}

/** A connection through a proxy to the server itself (HTTP CONNECT). */
function tunnel(url: URL, proxy: URL, { signal }: RequestOptions, idleMs: number): Promise<Socket> {
  const target = `${url.hostname}:${url.port || 443}`
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      ...address(proxy),
      method: 'CONNECT',
      path: target,
      headers: { host: target, ...proxyLogin(proxy) },
      agent: false,
      ...(signal && { signal }),
    })
    request.once('connect', (response, socket: Socket) => {
      if (response.statusCode === 200) return resolve(socket)
      socket.destroy()
      reject(new Error(`the proxy ${proxy.host} answered ${response.statusCode} to CONNECT ${target}`))
    })
    request.once('response', (response) => {
      response.destroy()
      reject(new Error(`the proxy ${proxy.host} answered ${response.statusCode} to CONNECT ${target}`))
    })
    request.on('error', reject)
    request.setTimeout(idleMs, () => request.destroy(silence(idleMs)))
    request.end()
  })
}

const address = (proxy: URL) => ({ host: proxy.hostname.replace(/^\[|\]$/g, ''), port: proxy.port || 80 })

const proxyLogin = ({ username, password }: URL): Record<string, string> =>
  username
    ? {
        'proxy-authorization': `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`,
      }
    : {}

const silence = (idleMs: number) =>
  Object.assign(new Error(`nothing arrived for ${idleMs / 1000} s`), { code: 'ETIMEDOUT' })
