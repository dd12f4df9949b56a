/** @file Shell completion, as bash itself carries it out. */
import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { treeline } from './caught.ts'

/** What bash offers for the last of these words. */
async function offered(...words: string[]): Promise<string[]> {
  const { code, out } = await treeline('completion', 'bash')
  expect(code).toBe(0)
  const all = ['treeline', ...words].map((word) => `'${word}'`).join(' ')
  const ask = `COMP_WORDS=(${all}); COMP_CWORD=${words.length}; _treeline; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', `${out}\n${ask}`], { encoding: 'utf8' })
  expect(stderr).toBe('')
  return stdout.split('\n').filter(Boolean)
}

describe('bash', () => {
  it.each([
    [['mer'], ['merge']],
    [
      ['data', ''],
      ['list', 'get'],
    ],
    [['run', 'token'], ['token-correlations']],
    [['run', 'digits', '--pre'], ['--preset']],
    [
      ['chat', 'model.gguf', '--precision', 'q'],
      ['q4', 'q8'],
    ],
    [['grammar', 'in'], ['infer']],
    [
      ['schema', ''],
      ['merge', 'sweep'],
    ],
    // a file, then: the shell's own completion
    [['inspect', ''], []],
    [['merge', 'merge.yaml', 'out', '--seed', ''], []],
  ])('%j', async (words, expected) => {
    const words2 = await offered(...words)
    expect(words2).toEqual(expect.arrayContaining(expected))
    if (expected.length === 0) expect(words2).toEqual([])
  })

  it('knows every command, and --help everywhere', async () => {
    const { out } = await treeline('--help')
    const commands = [...out.matchAll(/^ {2}([a-z]+) /gm)]
      .map(([, name]) => name!)
      .filter((name) => name !== 'help')
    expect(commands.length).toBeGreaterThan(20)
    const known = await offered('')
    for (const command of commands.filter((name) => !name.startsWith('treeline'))) {
      expect(known).toContain(command)
      expect(await offered(command, '--h'), command).toContain('--help')
    }
  })
})

describe('the others', () => {
  it('zsh loads the script of bash, fish has a line for each command and option', async () => {
    const [bash, zsh, fish] = await Promise.all(
      ['bash', 'zsh', 'fish'].map(async (shell) => (await treeline('completion', shell)).out),
    )
    expect(zsh).toBe(`#compdef treeline\nautoload -U +X bashcompinit && bashcompinit\n${bash}`)
    expect(fish).toMatch(/^complete -c treeline -f -n '.*' -a merge -d '.*'$/m)
    expect(fish).toMatch(
      /^complete -c treeline -n '.*__fish_seen_subcommand_from chat.*' -l precision -x -a '.*f32.*' -d/m,
    )
  })

  it('another shell is refused with the list', async () => {
    const { code, err } = await treeline('completion', 'powershell')
    expect(code).toBe(2)
    expect(err).toContain('bash, zsh, fish')
  })
})
