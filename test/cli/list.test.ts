/** @file `treeline list NAME`: every field, in the width of a terminal. */
import { expect, it } from 'vitest'
import { treeline } from './caught.ts'

it('list NAME fits the terminal, and says every field, what it accepts, and the presets', async () => {
  const names = JSON.parse((await treeline('list', '--json')).out).experiments
  for (const { name, config, presets } of names) {
    const { code, out } = await treeline('list', name)
    expect(code).toBe(0)
    for (const line of out.split('\n').slice(1)) expect(line.length, line).toBeLessThanOrEqual(80)
    expect(out).not.toMatch(/\S {3,}\S/)
    const text = out.replace(/\s+/g, '')
    for (const { field, accepts, default: value, description } of config)
      expect(text).toContain(
        `${field}=${JSON.stringify(value)}${[accepts, description].filter(Boolean).join(';')}`.replace(
          /\s+/g,
          '',
        ),
      )
    for (const preset of Object.keys(presets)) expect(out).toContain(`\n  ${preset}\n`)
  }
})
