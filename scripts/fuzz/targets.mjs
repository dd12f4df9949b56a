/** @file Every parser of files that people bring, with whole files to begin from and a way to give it bytes. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse as parseYaml } from 'yaml'
import { fail } from '../../dist/base/errors.js'
import { isObject, parseJson, parseRecords } from '../../dist/base/json.js'
import {
  encodeGguf,
  encodeSafetensors,
  openAdapter,
  openCheckpoint,
  readSafetensors,
} from '../../dist/checkpoint/index.js'
import { decodePicture, readIdx } from '../../dist/data/index.js'
import { parseFacts } from '../../dist/edit/index.js'
import { findExperiment } from '../../dist/experiments/index.js'
import { parseRelation } from '../../dist/experiments/tasks/relationFile.js'
import {
  evidenceFromText,
  grammarFromText,
  grammarToText,
  makeGrammar,
  stringsFromText,
} from '../../dist/grammar/index.js'
import { curveRowsOf, gatherCurves } from '../../dist/lab/index.js'
import { makeJob, parseJob } from '../../dist/lab/remote/job.js'
import { labelsOf, parseIndex, readRecord, selectRuns } from '../../dist/lab/runs/index.js'
import { readSweepFile } from '../../dist/lab/sweep/sweepFile.js'
import { readConfig } from '../../dist/lm/config.js'
import { loadTokenizer } from '../../dist/lm/index.js'
import { parseMergeConfig } from '../../dist/merge/index.js'
import { random } from '../../dist/tensor/index.js'
import { chatTemplate } from '../../dist/tokenizer/chat.js'
import { clipShape, siglipShape } from '../../dist/vision/clip/config.js'
import { preprocessor } from '../../dist/vision/preprocess.js'
import { tilePreprocessor } from '../../dist/vision/tiles.js'
import { visionLanguageConfig } from '../../dist/vlm/config.js'
import {
  addAnnotations,
  captionRecord,
  mentionFinder,
  objectWords,
  popeRecord,
} from '../../dist/vlm/index.js'
import { byteLevel, config, prepended, weights } from './seeds.mjs'

const fixture = (name) => readFileSync(fileURLToPath(new URL(`../../test/fixtures/${name}`, import.meta.url)))
const json = (value) => Buffer.from(JSON.stringify(value))
const text = (bytes) => bytes.toString('utf8')

/** The object in a configuration, as readers of folders take it. */
function objectIn(source) {
  const value = parseJson(source, 'file')
  return isObject(value) ? value : fail('TL_BAD_FILE', 'file: expected a JSON object')
}

/** Everything a reader does with weights: names, shapes, the values of a few tensors. */
function readAll(path) {
  const checkpoint = openCheckpoint(path)
  try {
    let left = 6
    for (const tensor of checkpoint.tensors.values()) {
      if (left-- === 0) break
      try {
        tensor.f32()
      } catch (error) {
        // types without number values are copied as they are
        if (error?.code !== 'TL_UNSUPPORTED') throw error
        tensor.bytes()
      }
    }
  } finally {
    checkpoint.close()
  }
}

/** A format of weights: seeds, and a file of this name. */
const weightFile = (name, file, seeds) => ({
  name,
  kind: 'bytes',
  async prepare(folder) {
    const path = join(folder, file)
    return {
      seeds: seeds(),
      parse(bytes) {
        writeFileSync(path, bytes)
        readAll(path)
      },
    }
  },
})

const textTarget = (name, kind, seeds, parse) => ({
  name,
  kind,
  async prepare(folder) {
    const made = seeds()
    return {
      seeds:
        kind === 'yaml'
          ? Object.assign(made, { trees: made.map((one) => JSON.stringify(parseYaml(text(one)))) })
          : made,
      parse: (bytes) => parse(text(bytes), folder),
    }
  },
})

/** A GGUF file with a tokenizer; its numbers are those of the tiny model. */
function ggufModel() {
  const tokens = [...Object.keys(byteLevel.model.vocab).slice(0, 256), '<|end|>', 'th', 'the']
  const fields = {
    'general.architecture': 'llama',
    'llama.block_count': 1,
    'llama.context_length': 64,
    'llama.embedding_length': 16,
    'llama.feed_forward_length': 32,
    'llama.attention.head_count': 2,
    'llama.attention.head_count_kv': 1,
    'llama.attention.layer_norm_rms_epsilon': 1e-5,
    'llama.rope.freq_base': 10000,
    'llama.rope.scaling.type': 'linear',
    'llama.rope.scaling.factor': 2,
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': tokens.map((_, id) => (id === 256 ? 3 : 1)),
    'tokenizer.ggml.merges': ['t h', 'th e'],
    'tokenizer.ggml.eos_token_id': 256,
    'tokenizer.chat_template': '{% for m in messages %}{{ m.content }}{% endfor %}',
  }
  const vectors = {
    'token_embd.weight': [259, 16],
    'output_norm.weight': [16],
    'blk.0.attn_q.weight': [16, 16],
  }
  const tensors = Object.entries(vectors).map(([name, shape]) => ({
    name,
    dtype: 'F32',
    shape,
    values: new Float32Array(shape.reduce((a, b) => a * b, 1)),
  }))
  return { fields, tensors }
}

