/** @file PyTorch archives: agreement with torch, views of any strides, refusal of everything else by name, fuzz. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import { openCheckpoint } from '../../src/checkpoint/open.ts'
import { openPytorch, parsePytorch } from '../../src/checkpoint/pytorch/index.ts'

const fixture = (name: string) => new URL(`../fixtures/${name}`, import.meta.url).pathname
type Expected = {
  tensors: Record<string, { dtype: string; shape: number[]; hex: string }>
  values: Record<string, unknown>
  protocols: Record<string, string>
  lone: string
  legacy: string
  evil: Record<string, string>
  evilProtocol2: Record<string, string>
}
const expected = JSON.parse(readFileSync(fixture('pytorch.json'), 'utf8')) as Expected
const decode = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'treeline-pytorch-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function refusal(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(TreelineError)
    const { code, message } = error as TreelineError
    expect(message).not.toMatch(/\n/)
    return `${code} ${message}`
  }
  return expect.fail('nothing was thrown')
}

/** A zip archive of stored entries, made by hand. */
function zip(files: Record<string, Uint8Array | string>): Uint8Array {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const [name, content] of Object.entries(files)) {
    const data = Buffer.from(content)
    const local = Buffer.alloc(30 + name.length)
    local.writeUInt32LE(0x04034b50, 0)
    local.writeUInt32LE(data.length, 18)
    local.writeUInt32LE(data.length, 22)
    local.writeUInt16LE(name.length, 26)
    local.write(name, 30)
    const central = Buffer.alloc(46 + name.length)
    central.writeUInt32LE(0x02014b50, 0)
    central.writeUInt32LE(data.length, 20)
    central.writeUInt32LE(data.length, 24)
    central.writeUInt16LE(name.length, 28)
    central.writeUInt32LE(at, 42)
    central.write(name, 46)
    parts.push(local, data)
    directory.push(central)
    at += local.length + data.length
  }
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(directory.length, 8)
  end.writeUInt16LE(directory.length, 10)
  end.writeUInt32LE(
    directory.reduce((sum, entry) => sum + entry.length, 0),
    12,
  )
  end.writeUInt32LE(at, 16)
  return new Uint8Array(Buffer.concat([...parts, ...directory, end]))
}

/** An archive with this pickle, and numbers for one storage. */
const archive = (pickle: Uint8Array | string, numbers = new Uint8Array(16)) =>
  zip({
    'a/data.pkl': typeof pickle === 'string' ? Buffer.from(pickle, 'latin1') : pickle,
    'a/data/0': numbers,
  })

const text = (value: string) => `X${String.fromCharCode(value.length)}\0\0\0${value}`
const storage = (count: number, type = 'FloatStorage', key = '0') =>
  `(${text('storage')}ctorch\n${type}\n${text(key)}${text('cpu')}K${String.fromCharCode(count)}tQ`
const tuple = (values: number[]) => `(${values.map((value) => `I${value}\n`).join('')}t`
/** The pickle of a dict with one tensor `w`. */
const oneTensor = (shape: number[], strides: number[], offset = 0, store = storage(4)) =>
  `\x80\x02}${text('w')}ctorch._utils\n_rebuild_tensor_v2\n(${store}I${offset}\n${tuple(shape)}${tuple(strides)}\x89NtRs.`

