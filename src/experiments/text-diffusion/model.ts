/** @file The network of a finished run of `text-diffusion`, for other studies. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fail } from '../../base/index.ts'
import { cellFolder, loadRun } from '../../lab/index.ts'
import { loadParameters, type TransformerParameters } from '../../nn/index.ts'
import { random } from '../../tensor/index.ts'
import { type Config, config } from './config.ts'
import { type Corpus, readCorpus } from './corpus.ts'
import { modelFile, type Network, networkOf } from './measure.ts'

/** What a run was told, and its network after so many steps. */
export interface RunModel {
  readonly config: Config
  /** Changes with every other network. */
  readonly hash: string
  readonly step: number
  readonly path: string
}

/** Steps of which the folder of a run has networks. */
const stepsIn = (folder: string): number[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .map((name) => /^model-(\d+)\.safetensors$/.exec(name)?.[1])
        .filter((step) => step !== undefined)
        .map(Number)
        .sort((a, b) => a - b)
    : []

/**
 * Find the network of a run. `step` 0 is the last. Throws TL_BAD_CONFIG for a run of another experiment or a step without a network,
 * and what `loadRun` throws.
 */
export function findModel(folder: string, step: number): RunModel {
  const run = loadRun(folder)
  if (run.experiment !== 'text-diffusion')
    fail(
      'TL_BAD_CONFIG',
      `config.model: expected the folder of a run of text-diffusion, got one of ${run.experiment}`,
    )
  const own = cellFolder(folder, 0, 0)
  const steps = stepsIn(own)
  if (steps.length === 0)
    fail(
      'TL_BAD_CONFIG',
      `config.model: ${folder} has no network yet: expected cells/0-0/model-STEP.safetensors in it; finish that run first`,
    )
  const wanted = step === 0 ? steps.at(-1) : step
  if (wanted === undefined || !steps.includes(wanted))
    fail('TL_BAD_CONFIG', `config.step: ${folder} has networks of steps ${steps.join(', ')}, got ${step}`)
  return {
    ...{ config: config.parse(run.config), hash: run.hash },
    ...{ step: wanted, path: join(own, modelFile(wanted)) },
  }
}

/** Read it, with the text that it learned from. The text gives characters their numbers, so it must be as it was. */
export async function loadModel(
  found: RunModel,
): Promise<{ network: Network; parameters: TransformerParameters; corpus: Corpus }> {
  const corpus = await readCorpus(found.config)
  const network = networkOf(found.config, corpus.symbols.length, found.config.window)
  return { network, parameters: loadParameters(found.path, network.init(random.key(0))), corpus }
}
