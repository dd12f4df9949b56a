/** @file Worker threads: order, failures, interruption. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { mapInWorkers, openWorkers } from '../../src/base/workers.ts'

const folder = mkdtempSync(join(tmpdir(), 'treeline-workers-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const path = join(folder, 'task.mjs')
const task = { module: pathToFileURL(path).href, name: 'work' }
beforeAll(() => {
  writeFileSync(
    path,
    `import { writeFileSync } from 'node:fs'
    import { threadId } from 'node:worker_threads'
    export async function work({ x, mood }, signal) {
      if (mood === 'throws') throw new Error('no luck with ' + x)
      if (mood === 'dies') process.exit(3)
      if (mood === 'sleeps') await new Promise(() => setInterval(() => {}, 1000))
      if (mood === 'heeds') {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        writeFileSync(new URL('heeded-' + x, import.meta.url), '')
        throw new Error('stopped')
      }
      return { values: Float64Array.of(x, x * x), thread: threadId }
    }`,
  )
})
const items = Array.from({ length: 12 }, (_, x) => ({ x, mood: 'well' }))
type Result = { values: Float64Array; thread: number }

test('results are in the order of the items, whatever the number of threads', async () => {
  for (const threads of [1, 3]) {
    const seen: number[] = []
    const results = await mapInWorkers<(typeof items)[number], Result>(task, items, {
      threads,
      onResult: (_, index) => seen.push(index),
    })
    expect(results.map(({ values }) => [...values])).toEqual(items.map(({ x }) => [x, x * x]))
    expect(seen.toSorted((a, b) => a - b)).toEqual(items.map(({ x }) => x))
    expect(results.every(({ thread }) => thread === 0)).toBe(threads === 1)
  }
})

test.each([
  ['throws', /no luck with 5/],
  ['dies', /a worker thread ended with code 3/],
])('an item that %s ends the whole with its reason', async (mood, reason) => {
  const broken = items.map((item) => (item.x === 5 ? { ...item, mood } : item))
  await expect(mapInWorkers(task, broken, { threads: 2 })).rejects.toThrow(reason)
})

test('an interruption ends workers that are busy', async () => {
  const controller = new AbortController()
  const sleeping = items.map((item) => (item.x >= 4 ? { ...item, mood: 'sleeps' } : item))
  const finished: number[] = []
  const all = mapInWorkers(task, sleeping, {
    threads: 2,
    signal: controller.signal,
    onResult: (_, index) => {
      finished.push(index)
      if (finished.length === 4) controller.abort()
    },
  })
  await expect(all).rejects.toMatchObject({
    code: 'TL_INTERRUPTED',
    message: 'interrupted after 4 of 12 parts',
  })
})

test('a task that heeds the signal leaves by itself before its thread ends', async () => {
  const controller = new AbortController()
  const heeding = items.map((item) => (item.x >= 4 ? { ...item, mood: 'heeds' } : item))
  const all = mapInWorkers(task, heeding, {
    threads: 2,
    signal: controller.signal,
    onResult: (_, index) => {
      if (index === 3) controller.abort()
    },
  })
  await expect(all).rejects.toMatchObject({ code: 'TL_INTERRUPTED' })
  expect(existsSync(join(folder, 'heeded-4'))).toBe(true)
})

test('on one thread too an interrupted task is no failure', async () => {
  const controller = new AbortController()
  const heeding = items.map((item) => (item.x === 2 ? { ...item, mood: 'heeds' } : item))
  const all = mapInWorkers(task, heeding, {
    threads: 1,
    signal: controller.signal,
    onResult: (_, index) => {
      if (index === 1) setTimeout(() => controller.abort(), 1)
    },
  })
  await expect(all).rejects.toMatchObject({ message: 'interrupted after 2 of 12 parts' })
})

test('threads stay for several tasks, and work on one item after the other however many are at hand', async () => {
  writeFileSync(
    join(folder, 'slow.mjs'),
    `let running = 0
    export async function work(x) {
      running++
      await new Promise((resolve) => setTimeout(resolve, 2))
      return { x, together: running-- }
    }`,
  )
  const slow = { module: pathToFileURL(join(folder, 'slow.mjs')).href, name: 'work' }
  const workers = openWorkers(2, { readyFor: task })
  try {
    const first = await workers.map<(typeof items)[number], Result>(task, items, { ahead: 3 })
    const numbers = items.map(({ x }) => x)
    const second = await workers.map<number, { x: number; together: number }>(slow, numbers, { ahead: 3 })
    const third = await workers.map<(typeof items)[number], Result>(task, items, {})
    expect(second).toEqual(numbers.map((x) => ({ x, together: 1 })))
    const threads = (results: Result[]): Set<number> => new Set(results.map(({ thread }) => thread))
    expect(first.map(({ values }) => values[0])).toEqual(numbers)
    expect(new Set([...threads(first), ...threads(third)]).size).toBe(2)
  } finally {
    await workers.close()
  }
})

test('a failure leaves no threads, and the next task starts new ones', async () => {
  const workers = openWorkers(2)
  const broken = items.map((item) => (item.x === 5 ? { ...item, mood: 'throws' } : item))
  await expect(workers.map(task, broken, { ahead: 2 })).rejects.toThrow(/no luck with 5/)
  expect(await workers.map(task, items, {})).toHaveLength(items.length)
  await workers.close()
})

test('the calling thread can take part: from the end, and a failure there is one', async () => {
  const workers = openWorkers(2, { takesPart: true })
  try {
    const many = Array.from({ length: 200 }, (_, x) => ({ x, mood: 'well' }))
    const results = await workers.map<(typeof items)[number], Result>(task, many, { ahead: 2 })
    expect(results.map(({ values }) => values[0])).toEqual(many.map(({ x }) => x))
    const own = results.map(({ thread }) => thread === 0)
    expect(own.at(-1)).toBe(true)
    // two sides that meet: nothing of the first is behind anything of the second
    expect(own.lastIndexOf(false)).toBeLessThan(own.indexOf(true))
    const broken = many.map((item, i) => (i === 199 ? { ...item, mood: 'throws' } : item))
    await expect(workers.map(task, broken, { ahead: 2 })).rejects.toThrow(/no luck with 199/)
    const controller = new AbortController()
    const interruptible = workers.map(task, many, {
      signal: controller.signal,
      onResult: (_, index) => {
        if (index === 190) controller.abort()
      },
    })
    await expect(interruptible).rejects.toMatchObject({ code: 'TL_INTERRUPTED' })
  } finally {
    await workers.close()
  }
})