describe('files of torch.save', () => {
  it.each(['pytorch.pt', 'pytorch-repacked.pt'])(
    '%s: every tensor, whatever its dtype and strides',
    (name) => {
      const file = openPytorch(fixture(name))
      expect(file.format).toBe('pytorch')
      expect([...file.tensors.keys()]).toEqual(Object.keys(expected.tensors))
      for (const [tensorName, { dtype, shape, hex: bytes }] of Object.entries(expected.tensors)) {
        const tensor = file.tensors.get(tensorName)!
        expect([tensorName, tensor.dtype, tensor.shape]).toEqual([tensorName, dtype, shape])
        expect([tensorName, hex(tensor.bytes())]).toEqual([tensorName, bytes])
        expect(tensor.byteLength).toBe(bytes.length / 2)
      }
      expect(file.metadata).toEqual(expected.values)
      file.close()
    },
  )

  it('give any element range of any view', () => {
    const file = openPytorch(fixture('pytorch.pt'))
    for (const [name, tensor] of file.tensors) {
      if (/C64|C128|FNUZ|E8M0/.test(tensor.dtype)) {
        expect(refusal(() => tensor.f32())).toMatch(/TL_UNSUPPORTED .*cannot be decoded, only copied/)
        continue
      }
      const whole = tensor.f32()
      for (let start = 0; start <= whole.length; start += 3)
        for (const count of [0, 1, 5, whole.length - start]) {
          if (start + count > whole.length) continue
          const part = tensor.f32(start, count)
          expect([name, start, count, part]).toEqual([name, start, count, whole.slice(start, start + count)])
        }
    }
    const { views, transposed } = {
      views: file.tensors.get('views.whole')!.f32(),
      transposed: file.tensors.get('views.transposed')!.f32(),
    }
    expect(transposed[4 * 5 + 3]).toBe(views[6 * 3 + 5])
    file.close()
  })

  it('are read in every protocol, with plain values beside the tensors', () => {
    for (const [protocol, base64] of Object.entries(expected.protocols)) {
      const { tensors, metadata } = parsePytorch(decode(base64), `protocol ${protocol}`)
      expect(tensors.get('w')!.f32()).toEqual(Float32Array.of(0, 3, 1, 4, 2, 5))
      expect(metadata).toEqual({ bytes: Uint8Array.of(0, 255), 'set.0': 7, n: -(2n ** 70n), 'size.0': 2 })
    }
    const lone = parsePytorch(decode(expected.lone)).tensors
    expect([...lone.keys()]).toEqual(['tensor'])
    expect(hex(lone.get('tensor')!.bytes())).toBe(expected.tensors['views.whole']!.hex)
  })
})

describe('openCheckpoint', () => {
  it('knows a PyTorch archive, and older ones, by their first bytes', () => {
    const file = openCheckpoint(fixture('pytorch.pt'))
    expect([file.format, file.tensors.size]).toEqual(['pytorch', Object.keys(expected.tensors).length])
    file.close()
    writeFileSync(join(folder, 'model.bin'), decode(expected.legacy))
    expect(refusal(() => openCheckpoint(folder))).toMatch(/TL_UNSUPPORTED .*from before 1\.6/)
  })
})

describe('pickles that ask for more than tensors', () => {
  it('are refused by name', () => {
    for (const [name, base64] of [
      ...Object.entries(expected.evil),
      ...Object.entries(expected.evilProtocol2),
    ]) {
      const message = refusal(() => parsePytorch(archive(decode(base64)), 'x.pt'))
      expect(message).toMatch(
        /^TL_UNSUPPORTED x\.pt: pickle asks for [\w.]+: refused; only tensors and plain containers/,
      )
      expect(message).toContain(`asks for ${name}: refused`)
    }
    const system = `\x80\x02cos\nsystem\n(${text('true')}tR.`
    expect(refusal(() => parsePytorch(archive(system)))).toContain('pickle asks for os.system: refused')
    expect(refusal(() => parsePytorch(archive(`(${text('true')}ios\nsystem\n.`)))).toContain(
      'asks for os.system',
    )
    const hidden = `\x80\x04${text('os')}${text('system')}\x93.`
    expect(refusal(() => parsePytorch(archive(hidden)))).toContain('asks for os.system')
    const shouting = 'c\u001b[31mos\nsystem\n.'
    expect(refusal(() => parsePytorch(archive(shouting)))).toContain('asks for "\\u001b[31mos.system"')
    // names that JavaScript objects have by themselves
    for (const name of ['__proto__', 'constructor', 'toString'])
      expect(refusal(() => parsePytorch(archive(`c${name}\n${name}\n.`)))).toContain(
        `asks for ${name}.${name}`,
      )
  })

  it('cannot call, build or index what is not meant for it', () => {
    const cases: [string, RegExp][] = [
      ['ctorch\nfloat32\n)R.', /calls torch\.float32: refused/],
      ['K\x01)R.', /calls what is no function: refused/],
      ['ctorch\nSize\n)R.', /torch\.Size of no tuple/],
      ['K\x01}b.', /gives attributes to what has none: refused/],
      ['ccollections\nOrderedDict\n(K\x01tR.', /a list expected/],
      ['K\x01K\x02s.', /wanted on an empty stack/],
      ['}(K\x01u.', /a key without a value/],
      ['](K\x01K\x02u.', /into something that is no dict/],
      ['h\x07.', /remembered value 7 was never stored/],
      ['.', /taken from an empty stack/],
      ['\x80\x09.', /a protocol above 5/],
      ['\xff.', /unknown opcode 0xff/],
      ['X\xff\xff\xff\xff.', /4294967295 bytes expected/],
      ['\x8b\xff\xff\xff\x7f.', /an integer of 2147483647 bytes/],
      ['}Q.', /a persistent id that names no storage/],
    ]
    for (const [pickle, message] of cases)
      expect(refusal(() => parsePytorch(archive(pickle)))).toMatch(message)
  })

  it('cannot loop or explode', () => {
    const itself = ']q\x00h\x00a.'
    expect(refusal(() => parsePytorch(archive(itself)))).toMatch(/contain themselves or each other too often/)
    // thirty levels of lists, each holding the one before twice
    let laughs = ']q\x00'
    for (let level = 1; level <= 30; level++)
      laughs += `](${`h${String.fromCharCode(level - 1)}`.repeat(2)}eq${String.fromCharCode(level)}`
    expect(refusal(() => parsePytorch(archive(`${laughs}.`)))).toMatch(/too often/)
    const encode = `c_codecs\nencode\nq\x00X\xe8\x03\0\0${'x'.repeat(1000)}q\x01${text('latin1')}q\x02`
    const again = `${encode}${'h\x00h\x01h\x02\x86R0'.repeat(100)}N.`
    expect(refusal(() => parsePytorch(archive(again)))).toMatch(/copies the same values again and again/)
  })
})

