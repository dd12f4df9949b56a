/** @file A self-signed certificate for 127.0.0.1, written in DER by hand, so that no key lies in the repository. */
import { generateKeyPairSync, sign } from 'node:crypto'

const der = (tag: number, ...parts: (Uint8Array | number[])[]): Buffer => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)))
  const { length } = body
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), body])
}
const sequence = (...parts: Buffer[]) => der(0x30, ...parts)
const time = (offsetDays: number) =>
  der(
    0x17,
    Buffer.from(
      `${new Date(Date.now() + offsetDays * 864e5)
        .toISOString()
        .replace(/[-:T]|\.\d+/g, '')
        .slice(2)}`,
    ),
  )

/** PEM texts of a fresh key and its certificate (X.509 v3, ECDSA with SHA-256, valid from yesterday to tomorrow). */
export function selfSigned(): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ecdsaWithSha256 = sequence(der(0x06, [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]))
  const commonName = sequence(der(0x06, [0x55, 0x04, 0x03]), der(0x0c, Buffer.from('treeline test')))
  const name = sequence(der(0x31, commonName))
  const subjectAltName = sequence(
    der(0x06, [0x55, 0x1d, 0x11]),
    der(0x04, sequence(der(0x87, [127, 0, 0, 1]))),
  )
  const body = sequence(
    der(0xa0, der(0x02, [2])),
    der(0x02, [1]),
    ecdsaWithSha256,
    name,
    sequence(time(-1), time(1)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(subjectAltName)),
  )
  const certificate = sequence(body, ecdsaWithSha256, der(0x03, [0], sign('sha256', body, privateKey)))
  const lines = certificate.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  }
}
