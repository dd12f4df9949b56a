/** Plain notation is set as mathematics; words, units and names stay as they are. */
import fc from 'fast-check'
import { parseHTML } from 'linkedom'
import { describe, expect, it } from 'vitest'
import { textWidth } from '../../src/lab/figures/letters.ts'
import { mathHtml, mathPlain, mathSvg, typeset } from '../../src/lab/figures/mathText.ts'

/** `{x}` is italic, `^[…]` raised, `_[…]` lowered: expectations that can be read. */
const shown = (text: string): string =>
  mathHtml(text)
    .replaceAll('<i>', '{')
    .replaceAll('</i>', '}')
    .replaceAll('<sup>', '^[')
    .replaceAll('<sub>', '_[')
    .replaceAll(/<\/su[pb]>/g, ']')

describe('mathematics in HTML', () => {
  it.each([
    ['P* = 3.2 n_c·m^L', '{P}* = 3.2 {n}_[{c}]·{m}^[{L}]'],
    ['C(r) · r^a against r·|ε − ε*|^ν', '{C}({r}) · {r}^[{a}] against {r}·|{ε} − {ε}*|^[{ν}]'],
    ['F′(p*)^L', '{F}′({p}*)^[{L}]'],
    ['v m^(ℓ+1)/(1 − f)', '{v} {m}^[{ℓ}+1]/(1 − {f})'],
    ['τ_mem = 0.7', '{τ}_[mem] = 0.7'],
    ['ξ ~ |ε − ε*|^−ν', '{ξ} ~ |{ε} − {ε}*|^[−{ν}]'],
    ['ln N̄_ℓ, S_{2,1}, 10^5', 'ln {N̄}_[{ℓ}], {S}_[2,1], 10^[5]'],
    ['P ≤ P*_1/8, P*_ℓ and x′_i', '{P} ≤ {P}*_[1]/8, {P}*_[{ℓ}] and {x}′_[{i}]'],
    ['the paper fits a = 1', 'the paper fits {a} = 1'],
    ['the exponent a', 'the exponent {a}'],
    ['‖b − a‖ of ‖a‖', '‖{b} − {a}‖ of ‖{a}‖'],
    ['m=3 L=4', '{m}=3 {L}=4'],
  ])('%s', (text, expected) => expect(shown(text)).toBe(expected))

  it.each([
    'a grammar of a class. I see A tree',
    "the network’s weights, it is the network's",
    '3.4 s on 2 h, 19.7 k strings',
    'k-means, U-Net, e.g. i.e. f32 L4 28x28',
    'q_proj and input_ids, grammar.m=3',
    'caret ^ and under _ alone',
  ])('leaves alone: %s', (text) => expect(shown(text.replaceAll("'", '’'))).toBe(text.replaceAll("'", '’')))

  it('escapes, and keeps every letter', () => {
    expect(mathHtml('<bb> & m^L')).toBe('&lt;bb&gt; &amp; <i>m</i><sup><i>L</i></sup>')
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'aPmL^_*()<&ε 2s{}'.split('')) }), (text) => {
        const { document } = parseHTML(`<p>${mathHtml(text)}</p>`)
        const read = document.querySelector('p')!.textContent
        expect(read).toBe(mathPlain(text))
        expect(read.replaceAll(/[\^_(){}]/g, '')).toBe(text.replaceAll(/[\^_(){}]/g, ''))
      }),
    )
  })
})

describe('mathematics in SVG', () => {
  it('raises and lowers by shifts that add up to nothing', () => {
    expect(mathSvg('no more')).toBe('no more')
    const shifts = [
      ...mathSvg('n_c m^L s').matchAll(/<tspan(?: dy="([^"]*)em")?( font-size="0.74em")?/g),
    ].map(([, dy = '0', small]) => Number(dy) * (small ? 0.74 : 1))
    expect(shifts.filter((shift) => shift !== 0)).toHaveLength(4)
    expect(shifts.reduce((sum, shift) => sum + shift, 0)).toBeCloseTo(0, 2)
  })

  it('sets the texts of a picture once', () => {
    const once = typeset('<svg><text x="1">m^L &lt; 2</text><text>plain</text></svg>')
    expect(once).toContain('<text>plain</text>')
    expect(parseHTML(once).document.querySelector('text')!.textContent).toBe('mL < 2')
    expect(typeset(once)).toBe(once)
  })
})

it('a text is as wide as its letters', () => {
  // Inter: i is 242, m is 876 thousandths wide
  expect(textWidth('im', 10)).toBeCloseTo(11.18, 5)
  expect(textWidth('im', 10, true)).toBeGreaterThan(11.18)
  expect(textWidth('m^L')).toBeLessThan(textWidth('mL'))
  expect(textWidth('')).toBe(0)
})
