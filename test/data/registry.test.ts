/** @file npm's settings as npm finds them, and downloads through proxies, TLS and logins. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { defaultCacheDirectory, getDataset, npmSettings } from '../../src/data/index.ts'
import { selfSigned } from './certificate.ts'
import { type Registry, refusal, rejection, serve, tinyDigits } from './helpers.ts'

let root: string
let home: string
let project: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'treeline-npm-'))
  home = join(root, 'home')
  project = join(root, 'project')
  mkdirSync(join(project, 'src', 'deep'), { recursive: true })
  mkdirSync(home)
  writeFileSync(join(project, 'package.json'), '{}')
})
afterAll(() => rmSync(root, { recursive: true }))

type Files = { user?: string; project?: string; global?: string }
/** Settings read from nothing but these. */
function settings(env: Record<string, string>, files: Files = {}, registry?: string) {
  writeFileSync(join(home, '.npmrc'), files.user ?? '')
  writeFileSync(join(project, '.npmrc'), files.project ?? '')
  writeFileSync(join(root, 'npmrc'), files.global ?? '')
  const complete = { npm_config_globalconfig: join(root, 'npmrc'), ...env }
  return npmSettings({ env: complete, cwd: join(project, 'src', 'deep'), home }, registry)
}

describe('npmSettings', () => {
  it('finds the registry in the order npm does', () => {
    const global = 'registry=https://global.example/npm'
    const user = '; a comment\n# another\nregistry = "https://user.example/"\n[section]\n'
    const files = { global, user, project: 'registry=https://project.example:8443/a/b/\n' }
    expect(settings({}).registry).toBe('https://registry.npmjs.org/')
    expect(settings({}, { global }).registry).toBe('https://global.example/npm/')
    expect(settings({}, { global, user }).registry).toBe('https://user.example/')
    expect(settings({}, files).registry).toBe('https://project.example:8443/a/b/')
    expect(settings({ npm_config_registry: 'http://env.example' }, files).registry).toBe(
      'http://env.example/',
    )
    expect(settings({ NPM_CONFIG_REGISTRY: 'http://env.example' }, files).registry).toBe(
      'http://env.example/',
    )
    expect(settings({ npm_config_registry: '' }, { user }).registry).toBe('https://user.example/')
    expect(
      settings({ npm_config_registry: 'http://env.example' }, files, 'http://flag.example').registry,
    ).toBe('http://flag.example/')
    expect(settings({ HOST: 'x.example' }, { user: 'registry=https://$' + '{HOST}/' }).registry).toBe(
      'https://x.example/',
    )
    const other = join(root, 'other')
    writeFileSync(other, 'registry=https://other.example')
    expect(settings({ npm_config_userconfig: other }, { user }).registry).toBe('https://other.example/')
  })

  it('refuses an address that is none, without showing its password', () => {
    const refused = refusal(() => settings({}, {}, 'ftp://me:secret@host/'))
    expect(refused).toMatchObject({
      code: 'TL_BAD_CONFIG',
      message: expect.stringMatching(/expected an http or https address/),
    })
    expect(refused.message).not.toMatch(/secret/)
    expect(refusal(() => settings({ npm_config_registry: 'nonsense' })).code).toBe('TL_BAD_CONFIG')
  })

  it('finds proxies and exceptions', () => {
    const secure = new URL('https://registry.example/x')
    const plain = new URL('http://registry.example/x')
    const of = (env: Record<string, string>, files: Files = {}, url = secure) =>
      settings(env, files).proxyFor(url)?.href
    expect(of({})).toBeUndefined()
    expect(of({ HTTPS_PROXY: 'http://p:1' })).toBe('http://p:1/')
    expect(of({ https_proxy: 'p:1' })).toBe('http://p:1/')
    expect(of({ http_proxy: 'http://p:1' }, {}, plain)).toBe('http://p:1/')
    expect(of({ https_proxy: 'http://p:1' }, {}, plain)).toBeUndefined()
    expect(of({ HTTPS_PROXY: 'http://p:1' }, { user: 'https-proxy=http://q:2' })).toBe('http://q:2/')
    expect(of({}, { user: 'proxy=http://q:2' }, plain)).toBe('http://q:2/')
    expect(of({ HTTPS_PROXY: 'http://p:1' }, { user: 'https-proxy=null' })).toBeUndefined()
    for (const excluded of ['registry.example', '.example', 'a.b, example', '*', 'registry.example:443'])
      expect(of({ HTTPS_PROXY: 'http://p:1', NO_PROXY: excluded })).toBeUndefined()
    for (const excluded of ['other.example', 'gistry.example', 'registry.example:80', ''])
      expect(of({ HTTPS_PROXY: 'http://p:1', NO_PROXY: excluded })).toBe('http://p:1/')
    expect(of({ HTTPS_PROXY: 'http://p:1' }, { project: 'noproxy=example' })).toBeUndefined()
  })

  it('gives a token only to the addresses it was configured for', () => {
    const { authorizationFor } = settings(
      { TOKEN: 'abc' },
      { user: '//r.example/npm/:_authToken=$' + '{TOKEN}\n//b.example/:_auth=dTpw\n' },
    )
    expect(authorizationFor(new URL('https://r.example/npm/tiny/-/tiny-1.0.0.tgz'))).toBe('Bearer abc')
    expect(authorizationFor(new URL('https://b.example/x'))).toBe('Basic dTpw')
    for (const url of [
      'https://r.example/other/x',
      'https://r.example:444/npm/x',
      'https://r.example.evil/npm/x',
      'https://x.example/',
    ])
      expect(authorizationFor(new URL(url))).toBeUndefined()
  })
})