describe('tensors that do not fit', () => {
  it('are refused with what is wrong', () => {
    expect(
      parsePytorch(archive(oneTensor([2, 2], [2, 1])))
        .tensors.get('w')!
        .f32(),
    ).toEqual(new Float32Array(4))
    const cases: [string, RegExp][] = [
      [
        oneTensor([2, 2], [2, 1], 1),
        /tensor "w": shape \[2, 2\], strides \[2, 1\], offset 1 reach beyond its storage of 4/,
      ],
      [oneTensor([5], [1]), /reach beyond/],
      [oneTensor([2], [2 ** 50]), /reach beyond/],
      [oneTensor([2 ** 40], [0]), /expanded view of 1099511627776 elements on 4/],
      [oneTensor([2 ** 50, 2 ** 50], [0, 0]), /reach beyond|expanded/],
      [oneTensor([2], [-1]), /all integers >= 0/],
      [oneTensor([2], [1, 1]), /as many strides as sizes/],
      [oneTensor([2], [1], 0, storage(3)), /"a\/data\/0" has 16 bytes, its storage of 3 takes 12/],
      [oneTensor([2], [1], 0, storage(4, 'FloatStorage', '1')), /the archive has no "a\/data\/1"/],
      [oneTensor([2], [1], 0, storage(4, 'QInt8Storage')), /asks for torch\.QInt8Storage: refused/],
      [oneTensor([2], [1], 0, 'N'), /a damaged tensor/],
    ]
    for (const [pickle, message] of cases)
      expect(refusal(() => parsePytorch(archive(pickle)))).toMatch(message)
  })

  it('may be expanded within reason, and share their storage', () => {
    const tensor = parsePytorch(
      archive(oneTensor([3, 2], [0, 1], 1), new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer)),
    )
    expect(tensor.tensors.get('w')!.f32()).toEqual(Float32Array.of(2, 3, 2, 3, 2, 3))
  })
})

describe('other files', () => {
  it('are told apart', () => {
    expect(refusal(() => parsePytorch(decode(expected.legacy)))).toMatch(
      /TL_UNSUPPORTED .*format from before 1\.6, without a zip archive: open it in Python once/,
    )
    expect(refusal(() => parsePytorch(decode(expected.evil['posix.system']!)))).toMatch(/a bare pickle/)
    expect(refusal(() => parsePytorch(new Uint8Array(100)))).toMatch(/TL_BAD_FILE .*not a PyTorch checkpoint/)
    expect(refusal(() => parsePytorch(new Uint8Array(0)))).toMatch(/not a PyTorch checkpoint/)
    expect(refusal(() => parsePytorch(zip({ 'a/b': 'x' })))).toMatch(/0 files data\.pkl/)
    expect(refusal(() => parsePytorch(zip({ 'a/data.pkl': 'N.', 'b/data.pkl': 'N.' })))).toMatch(
      /2 files data\.pkl/,
    )
    expect(refusal(() => parsePytorch(zip({ 'a/data.pkl': 'N.', 'a/constants.pkl': '' })))).toMatch(
      /TorchScript/,
    )
    expect(refusal(() => parsePytorch(zip({ 'a/data.pkl': 'N.', 'a/byteorder': 'big' })))).toMatch(
      /byte order "big"/,
    )
    expect(refusal(() => openPytorch(join(folder, 'none.pt')))).toMatch(/TL_IO .*no such file/)
    const whole = readFileSync(fixture('pytorch.pt'))
    writeFileSync(join(folder, 'cut.pt'), whole.subarray(0, whole.length - 100))
    expect(refusal(() => openPytorch(join(folder, 'cut.pt')))).toMatch(
      /no end-of-directory record.*truncated/,
    )
  })

  it('are refused when the zip is damaged', () => {
    const good = zip({ 'a/data.pkl': 'N.', x: 'hello' })
    const directory = Buffer.from(good).readUInt32LE(good.length - 6)
    const damage = (edit: (bytes: Buffer) => void) => {
      const bytes = Buffer.from(good)
      edit(bytes)
      return refusal(() => parsePytorch(new Uint8Array(bytes)))
    }
    expect(damage((b) => b.writeUInt16LE(1, directory + 8))).toMatch(/TL_UNSUPPORTED .*is encrypted/)
    expect(damage((b) => b.writeUInt16LE(12, directory + 10))).toMatch(/TL_UNSUPPORTED .*method 12/)
    expect(damage((b) => b.writeUInt32LE(9, directory + 24))).toMatch(/TL_BAD_FILE .*its two sizes differ/)
    expect(damage((b) => b.writeUInt32LE(2 ** 31, directory + 42))).toMatch(/outside the file/)
    expect(damage((b) => b.writeUInt32LE(2 ** 31, b.length - 6))).toMatch(/directory lies outside the file/)
    const inflated = damage((b) => {
      b.writeUInt16LE(8, directory + 10)
      b.writeUInt32LE(2000, directory + 24)
    })
    expect(inflated).toMatch(/cannot be unpacked|what it unpacks to/)
  })
})

