/** @file Progress: what a terminal sees, what a log file gets, and that quiet is quiet. */
import pc from 'picocolors'
import { describe, expect, it, vi } from 'vitest'
import { bar, makeDisplay, timeLeft } from '../../src/cli/progress.ts'

function recorder(terminal: boolean) {
  const written: string[] = []
  const io = {
    out: () => {},
    err: (text: string) => void written.push(text),
    terminal,
    columns: () => 80,
    colors: pc.createColors(false),
    env: {},
  }
  return { io, written }
}

describe('progress', () => {
  it('estimates the time left from the pace since the first update', () => {
    expect(timeLeft({ at: 0, done: 0 }, 1000, { done: 10, total: 100 })).toBeCloseTo(9)
    // resumed at 50: what was done before is no pace
    expect(timeLeft({ at: 0, done: 50 }, 1000, { done: 60, total: 100 })).toBeCloseTo(4)
    expect(timeLeft({ at: 0, done: 5 }, 1000, { done: 5, total: 100 })).toBeUndefined()
  })

  it('draws bars of constant width', () => {
    for (const share of [-1, 0, 0.31, 1, 2]) {
      const { filled, empty } = bar(share, 10)
      expect(filled.length + empty.length).toBe(10)
    }
    expect(bar(0.5, 10).filled).toBe('━'.repeat(5))
  })

  it('renews one line on a terminal, never wider than it', () => {
    const { io, written } = recorder(true)
    const display = makeDisplay('digits', io)
    display.update({ done: 1, total: 2, detail: `loss ${'0'.repeat(200)}` })
    display.line('a message')
    display.update({ done: 2, total: 2, detail: 'done' })
    display.end()
    expect(written[0]).toContain('digits')
    expect(written[0]).toContain('50 %')
    for (const text of written) {
      const visible = text.replace(/\r|\u001b\[2K/g, '')
      for (const line of visible.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
    }
    expect(written[1]).toMatch(/a message\n.*digits/)
    expect(written.at(-1)).toBe('\r\u001b[2K')
    expect(written.join('').split('\n')).toHaveLength(2)
  })

  it('begins anew with a new phase', () => {
    const { io, written } = recorder(false)
    const display = makeDisplay('digits', io)
    for (const total of [100, 700]) for (let done = 0; done <= total; done++) display.update({ done, total })
    expect(written.filter((line) => line.includes(' 0 %'))).toHaveLength(2)
  })

  it('is never silent for longer than the heartbeat, while the work says nothing', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
    try {
      for (const terminal of [true, false]) {
        const { io, written } = recorder(terminal)
        const display = makeDisplay('tour', io, { heartbeat: 4 })
        display.update({ done: 1, total: 10, detail: 'first job', secondsLeft: 90 })
        const [before, begun] = [written.length, performance.now()]
        vi.advanceTimersByTime(20_000)
        expect(performance.now() - begun).toBe(20_000)
        expect(written.length - before).toBeGreaterThanOrEqual(terminal ? 19 : 4)
        expect(written.at(-1)).toContain('1 min 30 s left')
        display.end()
        const after = written.length
        vi.advanceTimersByTime(20_000)
        expect(written).toHaveLength(after)
      }
    } finally {
      vi.useRealTimers()
    }
  })

  it('writes few plain lines elsewhere, and none when quiet', () => {
    const { io, written } = recorder(false)
    const display = makeDisplay('digits', io)
    for (let done = 0; done <= 1000; done++) display.update({ done, total: 1000 })
    expect(written.length).toBeGreaterThanOrEqual(2)
    expect(written.length).toBeLessThanOrEqual(11)
    expect(written.at(-1)).toContain('digits: 100 %')
    const silent = recorder(false)
    const quiet = makeDisplay('digits', silent.io, true)
    quiet.update({ done: 1, total: 1 })
    quiet.line('x')
    expect(silent.written).toEqual([])
  })
})