describe('downloads', () => {
  const open: Registry[] = []
  afterEach(async () => {
    for (const server of open.splice(0)) await server.close()
  })
  const keep = (server: Registry) => {
    open.push(server)
    return server
  }
  const fetchTiny = async (env: Record<string, string>, files: Files, registry: string) => {
    const { table } = await tinyDigits()
    const cacheDir = mkdtempSync(join(root, 'cache-'))
    return getDataset('tiny', {
      cacheDir,
      table,
      settings: settings(env, files, registry),
      pauses: [],
      onNotice: () => {},
    })
  }
  const tgz = tinyDigits().then((made) => made.tgz)
  const send = async (_: IncomingMessage, response: { end: (body: Buffer) => void }) =>
    response.end(await tgz)
  /** Resolved when a tunnel's socket is closed: the client must not keep it. */
  const closed: Promise<unknown>[] = []
  /** A proxy that forwards plain requests and tunnels, and notes them; `login` must be presented when given. */
  const proxy = async (seen: string[], login?: string) => {
    const server = await serve(
      (request, response) => {
        seen.push(`${request.method} ${request.url}`)
        if (login && request.headers['proxy-authorization'] !== login) return response.writeHead(407).end()
        httpRequest(request.url!, { headers: request.headers }, (answer) => {
          response.writeHead(answer.statusCode!, answer.headers)
          answer.pipe(response)
        }).end()
      },
      (listener) =>
        createServer(listener).on('connect', (request: IncomingMessage, socket: Socket) => {
          seen.push(`CONNECT ${request.url}`)
          closed.push(new Promise((resolve) => socket.once('close', resolve)))
          socket.on('error', () => {})
          if (login && request.headers['proxy-authorization'] !== login)
            return socket.resume().end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
          const [host, port] = request.url!.split(':')
          const upstream = connect(Number(port), host, () => {
            socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
            upstream.pipe(socket).pipe(upstream)
          }).on('error', () => socket.destroy())
        }),
    )
    return keep(server)
  }
  /** A registry that speaks TLS. */
  const secureRegistry = async () => {
    const { key, cert } = selfSigned()
    const ca = join(root, 'ca.pem')
    writeFileSync(ca, cert)
    const server = createSecureServer({ key, cert }, send)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    open.push({
      url: '',
      requests: [],
      close: () =>
        new Promise((resolve) => {
          server.close(() => resolve())
          server.closeAllConnections()
        }),
    })
    return { url: `https://127.0.0.1:${port}/`, host: `127.0.0.1:${port}`, ca }
  }

  it('present the token, but not to where they are redirected', async () => {
    const elsewhere = keep(await serve(send))
    const registry = keep(
      await serve((_, response) => response.writeHead(302, { location: `${elsewhere.url}tiny.tgz` }).end()),
    )
    const { host } = new URL(registry.url)
    await fetchTiny({}, { user: `//${host}/:_authToken=abc` }, registry.url)
    expect(registry.requests[0]!.headers.authorization).toBe('Bearer abc')
    expect(elsewhere.requests[0]!.headers.authorization).toBeUndefined()
  })

  it('end when redirected in circles, or out of the web', async () => {
    const circle = keep(await serve((_, response) => response.writeHead(302, { location: '/again' }).end()))
    expect((await rejection(fetchTiny({}, {}, circle.url))).message).toMatch(/more than 5 redirects/)
    const out = keep(
      await serve((_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end()),
    )
    expect((await rejection(fetchTiny({}, {}, out.url))).message).toMatch(/redirected to file:/)
  })

  it('go through a proxy', async () => {
    const seen: string[] = []
    const registry = keep(await serve(send))
    const through = await proxy(seen, `Basic ${Buffer.from('me:p@ss').toString('base64')}`)
    const { host } = new URL(through.url)
    expect((await fetchTiny({ http_proxy: `http://me:p%40ss@${host}` }, {}, registry.url)).fetched).toBe(true)
    expect(seen).toEqual([`GET ${registry.url}tiny-digits/-/tiny-digits-1.0.0.tgz`])
    expect(registry.requests[0]!.headers['proxy-authorization']).toBeDefined() // the test's proxy forwards everything
    expect((await rejection(fetchTiny({ http_proxy: through.url }, {}, registry.url))).message).toMatch(
      /answered 407/,
    )
  })

  it('trust a certificate from cafile, and say so when none is trusted', async () => {
    const registry = await secureRegistry()
    const refused = await rejection(fetchTiny({}, {}, registry.url))
    expect(refused).toMatchObject({
      code: 'TL_NETWORK',
      message: expect.stringMatching(/certificate is not trusted .*NODE_EXTRA_CA_CERTS, or cafile/),
    })
    expect((await fetchTiny({}, { project: `cafile=${registry.ca}` }, registry.url)).fetched).toBe(true)
  })

  it('go through a proxy with TLS inside', async () => {
    const seen: string[] = []
    const registry = await secureRegistry()
    const through = await proxy(seen)
    const files = { user: `cafile=${registry.ca}\nhttps-proxy=${through.url}` }
    expect((await fetchTiny({}, files, registry.url)).fetched).toBe(true)
    expect(seen).toEqual([`CONNECT ${registry.host}`])
    await Promise.all(closed)
    const locked = await proxy([], 'Basic xyz')
    const refused = await rejection(fetchTiny({ https_proxy: locked.url }, {}, registry.url))
    expect(refused.message).toMatch(/the proxy 127.0.0.1:\d+ answered 407 to CONNECT/)
    expect(
      (await rejection(fetchTiny({ https_proxy: 'http://127.0.0.1:9' }, {}, registry.url))).message,
    ).toMatch(/refused/)
  })
})

describe('defaultCacheDirectory', () => {
  it('is where each platform keeps caches', () => {
    expect(defaultCacheDirectory({ TREELINE_CACHE: '/c', XDG_CACHE_HOME: '/x' }, 'linux', '/h')).toBe('/c')
    expect(defaultCacheDirectory({ XDG_CACHE_HOME: '/x' }, 'linux', '/h')).toBe('/x/treeline')
    expect(defaultCacheDirectory({}, 'linux', '/h')).toBe('/h/.cache/treeline')
    expect(defaultCacheDirectory({}, 'darwin', '/h')).toBe('/h/Library/Caches/treeline')
    expect(defaultCacheDirectory({ LOCALAPPDATA: '/l' }, 'win32', '/h')).toBe('/l/treeline/Cache')
  })
})
