/** @file BullMQ and ioredis, which are not installed unless somebody wants a queue; and whether a Redis answers. */
import type { Redis } from 'ioredis'
import { fail } from '../../base/index.ts'
import { passwordVariable, type RedisAddress } from './redisAddress.ts'

const lacking = (): never =>
  fail(
    'TL_UNSUPPORTED',
    'redis: it needs two packages that are not installed: npm install bullmq@6.7.0 ioredis@5.9.3',
  )

/** The libraries, which are not installed unless somebody wants a queue. */
export async function queueLibraries(): Promise<{
  readonly bullmq: typeof import('bullmq')
  readonly Redis: typeof Redis
}> {
  try {
    const [bullmq, ioredis] = await Promise.all([import('bullmq'), import('ioredis')])
    return { bullmq, Redis: ioredis.Redis }
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND') return lacking()
    throw error
  }
}

/** Refuse an address where no Redis answers, or that does not take the password. Throws TL_NETWORK, TL_USAGE. */
export async function checkRedis({ options, shown }: RedisAddress): Promise<void> {
  const { Redis: Client } = await queueLibraries()
  const client = new Client({
    ...options,
    lazyConnect: true,
    connectTimeout: 5000,
    maxRetriesPerRequest: 1,
    retryStrategy: () => null,
  })
  // also told by what connect rejects with
  let last: Error | undefined
  client.on('error', (error: Error) => {
    last = error
  })
  try {
    await client.connect()
    await client.ping()
  } catch (error) {
    const message = `${last?.message ?? ''} ${(error as Error).message}`
    if (/WRONGPASS|NOAUTH|invalid password|invalid username/i.test(message))
      fail(
        'TL_USAGE',
        `${shown}: Redis does not take the password: give it in the address or in ${passwordVariable}`,
      )
    fail(
      'TL_NETWORK',
      `${shown}: no Redis answers there (${/ECONNREFUSED/.test(message) ? 'connection refused' : (last ?? (error as Error)).message.split('\n')[0]}): start one, or correct the address`,
    )
  } finally {
    client.disconnect()
  }
}
