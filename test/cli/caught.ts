/** @file The program in this process, with its streams caught. */
import pc from 'picocolors'
import { main } from '../../src/cli/program.ts'

export async function treeline(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', '']
  const code = await main(words, {
    out: (text) => (out += text),
    err: (text) => (err += text),
    terminal: false,
    columns: () => 80,
    colors: pc.createColors(false),
    env: {},
  })
  return { code, out, err }
}
