/** What was measured as Markdown: the numbers of the summaries, between the marks of a page. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { formatMeasured } from '../../src/base/index.ts'
import { composeConfig, executeRun, loadRun, measuredMarkdown, putMeasured } from '../../src/lab/index.ts'
import { normalMeans } from './study/toyStudy.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-markdown-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

it('has a line for each claim, with what was measured', async () => {
  const config = composeConfig(normalMeans, { preset: 'tiny' })
  const run = loadRun((await executeRun(normalMeans, config, { root })).folder)
  const [part] = measuredMarkdown([run], [normalMeans])
  expect(part!.experiment).toBe('normal-means')
  for (const { claim, measured, error } of run.summary.claims)
    expect(part!.text).toContain(`| ${claim} | ${formatMeasured(measured, error)} |`)
  expect(part!.text.split('\n')[0]).toMatch(
    /^normal-means · preset tiny · seed 0 · run \w{12}\. \d of 2 claims hold/,
  )

  const page = join(root, 'page.md')
  writeFileSync(page, 'before\n<!-- measured -->\nold\n<!-- /measured -->\nafter\n')
  putMeasured(page, part!.text)
  putMeasured(page, part!.text)
  expect(readFileSync(page, 'utf8')).toBe(
    `before\n<!-- measured -->\n\n${part!.text}\n\n<!-- /measured -->\nafter\n`,
  )
  writeFileSync(page, 'nothing')
  expect(() => putMeasured(page, 'x')).toThrow(/page\.md: expected a part between <!-- measured -->/)
})
