/** @file Where a Redis is, without ever saying its password. */
import { fail } from '../../base/index.ts'

/** What BullMQ and ioredis take. */
interface RedisOptions {
  readonly host: string
  readonly port: number
  readonly db: number
  readonly username?: string
  readonly password?: string
  readonly tls?: object
  /** Workers wait for a Redis that is being restarted. */
  readonly maxRetriesPerRequest: null
}

/** An address, and how to name it to people. */
export interface RedisAddress {
  readonly options: RedisOptions
  /** `redis://host:port/db` without user and password. */
  readonly shown: string
}

/** The variable that may hold the password. */
export const passwordVariable = 'TREELINE_REDIS_PASSWORD'

/** Read `redis://[user:password@]host[:port][/db]` or `rediss://…`. Throws TL_USAGE; never shows what may be a password. */
export function redisAddress(
  text: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): RedisAddress {
  const refuse = (): never =>
    fail('TL_USAGE', 'redis: expected an address such as redis://HOST:6379 or rediss://USER@HOST:6380/0')
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return refuse()
  }
  const { protocol, hostname, port, pathname, username, password } = url
  if (!['redis:', 'rediss:'].includes(protocol) || hostname === '' || !/^\/?\d*$/.test(pathname))
    return refuse()
  const db = Number(pathname.slice(1) || 0)
  const secret = decodeURIComponent(password) || env[passwordVariable]
  const host = hostname.replace(/^\[|\]$/g, '')
  return {
    options: {
      ...{ host, port: Number(port || 6379), db, maxRetriesPerRequest: null },
      ...(username && { username: decodeURIComponent(username) }),
      ...(secret && { password: secret }),
      ...(protocol === 'rediss:' && { tls: {} }),
    },
    shown: `${protocol}//${hostname}:${port || 6379}/${db}`,
  }
}
