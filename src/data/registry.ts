/**
 * @file The user's npm settings that matter for one download: registry, proxies, certificates, token. Found as npm
 * finds them: environment (`npm_config_*`), the project's .npmrc, the user's, the machine's, then the defaults.
 */
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fail } from '../base/index.ts'

/** Environment variables; written out because the types must not need those of Node. */
type Environment = Readonly<Record<string, string | undefined>>

export type NpmSettings = {
  /** Registry URL, ending in a slash. */
  registry: string
  /** Proxy for an address, or undefined for a direct connection. */
  proxyFor(url: URL): URL | undefined
  /** The Authorization header for an address: only below the registry path it was configured for. */
  authorizationFor(url: URL): string | undefined
  /** Certificates to trust in place of the built-in ones (`cafile`). */
  ca: string | undefined
}

type Places = { env?: Environment; cwd?: string; home?: string }

/** Read the settings. `registry` overrides what is configured. Throws `TL_BAD_CONFIG` for an address that is none. */
export function npmSettings(
  { env = process.env, cwd = process.cwd(), home = homedir() }: Places = {},
  registry?: string,
): NpmSettings {
  const fromEnv = environmentSettings(env)
  const project = projectFolder(cwd)
  const user = fromEnv.get('userconfig') ?? join(home, '.npmrc')
  const prefix =
    fromEnv.get('prefix') ??
    dirname(process.platform === 'win32' ? process.execPath : dirname(process.execPath))
  const files = [
    project && join(project, '.npmrc'),
    user,
    fromEnv.get('globalconfig') ?? join(prefix, 'etc', 'npmrc'),
  ]
  const layers = [fromEnv, ...files.map((path) => readRc(path, env))]
  const get = (key: string): string | undefined => layers.find((layer) => layer.has(key))?.get(key)
  const shell = (name: string): string | undefined => env[name.toLowerCase()] || env[name.toUpperCase()]

  const address = registry ?? get('registry') ?? 'https://registry.npmjs.org/'
  const http = proxySetting(get('proxy') ?? get('http-proxy'), shell('http_proxy') ?? shell('all_proxy'))
  const https = proxySetting(
    get('https-proxy') ?? get('proxy'),
    shell('https_proxy') ?? shell('http_proxy') ?? shell('all_proxy'),
  )
  const excluded = (get('noproxy') ?? get('no-proxy') ?? shell('no_proxy') ?? '')
    .split(/[\s,]+/)
    .filter(Boolean)
  const cafile = get('cafile')
  return {
    registry: parseAddress(address, 'registry').href.replace(/\/*$/, '/'),
    proxyFor(url) {
      const proxy = url.protocol === 'https:' ? https : http
      if (!proxy || excluded.some((pattern) => matchesHost(url, pattern))) return undefined
      return parseAddress(/^[a-z]+:\/\//i.test(proxy) ? proxy : `http://${proxy}`, 'proxy')
    },
    authorizationFor: (url) => authorization(url, get),
    ca: cafile && existsSync(cafile) ? readFileSync(cafile, 'utf8') : undefined,
  }
}

function parseAddress(text: string, what: string): URL {
  let url: URL | undefined
  try {
    url = new URL(text)
  } catch {
    // Said below, without the address's password.
  }
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  const shown = text.replace(/\/\/[^@/]*@/, '//…@')
  return fail(
    'TL_BAD_CONFIG',
    `npm ${what}: expected an http or https address, got "${shown}" (see "npm config get ${what}")`,
  )
}

/** `npm_config_*` in any case; npm ignores empty values. */
function environmentSettings(env: Environment): Map<string, string> {
  const settings = new Map<string, string>()
  for (const [name, value] of Object.entries(env)) {
    const match = /^npm_config_(.+)$/i.exec(name)
    if (match && value) settings.set(match[1]!.toLowerCase().replace(/(?!^)_/g, '-'), value)
  }
  return settings
}

/** The nearest folder upwards that npm takes for a project. */
function projectFolder(from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) || existsSync(join(folder, 'node_modules'))) return folder
    if (dirname(folder) === folder) return undefined
  }
}

function readRc(path: string | undefined, env: Environment): Map<string, string> {
  const settings = new Map<string, string>()
  let text = ''
  try {
    if (path) text = readFileSync(path, 'utf8')
  } catch {
    // An .npmrc that is absent or unreadable sets nothing, as for npm.
  }
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*([^;#[\s=][^=]*?)\s*=\s*(.*?)\s*$/.exec(line)
    if (!match) continue
    const value = match[2]!
      .replace(/^(["'])(.*)\1$/, '$2')
      .replace(/\$\{([^}]+)\}/g, (all, name: string) => env[name] ?? all)
    if (value) settings.set(match[1]!, value)
  }
  return settings
}

/** `false` and `null` in .npmrc switch a proxy off, whatever the environment says. */
const proxySetting = (
  configured: string | undefined,
  environment: string | undefined,
): string | undefined => {
  if (configured === 'false' || configured === 'null') return undefined
  return configured ?? environment
}

function matchesHost(url: URL, pattern: string): boolean {
  if (pattern === '*') return true
  const [name = '', port] = pattern.toLowerCase().split(':')
  const bare = name.replace(/^\*?\./, '')
  const effectivePort = url.port || (url.protocol === 'https:' ? '443' : '80')
  return (url.hostname === bare || url.hostname.endsWith(`.${bare}`)) && (!port || port === effectivePort)
}

/** npm keeps credentials under `//host/path/:_authToken`; the longest path that holds the address wins. */
function authorization(url: URL, get: (key: string) => string | undefined): string | undefined {
  for (let path = url.pathname.replace(/[^/]*$/, ''); ; path = path.replace(/[^/]*\/$/, '')) {
    const token = get(`//${url.host}${path}:_authToken`)
    if (token) return `Bearer ${token}`
    const basic = get(`//${url.host}${path}:_auth`)
    if (basic) return `Basic ${basic}`
    if (path.length <= 1) return undefined
  }
}
