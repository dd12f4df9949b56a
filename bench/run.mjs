/** @file `npm run bench -- NAME [options]`: one of the benchmarks below. */
import { denoising, usage as denoisingUsage } from './denoising.mjs'
import { diffusion, usage as diffusionUsage } from './diffusion.mjs'
import { edit, usage as editUsage } from './edit.mjs'
import { engine, usage as engineUsage } from './engine.mjs'
import { hierarchical, usage as hierarchicalUsage } from './hierarchical.mjs'
import { imagemodel, usage as imagemodelUsage } from './imageModel.mjs'
import { inference, usage as inferenceUsage } from './inference.mjs'
import { larger, usage as largerUsage } from './larger.mjs'
import { lasttoken, usage as lasttokenUsage } from './lasttoken.mjs'
import { linearized, usage as linearizedUsage } from './linearized.mjs'
import { lm, usage as lmUsage } from './lm.mjs'
import { masked, usage as maskedUsage } from './masked.mjs'
import { merge, usage as mergeUsage } from './merge.mjs'
import { profile, usage as profileUsage } from './profile.mjs'
import { questions, usage as questionsUsage } from './questions.mjs'
import { runtime, usage as runtimeUsage } from './runtime.mjs'

const benchmarks = {
  denoising,
  diffusion,
  edit,
  engine,
  hierarchical,
  imagemodel,
  inference,
  larger,
  lasttoken,
  linearized,
  lm,
  masked,
  merge,
  profile,
  questions,
  runtime,
}
const [name, ...args] = process.argv.slice(2)
const run = Object.hasOwn(benchmarks, name ?? '') ? benchmarks[name] : undefined
if (run) process.exitCode = await run(args)
else {
  const isHelp = name === '--help' || name === '-h'
  const names = Object.keys(benchmarks).join(', ')
  const complaint = `${name ? `unknown benchmark "${name}"` : 'which benchmark?'} expected ${names}\n\n`
  const text = `${isHelp ? '' : complaint}${denoisingUsage}\n\n${diffusionUsage}\n\n${editUsage}\n\n${engineUsage}\n\n${hierarchicalUsage}\n\n${imagemodelUsage}\n\n${inferenceUsage}\n\n${largerUsage}\n\n${lasttokenUsage}\n\n${linearizedUsage}\n\n${lmUsage}\n\n${maskedUsage}\n\n${mergeUsage}\n\n${profileUsage}\n\n${questionsUsage}\n\n${runtimeUsage}\n`
  ;(isHelp ? process.stdout : process.stderr).write(text)
  process.exitCode = isHelp ? 0 : 2
}