describe('mutated archives', () => {
  it('give a file or one clear error, 100,000 times, and never tensors that the file cannot hold', {
    timeout: 60_000,
  }, () => {
    const originals = [
      decode(expected.protocols['2']!),
      decode(expected.protocols['4']!),
      archive(oneTensor([2, 2], [2, 1])),
      zip({
        'a/data.pkl': Buffer.from(oneTensor([2, 2], [1, 2]), 'latin1'),
        'a/byteorder': 'little',
        'a/data/0': new Uint8Array(16),
      }),
    ]
    // where mutations matter: the pickle and the directory, not the numbers nor torch's padding
    const targets = originals.map((bytes) => {
      const end = bytes.length
      const places: number[] = []
      const pickle = Buffer.from(bytes).indexOf('\x80', 0, 'latin1')
      const stop = Buffer.from(bytes).indexOf('PK', pickle)
      const directory = Buffer.from(bytes).readUInt32LE(end - 6)
      for (let at = 0; at < 60; at++) places.push(at)
      for (let at = pickle; at < stop; at++) places.push(at)
      for (let at = directory; at < end; at++) places.push(at)
      return places
    })
    let state = 1
    const random = (limit: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return Math.floor((state / 2 ** 32) * limit)
    }
    const opcodes = Buffer.from(
      '(.012qrhjNJKMILGXUTC]laet)}dsucRbQio\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x93\x94',
      'latin1',
    )
    const messages = new Map<string, number>()
    Error.stackTraceLimit = 0
    for (let round = 0; round < 100_000; round++) {
      const which = round % originals.length
      const bytes = originals[which]!.slice(
        0,
        round % 10 === 0 ? random(originals[which]!.length) : undefined,
      )
      const places = targets[which]!
      for (let edit = 1 + random(3); edit > 0; edit--) {
        const value = [random(256), opcodes[random(opcodes.length)]!, 0xff, 0][random(4)]!
        const at = places[random(places.length)]!
        if (at < bytes.length) bytes[at] = value
      }
      try {
        const { tensors } = parsePytorch(bytes, 'f')
        for (const tensor of tensors.values()) {
          if (tensor.byteLength > 2 ** 24 * 16) expect.fail(`a tensor of ${tensor.byteLength} bytes`)
          if (tensor.byteLength < 10_000) tensor.bytes()
        }
        messages.set('read', (messages.get('read') ?? 0) + 1)
      } catch (error) {
        if (!(error instanceof TreelineError) || error.message.includes('\n')) throw error
        if (error.code !== 'TL_BAD_FILE' && error.code !== 'TL_UNSUPPORTED') throw error
        const kind = error.message.replace(/"(?:[^"\\]|\\.)*"|\d+/g, '#').slice(0, 60)
        messages.set(kind, (messages.get(kind) ?? 0) + 1)
      }
    }
    Error.stackTraceLimit = 10
    expect(messages.get('read')).toBeGreaterThan(1000)
    expect(messages.size).toBeGreaterThan(40)
  })
})
