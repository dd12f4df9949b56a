/** `treeline merge --search`: scores from commands, as shells and people write them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { writeSafetensors } from '../../src/checkpoint/index.ts'
import { fillCommand, lastNumber, scoreByCommand } from '../../src/cli/scoreCommand.ts'
import { treeline } from './caught.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline search-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (name: string): string => join(root, name)
for (const [name, value] of [
  ['a', 0],
  ['b', 1],
] as const)
  writeSafetensors(at(`${name}.safetensors`), {
    'layers.0.w': { dtype: 'F32', shape: [1], data: Float32Array.of(value) },
  })
writeFileSync(
  at('m.yaml'),
  `merge_method: slerp\nbase_model: "${at('a.safetensors')}"\nmodels: [{model: "${at('b.safetensors')}"}]\n`,
)
/** Prints the model's only value, which is `t`. */
writeFileSync(
  at('eval.mjs'),
  `import { readFileSync } from 'node:fs'
const file = readFileSync(process.argv[2] + '/model.safetensors')
console.error('looking at', process.argv[2])
console.log('epoch 3: value =', file.readFloatLE(file.length - 4))
`,
)
const command = `node '${at('eval.mjs')}' {model}`
const search = (...more: string[]) => treeline('merge', at('m.yaml'), ...more)

describe('the last number of an output', () => {
  it.each([
    ['0.5\n', 0.5],
    ['accuracy: 84.2 %', 84.2],
    ['accuracy: 84.2%\n', 84.2],
    ['loss=1e-3', 0.001],
    ['{"score": -2.5}', -2.5],
    ['epoch 3\nval 0.25.\ndone in 12.3ms (v2)', 0.25],
    ['\u001b[32m.75\u001b[0m', 0.75],
    ['1\nnan', Number.NaN],
    ['-inf', Number.NaN],
    ['none', undefined],
    ['', undefined],
  ])('%j', (text, value) => {
    expect(lastNumber(text)).toBe(value)
  })
})

describe('the command', () => {
  it('gets the path whatever quotes are around it', async () => {
    const path = `${root}/a "b" $c \\d 'e'`
    process.env['TREELINE_TEST_PATH'] = path
    for (const around of [
      '{model}',
      '"{model}"',
      "'{model}'",
      'x{model}',
      '"x{model}"',
      '"$(printf %s {model})"',
    ])
      expect(
        await scoreByCommand(
          `test ${around} = "${around.includes('x') ? 'x' : ''}$TREELINE_TEST_PATH" && echo 1`,
          path,
        ),
        around,
      ).toBe(1)
    expect(fillCommand('a {model} "{model}"', '/tmp/x')).toBe('a /tmp/x "/tmp/x"')
  })

  it.each([
    ['echo nothing here', /exit code 0, but without a number; it printed "nothing here"/],
    ['echo nan', /last number is not finite; it printed "nan"/],
    ['echo 1; echo why >&2; exit 3', /exit code 3; it printed "1", and on standard error "why"/],
    ['treeline-no-such-program {model}', /the shell cannot run it \(exit 127\)/],
    ['kill -9 $$', /ended by SIGKILL; it printed nothing/],
  ])('%s', async (line, message) => {
    await expect(scoreByCommand(line, '/tmp')).rejects.toThrow(message)
  })

  it('is ended with its children when it takes too long, or is interrupted', async () => {
    const late = scoreByCommand('echo begun; sleep 60; echo 1', '/tmp', { timeout: 0.2 })
    await expect(late).rejects.toThrow(/longer than --timeout 0\.2 s; it printed "begun"/)
    const controller = new AbortController()
    const stopped = scoreByCommand('sleep 60; echo 1', '/tmp', {}, controller.signal)
    controller.abort()
    await expect(stopped).rejects.toMatchObject({ code: 'TL_INTERRUPTED' })
  })
})

