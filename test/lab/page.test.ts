/** The page's server: it gives its files and runs, and nothing else, to nobody else. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ServedPage, servePage } from '../../src/lab/page/index.ts'

let folder: string
let served: ServedPage

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'treeline-page-'))
  const put = (path: string, text: string): void => {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  put('page/index.html', '<!doctype html><html lang="en">page</html>')
  put('page/assets/a.js', 'let a')
  put('secret.txt', 'secret')
  put('onnxruntime/a.wasm', 'bytes')
  put(
    'runs/x/1/config.json',
    JSON.stringify({ experiment: 'x', version: '0', hash: 'abcdefabcdef', config: { seed: 3, L: 2 } }),
  )
  put('runs/x/1/report.html', '<script>1</script>')
  symlinkSync(join(folder, 'secret.txt'), join(folder, 'page/link.txt'))
  symlinkSync(join(folder, 'secret.txt'), join(folder, 'runs/x/1/link.txt'))
  served = await servePage({
    page: join(folder, 'page'),
    runtime: join(folder, 'onnxruntime'),
    runs: [join(folder, 'runs')],
  })
})
afterAll(async () => {
  await served.close()
  rmSync(folder, { recursive: true })
})

/** A request as it is written, without a client's tidying of paths. */
const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  new Promise<{ status: number; text: string; headers: Record<string, unknown> }>((resolve, reject) => {
    const { port, host } = new URL(served.url)
    request({ host: '127.0.0.1', port, path, method, headers: { host, ...headers } }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part) => {
        text += part
      })
      response.on('end', () => resolve({ status: response.statusCode!, text, headers: response.headers }))
    })
      .on('error', reject)
      .end()
  })

describe('what is served', () => {
  it('the page, isolated, with a mark that there are runs', async () => {
    const { status, text, headers } = await ask('/')
    expect(status).toBe(200)
    expect(text).toContain('<html data-runs lang')
    expect(headers).toMatchObject({
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
      'content-type': 'text/html; charset=utf-8',
    })
    expect(await ask('/assets/a.js')).toMatchObject({ status: 200, text: 'let a' })
    expect(await ask('/runtime/a.wasm')).toMatchObject({ status: 200, text: 'bytes' })
    expect(await ask('/runtime/../secret.txt')).toMatchObject({ status: 404 })
    expect(await ask('/assets/a.js', {}, 'HEAD')).toMatchObject({ status: 200, text: '' })
  })

  it('runs, filtered by an expression, with their report, whose scripts do not run', async () => {
    const { runs, total } = JSON.parse((await ask('/api/runs?where=L%20==%202')).text)
    expect(total).toBe(1)
    expect(runs[0]).toMatchObject({ experiment: 'x', seed: 3, report: 'runs/0/x/1/report.html' })
    expect(JSON.parse((await ask('/api/runs?where=L%20==%203')).text)).toEqual({ total: 0, runs: [] })
    expect(await ask('/api/runs?where=L%20%3D%3D')).toMatchObject({ status: 400 })
    const report = await ask(`/${runs[0].report}`)
    expect(report.status).toBe(200)
    expect(report.headers['content-security-policy']).toContain('sandbox')
  })
})

describe('what is refused', () => {
  it.each([
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/..%5csecret.txt',
    '/link.txt',
    '/runs/0/x/1/link.txt',
    '/runs/0/../../secret.txt',
    '/runs/1/x/1/config.json',
    '/runs/0//etc/passwd',
    '/%00',
    '/%ff',
    '/assets',
    '//etc/passwd',
  ])('%s', async (path) => {
    const { status, text } = await ask(path)
    expect(status).toBe(404)
    expect(text).not.toContain('secret\n')
    expect(text).not.toBe('secret')
  })

  it('another host, another origin, another method', async () => {
    expect(await ask('/', { host: 'evil.example' })).toMatchObject({ status: 403 })
    expect(await ask('/api/runs', { origin: 'http://evil.example' })).toMatchObject({ status: 403 })
    expect(await ask('/', { origin: `https://127.0.0.1:${new URL(served.url).port}` })).toMatchObject({
      status: 403,
    })
    expect(await ask('/', { origin: served.url.slice(0, -1) })).toMatchObject({ status: 200 })
    expect(await ask('/', {}, 'POST')).toMatchObject({ status: 405 })
  })

  it('a page that is not built, a port that is taken, a folder that is not there', async () => {
    await expect(servePage({ page: join(folder, 'nothing') })).rejects.toThrow('npm run build:page')
    const port = Number(new URL(served.url).port)
    await expect(servePage({ page: join(folder, 'page'), port })).rejects.toThrow(
      'another program listens there',
    )
    await expect(servePage({ page: join(folder, 'page'), runs: [join(folder, 'none')] })).rejects.toThrow(
      'no such folder',
    )
  })
})

it('a thousand idle connections do not keep readers out for good', async () => {
  const { port } = new URL(served.url)
  const sockets = Array.from({ length: 1000 }, () => connect(Number(port), '127.0.0.1').on('error', () => {}))
  await new Promise((resolve) => setTimeout(resolve, 200))
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect((await ask('/')).status).toBe(200)
})
