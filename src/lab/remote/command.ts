/**
 * @file Any other scheduler by a template of the user's: `qsub -cwd -b y {command}`, `ssh host {command}`. What it prints first is
 * its name for the task. A command that is still running is at work; otherwise the user's question says so, or the task's beat.
 */
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fail } from '../../base/index.ts'
import { type Submission, taskBeat } from './book.ts'
import { listen, quoted } from './said.ts'
import type { Patience, Scheduler } from './scheduled.ts'

/** How to hand over a task, ask for it, end it. `{command}`, `{id}`, `{name}` stand for what they say. */
export interface Templates {
  readonly command: string
  /** Exit code 0 while the task waits or works: `qstat {id}` */
  readonly ask?: string
  /** `qdel {id}` */
  readonly cancel?: string
  /** Commands at once: for those that run as long as their task, as ssh does. */
  readonly parallel: number
}

/** Milliseconds after which a command that has not ended is one that runs as long as its task. */
const patience = 15_000
/** Milliseconds without a beat after which a task that had begun is gone. */
const silence = 120_000

/** A process of this machine is looked at often, a scheduler of others seldom. */
export const commandPatience: Patience = { look: 200, ask: 2000, askMost: 15_000, visible: 10_000 }

/** Throws TL_USAGE for a template that cannot work. */
export function checkTemplates({ command, ask, cancel }: Omit<Templates, 'parallel'>): void {
  const need = (flag: string, text: string, word: string): void => {
    if (!text.includes(word))
      fail(
        'TL_USAGE',
        `${flag} '${text}': expected ${word} in it, such as ${flag === '--command' ? "'qsub -cwd -b y {command}'" : "'qstat {id}'"}`,
      )
  }
  need('--command', command, '{command}')
  if (ask !== undefined) need('--command-ask', ask, '{id}')
  if (cancel !== undefined) need('--command-cancel', cancel, '{id}')
}

const filled = (template: string, words: Readonly<Record<string, string>>): string =>
  template.replace(/\{(command|id|name)\}/g, (all, name: string) => words[name] ?? all)

interface Running {
  readonly task: number
  readonly end: () => void
}

/** The scheduler. `program` starts Treeline on the other machine. */
export function commandScheduler(program: readonly string[], templates: Templates): Scheduler {
  const running = new Map<string, Running>()
  /** Commands that ran as long as their task, and have ended: so has the task. */
  const ended = new Set<string>()
  const beats = new Map<number, { text: string; at: number }>()
  const beatOf = (folder: string, task: number): string => {
    try {
      return readFileSync(taskBeat(folder, task), 'utf8')
    } catch {
      return ''
    }
  }
  /** By this machine's own clock: those of others may be hours away. */
  const isSilent = (folder: string, task: number): boolean => {
    const text = beatOf(folder, task)
    const before = beats.get(task)
    if (!before || before.text !== text) beats.set(task, { text, at: performance.now() })
    // not begun: it waits in a queue
    return text !== '' && performance.now() - beats.get(task)!.at > silence
  }
  const start = (folder: string, { name, from }: Submission): Promise<string> => {
    // quoted for the shell that reads the template; where it goes through a second one, quotes are doubled by the user
    const words = [...program, 'worker', folder, '--cwd', process.cwd(), '--task', String(from)]
      .map(quoted)
      .join(' ')
    mkdirSync(join(folder, 'said'), { recursive: true })
    const said = openSync(join(folder, 'said', `${name}.txt`), 'a')
    const child = spawn('/bin/sh', ['-c', filled(templates.command, { command: words, name })], {
      stdio: ['ignore', 'pipe', said],
      detached: true,
    })
    closeSync(said)
    let out = ''
    let isLasting = false
    child.stdout!.on('data', (chunk: Buffer) => {
      out = (out + chunk.toString()).slice(0, 4000)
    })
    child.unref()
    return new Promise((resolve, reject) => {
      const id = (): string => /[\w.@[\]-]*\d[\w.@[\]-]*/.exec(out)?.[0] ?? name
      const timer = setTimeout(() => resolve(name), patience)
      running.set(name, {
        task: from,
        end: () => {
          try {
            process.kill(-child.pid!, 'SIGTERM')
          } catch {
            // gone already
          }
        },
      })
      child.once('error', reject)
      child.once('exit', (code) => {
        running.delete(name)
        if (isLasting) ended.add(name)
        clearTimeout(timer)
        // a task that was stopped has more to do, which is no refusal
        if (code === 0 || beatOf(folder, from) !== '') resolve(id())
        else
          reject(
            new Error(
              `--command '${templates.command}' ended with exit code ${code}: ${
                readFileSync(join(folder, 'said', `${name}.txt`), 'utf8')
                  .trim()
                  .split('\n')
                  .at(-1) || out.trim()
              }`,
            ),
          )
      })
      // a command that runs as long as its task is known by its beat
      const look = setInterval(() => {
        if (beatOf(folder, from) === '') return
        clearInterval(look)
        clearTimeout(timer)
        isLasting = running.has(name)
        if (isLasting) resolve(name)
      }, 50)
      child.once('exit', () => clearInterval(look))
    })
  }
  return {
    name: 'command',
    most: async () => 1,
    room: () => running.size < templates.parallel,
    submit: start,
    async alive(folder, submissions) {
      const alive = new Set<number>()
      for (const { from, id, name } of submissions) {
        if (running.has(name)) alive.add(from)
        else if (ended.has(name)) continue
        else if (templates.ask !== undefined && id !== null && id !== name) {
          const { code } = await listen('/bin/sh', ['-c', filled(templates.ask, { id, name })])
          if (code === 0) alive.add(from)
        } else if (!isSilent(folder, from)) alive.add(from)
      }
      return alive
    },
    // its answer was lost with the program: its beat will tell
    find: async ({ name }) => name,
    async cancel(submissions) {
      for (const { name, id } of submissions) {
        running.get(name)?.end()
        if (templates.cancel !== undefined && id !== null && id !== name)
          await listen('/bin/sh', ['-c', filled(templates.cancel, { id, name })])
      }
    },
  }
}