const messages = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Hi.' },
  { role: 'assistant', content: 'Hello.' },
  { role: 'user', content: 'Who?' },
]

const grammar = makeGrammar({ v: 4, classes: 3, m: 2, s: 2, L: 2 }, random.key(1))

export const targets = [
  weightFile('safetensors', 'model.safetensors', () => [
    fixture('python.safetensors'),
    Buffer.from(
      encodeSafetensors(
        {
          a: { dtype: 'F32', shape: [2, 3], data: new Float32Array(6) },
          b: { dtype: 'I64', shape: [], data: new BigInt64Array(1) },
        },
        { format: 'pt' },
      ),
    ),
  ]),
  weightFile('gguf', 'model.gguf', () => [fixture('gguf.gguf')]),
  weightFile('pytorch', 'model.pt', () => [fixture('pytorch.pt'), fixture('pytorch-repacked.pt')]),
  weightFile('npy', 'array.npy', () => [fixture('numpy-fortran.npy'), fixture('numpy-object.npy')]),
  weightFile('npz', 'arrays.npz', () => [fixture('numpy.npz'), fixture('numpy-packed.npz')]),
  weightFile('any name', 'sha256-0123', () => [
    fixture('python.safetensors'),
    fixture('gguf.gguf'),
    fixture('pytorch.pt'),
    fixture('numpy.npz'),
    fixture('numpy-fortran.npy'),
  ]),
  {
    name: 'gguf model',
    kind: 'bytes',
    async prepare(folder) {
      const { fields, tensors } = ggufModel()
      const path = join(folder, 'model.gguf')
      return {
        seeds: [Buffer.from(encodeGguf(tensors, fields))],
        parse(bytes) {
          writeFileSync(path, bytes)
          const checkpoint = openCheckpoint(path)
          try {
            readConfig(path, checkpoint)
          } finally {
            checkpoint.close()
          }
          const tokenizer = loadTokenizer(path)
          tokenizer.decode(tokenizer.encode('the 12 apples, é\n'))
        },
      }
    },
  },
  {
    name: 'config.json',
    kind: 'json',
    async prepare(folder) {
      writeFileSync(join(folder, 'model.safetensors'), weights())
      const checkpoint = openCheckpoint(folder)
      return {
        seeds: [
          json(config),
          json({ ...config, model_type: 'gpt2', n_embd: 16, n_layer: 1, n_head: 2, n_positions: 64 }),
        ],
        parse(bytes) {
          writeFileSync(join(folder, 'config.json'), bytes)
          readConfig(folder, checkpoint)
        },
      }
    },
  },
  {
    name: 'tokenizer.json',
    kind: 'json',
    async prepare(folder) {
      return {
        seeds: [json(byteLevel), json(prepended)],
        parse(bytes) {
          writeFileSync(join(folder, 'tokenizer.json'), bytes)
          const tokenizer = loadTokenizer(folder)
          tokenizer.decode(tokenizer.encode('the ab 12 apples,  é\n'))
        },
      }
    },
  },
  {
    name: 'shard index',
    kind: 'json',
    async prepare(folder) {
      writeFileSync(join(folder, 'model-00001-of-00001.safetensors'), weights())
      return {
        seeds: [
          json({
            metadata: { total_size: 100 },
            weight_map: { 'model.norm.weight': 'model-00001-of-00001.safetensors' },
          }),
        ],
        parse(bytes) {
          writeFileSync(join(folder, 'model.safetensors.index.json'), bytes)
          readAll(folder)
        },
      }
    },
  },
  {
    name: 'adapter_config.json',
    kind: 'json',
    async prepare(folder) {
      const name = 'base_model.model.model.layers.0.self_attn.q_proj.'
      const factor = (...shape) => ({ dtype: 'F32', shape, data: new Float32Array(16) })
      writeFileSync(
        join(folder, 'adapter_model.safetensors'),
        encodeSafetensors({
          [`${name}lora_A.weight`]: factor(1, 16),
          [`${name}lora_B.weight`]: factor(16, 1),
        }),
      )
      return {
        seeds: [
          json({
            peft_type: 'LORA',
            r: 1,
            lora_alpha: 2,
            target_modules: ['q_proj'],
            rank_pattern: { q_proj: 1 },
            alpha_pattern: {},
            use_rslora: false,
            init_lora_weights: true,
            bias: 'none',
          }),
        ],
        parse(bytes) {
          writeFileSync(join(folder, 'adapter_config.json'), bytes)
          openAdapter(folder).close?.()
        },
      }
    },
  },
  textTarget(
    'chat template',
    'text',
    () => {
      const all = JSON.parse(text(fixture('chat-templates.json')))
      return Object.values(all).map((one) =>
        Buffer.from(typeof one === 'string' ? one : (one.template ?? JSON.stringify(one))),
      )
    },
    (source) => void chatTemplate(source, { bos_token: '<s>', eos_token: '</s>' }, 'template')(messages),
  ),
  textTarget(
    'merge configuration',
    'yaml',
    () => JSON.parse(text(fixture('merge-configs.json'))).cases.map(({ yaml }) => Buffer.from(yaml)),
    (source) => void parseMergeConfig(source, 'merge.yaml'),
  ),
  textTarget(
    'sweep file',
    'yaml',
    () =>
      [
        'experiment: digits\npreset: quick\nset: { epochs: 1, dropout: 0.1 }\ngrid:\n  batchSize: [32, 64]\nrepeat: 3\nfilter: batchSize * 2 <= 128\n',
        '- experiment: clustering\n  zip: { grammars: [1, 2], most: [64, 128] }\n  repeat: [1, 5]\n- experiment: phase-transition\n  grid: { seed: [1, 2] }\n',
      ].map((one) => Buffer.from(one)),
    async (source, folder) => {
      mkdirSync(folder, { recursive: true })
      const path = join(folder, 'sweep.yaml')
      writeFileSync(path, source)
      // a module of one's own is code, not a file to parse
      await readSweepFile(path, findExperiment).catch((error) => {
        if (!/\.[cm]?[jt]s\b/.test(error.message)) throw error
      })
    },
  ),
  textTarget(
    'job of a queue',
    'json',
    () => [
      json(
        makeJob({
          treeline: '0.1.0',
          experiment: 'digits',
          version: 1,
          threads: 1,
          seconds: null,
          work: { kind: 'cell', config: { seed: 1 }, cell: { m: 2 }, replica: 0 },
        }),
      ),
    ],
    (source) => void parseJob(parseJson(source, 'file')),
  ),
  textTarget(
    'run folder',
    'json',
    () => [
      json({
        experiment: 'digits',
        version: 1,
        hash: 'abc',
        config: { seed: 1, sizes: [1], noise: { on: true } },
      }),
    ],
    (source, folder) => {
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, 'config.json'), source)
      parseIndex(Buffer.from(source))
      const runs = [readRecord(folder)]
      labelsOf(runs)
      selectRuns(runs, 'state == "waiting"')
    },
  ),
  textTarget(
    'grammar',
    'json',
    () => [Buffer.from(grammarToText(grammar))],
    (source) => void grammarFromText(source),
  ),
  textTarget(
    'evidence',
    'json',
    () => [
      json({ tokens: [3, null, 0, 1] }),
      json([{ likelihood: Array.from({ length: 4 }, () => [1, 0.5, 0, 2]) }]),
    ],
    (source) => void evidenceFromText(grammar, source),
  ),
  textTarget(
    'strings',
    'json',
    () => [
      json({
        strings: [
          [0, 1, 2, 3],
          [3, 3, 3, 3],
        ],
      }),
      json([0, 1, 2, 3]),
    ],
    (source) => void stringsFromText(grammar, source),
  ),
  textTarget(
    'facts',
    'json',
    () => [
      json([{ prompt: 'Port Alder lies in', target: 'Norway', subject: 'Port Alder' }]),
      json([
        {
          subject: 'Port Alder',
          src: 'Where does Port Alder lie?',
          rephrase: 'And where?',
          alt: 'Norway',
          loc: 'nq question: who',
          loc_ans: 'me',
          answers: ['Chile'],
        },
      ]),
      json([
        {
          case_id: 1,
          requested_rewrite: {
            prompt: '{} lies in',
            subject: 'Port Alder',
            target_new: { str: 'Norway' },
            target_true: { str: 'Chile' },
          },
          paraphrase_prompts: ['Port Alder is in'],
          neighborhood_prompts: ['Oslo is in'],
        },
      ]),
      json([
        {
          subject: 'Port Alder',
          prompt: 'The country of Port Alder is',
          target_new: 'Norway',
          ground_truth: [['Chile']],
          portability: { Reasoning: [{ prompt: 'x', ground_truth: [['y']] }] },
          locality: { Relation_Specificity: [{ prompt: 'z', ground_truth: [['w']] }] },
        },
      ]),
    ],
    (source) => void parseFacts(source, 'facts.json'),
  ),
  textTarget(
    'relations',
    'json',
    () => [
      json({ prompt_templates: ['{} plays the', 'x {}'], samples: [{ subject: 'Ana', object: 'harp' }] }),
    ],
    (source) => void parseRelation(source, 'plays.json'),
  ),
  textTarget(
    'JSON records',
    'json',
    () => [json([{ a: 1 }, { b: [2, 'x'] }]), Buffer.from('{"a":1}\n{"a":2}\n')],
    (source) => void parseRecords(source, 'records.json'),
  ),
  textTarget(
    'curves',
    'bytes',
    () => [
      Buffer.from('P,step,validationLoss,copies,seed\n32,10,2.5,0,0\n32,20,2.25,0.1,0\n64,10,2.75,,1\n'),
      Buffer.from('"a ""b"", c",P,step,validationLoss\r\nx,32,10,2.5\r\n,32,20,2.25\r\n'),
    ],
    (source) => void gatherCurves(curveRowsOf(source, 'curves.csv')),
  ),
  textTarget(
    'image towers',
    'json',
    () => ['openai', 'laion', 'siglip'].map((name) => fixture(`clip/${name}/config.json`)),
    (source) => {
      const value = objectIn(source)
      const read = value.model_type === 'clip' ? clipShape : siglipShape
      read(value, 'config.json')
    },
  ),
  textTarget(
    'preprocessing',
    'json',
    () => ['openai', 'siglip'].map((name) => fixture(`clip/${name}/preprocessor_config.json`)),
    (source) => {
      const picture = { height: 30, width: 20, channels: 3, data: new Uint8Array(1800).fill(9) }
      const numbers = preprocessor(objectIn(source), 'preprocessor_config.json', 24, 'clip').apply(picture)
      if (numbers.some(Number.isNaN)) throw new Error('a NaN')
    },
  ),
  textTarget(
    'annotations',
    'json',
    () => [
      json({
        images: [{ id: 1 }],
        categories: [{ id: 17, name: 'cat' }],
        annotations: [
          { image_id: 1, category_id: 17 },
          { image_id: 1, caption: 'two cats' },
        ],
      }),
    ],
    (source) => {
      const find = mentionFinder({ objects: { cat: [] } })
      addAnnotations(new Map(), parseJson(source, 'a.json'), 'a.json', { classes: new Set(['cat']), find })
    },
  ),
  textTarget(
    'captions and questions',
    'json',
    () => [
      json({ image_id: 1, caption: 'a cat', image: 'a.jpg', text: 'Is there a cat?', label: 'no' }),
      json({ image: 'x/COCO_val2014_000000000007.jpg', text: 'a dog', label: 'yes' }),
    ],
    (source) => {
      const value = parseJson(source, 'x')
      captionRecord(value, 'x')
      popeRecord(value, 'x')
    },
  ),
  textTarget(
    'words of classes',
    'json',
    () => [json({ cow: ['cattle', 'dairy cow'], 'hot dog': [] })],
    (source) => void mentionFinder({ objects: objectWords(parseJson(source, 'x'), 'x') })('a cow'),
  ),
  textTarget(
    'tiles',
    'json',
    () => [
      fixture('vlm/smolvlm/preprocessor_config.json'),
      json(JSON.parse(fixture('vlm/idefics3/processor_config.json')).image_processor),
    ],
    (source) => {
      const picture = { height: 30, width: 20, channels: 3, data: new Uint8Array(1800).fill(9) }
      const { rows, columns, tiles } = tilePreprocessor(objectIn(source), 'p.json', 24).apply(picture)
      if (tiles.length !== rows * columns + 1 || tiles.some((tile) => tile.some(Number.isNaN)))
        throw new Error('tiles that are none')
    },
  ),
  textTarget(
    'vision-language models',
    'json',
    () => ['llava', 'idefics3', 'smolvlm'].map((name) => fixture(`vlm/${name}/config.json`)),
    (source) => void visionLanguageConfig(objectIn(source), 'config.json'),
  ),
  {
    name: 'idx',
    kind: 'bytes',
    async prepare() {
      const seed = Buffer.alloc(4 + 12 + 24)
      seed.set([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4])
      return { seeds: [seed], parse: (bytes) => void readIdx(bytes) }
    },
  },
  {
    name: 'pictures',
    kind: 'bytes',
    async prepare() {
      const path = fileURLToPath(new URL('../../test/fixtures/pictures.safetensors', import.meta.url))
      const seeds = [...readSafetensors(path).tensors].flatMap(([name, { data }]) =>
        /^file\/.*(jpg|png)$/.test(name) ? [Buffer.from(data)] : [],
      )
      // a picture of few bytes may be of many pixels
      return { seeds, parse: (bytes) => void decodePicture(bytes, 'picture', { maxPixels: 10_000 }) }
    },
  },
]