describe('treeline merge --search', () => {
  it('one parameter: table, curve, model; a second run has nothing to do', async () => {
    const words = [at('one'), '--search', 't=0..1:0.25', '--score', command]
    const { code, out } = await search(...words)
    expect([code, out]).toEqual([0, expect.stringMatching(/\n\* +1 +1\n.*written with t=1, score 1/s)])
    expect(readFileSync(join(at('one'), 'search.svg'), 'utf8')).toMatch(
      /^<svg .*Score over t.*highest score, 1,/s,
    )
    const again = await search(...words, '--json', '--quiet')
    expect(JSON.parse(again.out)).toMatchObject({
      parameters: ['t'],
      reused: 5,
      best: { values: { t: 1 }, score: 1 },
    })
    expect((JSON.parse(again.out) as { candidates: unknown[] }).candidates).toHaveLength(5)
  })

  it('a failed candidate is told and recorded; --verbose shows what the command says', async () => {
    const failing = `${command} && test "$(cat {model}/mergekit_config.yml | grep -c 't: 0.5')" = 0`
    const { code, out, err } = await search(
      at('two'),
      '--search',
      't=0,0.5,1',
      '--score',
      failing,
      '--verbose',
      '--minimize',
    )
    expect([code, out]).toEqual([0, expect.stringContaining('written with t=0, score 0')])
    expect(err).toContain(
      't=0.5: failed: the score command ended with exit code 1; it printed "epoch 3: value = 0.70710',
    )
    expect(err).toContain('looking at')
    expect(readFileSync(join(at('two'), 'search.csv'), 'utf8')).toMatch(/\n0\.5,,[\d.]+,"the score command/)
  })

  it('--arithmetic dtype rounds every candidate, and the best, as a merge does', async () => {
    // 1 + 2⁻⁹ needs more bits than bfloat16 has
    for (const [name, value] of [
      ['zero', 0],
      ['one', 1],
      ['little', 2 ** -9],
    ] as const)
      writeSafetensors(at(`${name}.safetensors`), {
        'layers.0.w': { dtype: 'F32', shape: [1], data: Float32Array.of(value) },
      })
    const models = ['one', 'little'].map(
      (name) => `{model: "${at(`${name}.safetensors`)}", parameters: {weight: 1}}`,
    )
    const recipe = `merge_method: task_arithmetic\nbase_model: "${at('zero.safetensors')}"\nmodels: [${models.join(', ')}]\ndtype: bfloat16\nout_dtype: float32\n`
    writeFileSync(at('rounding.yaml'), recipe)
    for (const [arithmetic, score] of [
      ['float32', 1 + 2 ** -9],
      ['dtype', 1],
    ] as const) {
      const out = at(`rounded-${arithmetic}`)
      const { code } = await treeline(
        ...['merge', at('rounding.yaml'), out, '--search', 'lambda=0.5,1', '--score', command, '--quiet'],
        ...['--arithmetic', arithmetic],
      )
      expect(code).toBe(0)
      const rows = readFileSync(join(out, 'search.jsonl'), 'utf8').trimEnd().split('\n')
      const scores = rows.map((row) => (JSON.parse(row) as { score?: unknown }).score)
      // other lines say what the table is of, and which model was written
      expect(scores.filter((one) => typeof one === 'number')).toEqual([expect.any(Number), score])
      const file = readFileSync(join(out, 'model.safetensors'))
      expect(file.readFloatLE(file.length - 4)).toBe(score)
    }
  })

  it('--dry-run lists candidates and runs nothing', async () => {
    const { code, out } = await search(at('dry'), '--search', 't=0,1', '--dry-run')
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(
        /^2 candidates over t, each 1 tensors by slerp\n {2}t=0\n {2}t=1\nwarning: .* has no config\.json, so the output has none\n$/,
      ),
    ])
  })

  it.each([
    [['--search', 't=0,1'], /needs --score/],
    [['--score', 'x {model}'], /--score: only a search takes it/],
    [['--search', 't=0,1', '--score', 'x'], /no \{model\} in it/],
    [['--search', 'd=0,1', '--score', 'x {model}'], /slerp has no such parameter: did you mean "t"/],
    [['--search', 't=0,1', '--score', 'no-such-program {model}'], /the shell cannot run it/],
    [['--search', 't=0,1', '--score', 'x {model}', '--maximize', '--minimize'], /got both/],
  ])('%s is wrong usage, in one line', async (words, message) => {
    const { code, err } = await search(at('never'), '--quiet', ...words)
    expect([code, err.trimEnd().split('\n')]).toEqual([2, [expect.stringMatching(message)]])
  })
})
