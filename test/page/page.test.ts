/** The page in Chromium: its figures by mouse and keyboard, its address, files, accessibility, and what it asks of the network. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ServedPage, servePage } from '../../src/lab/page/index.ts'
import { beliefIn, grammarOf, treeOf } from '../../web/src/compute/trees.ts'

const dist = fileURLToPath(new URL('../../web/dist', import.meta.url))
let browser: Browser
let served: ServedPage
let page: Page
let troubles: string[]
let asked: string[]

beforeAll(async () => {
  served = await servePage({ page: dist })
  browser = await chromium.launch({
    executablePath: process.env['TREELINE_PAGE'] ?? '/usr/bin/chromium',
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  })
})
afterAll(async () => {
  await browser?.close()
  await served?.close()
})
beforeEach(async () => {
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  troubles = []
  asked = []
  page.on('console', (message) => {
    if (message.type() === 'error') troubles.push(message.text())
  })
  page.on('pageerror', (error) => troubles.push(error.message))
  page.on('request', (request) => asked.push(request.url()))
})
afterEach(async () => {
  await page.close()
  expect(troubles).toEqual([])
})

const says = (section: string) => page.locator(`#${section} .says`).first()
const open = async (section: string, hash = ''): Promise<void> => {
  await page.goto(`${served.url}${hash}`)
  await page.locator(`#${section}`).scrollIntoViewIfNeeded()
  await says(section).waitFor()
}

describe('figures', () => {
  it('a grammar: a node is exchanged by mouse and by keyboard, and the class stays', async () => {
    await open('a-grammar')
    const cells = page.locator('#a-grammar .cell text')
    const before = await cells.allTextContents()
    await page.locator('#a-grammar .pressable').nth(1).focus()
    await page.keyboard.press('Enter')
    await expect.poll(() => says('a-grammar').textContent()).toContain('was exchanged')
    const after = await cells.allTextContents()
    expect(after[0]).toBe(before[0])
    expect(after).not.toEqual(before)
    // the focus is where it was: the keyboard goes on from there
    expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-label'))).toMatch(
      /level 1, node 1/,
    )
  })

  it('belief: the numbers are those of the library, and a drag never stalls the page', async () => {
    await open('noise', '#belief.L=8&belief.eps=0.75')
    const text = await says('noise').textContent()
    const sizes = { v: 16, m: 4, s: 2, L: 8, seed: 1 }
    const grammar = grammarOf(sizes)
    const p = beliefIn(grammar, treeOf(grammar, 1, 0), 0.75)[0]![0]!
    expect(Number(/probability ([\d.]+)/.exec(text!)![1])).toBeCloseTo(p, 2)
    const slider = page.locator('#belief-eps')
    await slider.focus()
    for (let i = 0; i < 25; i++) await page.keyboard.press('ArrowRight')
    await expect.poll(() => page.locator('#belief-eps + output').textContent()).toBe('1')
    //
  })

  it('belief: a thousand strings fall onto the line', async () => {
    await open('noise', '#belief.L=4')
    await page.getByRole('button', { name: 'One thousand strings' }).click()
    await page.getByRole('button', { name: 'One thousand more' }).waitFor({ timeout: 60_000 })
    expect(await page.locator('#noise .point').count()).toBe(2 * 19)
  })

  it('there and back: χ is measured beside the mean field and the mixture', async () => {
    await open('there-and-back', '#chunks.L=4')
    await page.getByRole('button', { name: 'Measure χ' }).click()
    await expect
      .poll(() => says('there-and-back').locator('xpath=../..').locator('.says').last().textContent(), {
        timeout: 60_000,
      })
      .toContain('χ is largest at')
  })

  it('learning: the loss comes down on the plateaus', async () => {
    await open('learning-levels', '#learning.L=2&learning.m=3&learning.v=8')
    await page.locator('#learning-levels').getByRole('button', { name: 'Train' }).click()
    await expect
      .poll(() => says('learning-levels').textContent(), { timeout: 90_000 })
      .toMatch(/[12] of 2 levels are known/)
    await page.locator('#learning-levels').getByRole('button', { name: 'Stop' }).click()
    expect(await says('learning-levels').textContent()).toBe('Stopped.')
  })

  it('composing: what a small diffusion model writes is parsed', async () => {
    await open('composing', '#composing.L=2&composing.P=2048')
    // more strings than the grammar has are not wanted of it
    expect(await says('composing').textContent()).toContain('learns 108 of the 216 strings')
    await page.locator('#composing').getByRole('button', { name: 'Train' }).click()
    await expect.poll(() => says('composing').textContent(), { timeout: 90_000 }).toMatch(/A1 = \d/)
    await page.locator('#composing').getByRole('button', { name: 'Stop' }).click()
  })
})

describe('the address', () => {
  it('holds what was set, and opens as it was', async () => {
    await open('noise')
    await page.locator('#belief-m').focus()
    await page.keyboard.press('ArrowLeft')
    await expect.poll(() => page.url()).toContain('belief.m=3')
    const address = page.url()
    await page.goto('about:blank')
    await page.goto(address)
    await page.locator('#noise').scrollIntoViewIfNeeded()
    await expect.poll(() => page.locator('#belief-m').inputValue()).toBe('3')
  })

  it('of a megabyte is refused in a sentence, and the page lives on', async () => {
    await page.goto(`${served.url}#${'belief.m=3&'.repeat(90_000)}`)
    await expect.poll(() => page.locator('#problem').textContent()).toContain('are read at the most')
    await says('a-grammar').waitFor()
  })
})

describe('files', () => {
  it('are read here, and nothing leaves the page', async () => {
    await open('your-files')
    const grammar = {
      format: 'treeline-grammar/1',
      v: 2,
      classes: 2,
      m: 1,
      s: 2,
      L: 1,
      rules: [[[[0, 0]], [[1, 1]]]],
    }
    await page.locator('#file').setInputFiles({
      name: 'g.grammar.json',
      mimeType: 'application/json',
      buffer: Buffer.from(JSON.stringify(grammar)),
    })
    await expect.poll(() => says('your-files').textContent()).toContain('v = 2, 2 classes')
    await page
      .locator('#file')
      .setInputFiles({ name: '<b>x</b>.safetensors', mimeType: '', buffer: Buffer.alloc(16, 255) })
    await expect.poll(() => says('your-files').textContent()).toContain('<b>x</b>.safetensors: header length')
    expect(asked.every((url) => url.startsWith(served.url) || url.startsWith('data:'))).toBe(true)
    // the policy of the page, not its good manners: another host cannot be asked
    const sent = await page.evaluate(() =>
      fetch('http://127.0.0.1:9/').then(
        () => 'sent',
        () => 'refused',
      ),
    )
    expect(sent).toBe('refused')
    troubles = troubles.filter(
      (text) => !text.includes('Content Security Policy') && !text.includes('127.0.0.1:9'),
    )
  })
})

it('no finding of axe, in light and dark, at 390 and 1280 pixels', async () => {
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  for (const colorScheme of ['light', 'dark'] as const)
    for (const width of [390, 1280]) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await page.setViewportSize({ width, height: 900 })
      await open('a-grammar')
      for (const id of ['noise', 'there-and-back', 'learning-levels', 'composing', 'your-files']) {
        await page.locator(`#${id}`).scrollIntoViewIfNeeded()
        await says(id).waitFor()
      }
      await page.evaluate(axe)
      const found = await page.evaluate(async () => {
        const { violations } = await (
          window as unknown as {
            axe: {
              run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>
            }
          }
        ).axe.run()
        return violations
          .filter(({ impact }) => impact === 'serious' || impact === 'critical')
          .map(({ id, nodes }) => `${id}: ${nodes[0]!.html.slice(0, 120)}`)
      })
      expect(found).toEqual([])
      const wide = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      )
      expect(wide).toBe(0)
    }
})

it('what comes before the first figure is small', async () => {
  await open('a-grammar')
  const own = asked.filter((url) => url.startsWith(served.url))
  const bodies = await Promise.all(
    own.map(async (url) => Buffer.from(await (await fetch(url)).arrayBuffer())),
  )
  const compressed = bodies.reduce((sum, body) => sum + gzipSync(body).length, 0)
  expect(own.some((url) => url.includes('runtime/'))).toBe(false)
  expect(compressed).toBeLessThan(300_000)
})
