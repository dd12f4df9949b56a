/** @file The run: every part asks for its jobs, all are done together, what was measured is put into one record. */
import { pStar, upwardSlope } from '../../grammar/index.ts'
import { canonicalJson, type RunContext, runJobs } from '../../lab/index.ts'
import { type Comparison, measureAcceptance } from './acceptance.ts'
import { type ChannelResult, measureChannel } from './channelCurves.ts'
import { type Config, checkConfig } from './config.ts'
import { type Diagram, measureDiagram } from './diagram.ts'
import { type LostPhase, measureLost } from './lost.ts'
import { type MixtureResult, measureMixture } from './mixture.ts'
import { inRounds } from './rounds.ts'
import { type Survival, type SurvivalJob, task } from './survival.ts'
import { measureThreshold, type Threshold } from './thresholds.ts'

/** Everything measured, and the theory beside it. */
export interface Result {
  /** ε* of the config's own grammar: measured, its error, the closed form. */
  epsStar: number | null
  epsStarError: number | null
  epsStarTheory: number | null
  /** F′(p*): how much each level magnifies a distance from the transition; null without one. */
  magnification: number | null
  /** The config's own grammar first. */
  thresholds: Threshold[]
  /** The ε-process first. */
  channels: ChannelResult[]
  diagram: Diagram | null
  lost: LostPhase | null
  mixture: MixtureResult
  acceptance: Comparison[]
}

/** Multiplications of a job, about: what the bar weighs it with. */
const costOf = ({ noise, data, s, depth, v, m, rootOnly, channel }: SurvivalJob): number =>
  // equal messages of the ε-process are found once; the downward pass is as long as three upward ones
  noise.length * data * s ** depth * v * (m * (rootOnly ? 1 : 4) * (channel === 'epsilon' ? 0.5 : 1) + 8)

/** Do equal jobs once. */
async function distinct(
  jobs: readonly SurvivalJob[],
  run: (jobs: readonly SurvivalJob[]) => Promise<Survival[]>,
): Promise<Survival[]> {
  const names = jobs.map(canonicalJson)
  const first = new Map<string, SurvivalJob>()
  for (const [i, name] of names.entries()) if (!first.has(name)) first.set(name, jobs[i]!)
  const order = [...first.keys()]
  const results = await run([...first.values()])
  const found = new Map(order.map((name, i) => [name, results[i]!]))
  return names.map((name) => found.get(name)!)
}

type Parts = [ChannelResult[], Threshold[], Diagram | null, LostPhase | null, Comparison[]]

/** Carry out all parts, with whatever does the jobs. */
function measureParts(
  config: Config,
  execute: (jobs: readonly SurvivalJob[]) => Promise<Survival[]>,
): Promise<Parts> {
  const { others } = config
  const { v, m, s } = config.grammar
  const settings = [[v, m, s] as const, ...(config.thresholds.settings as [number, number, number][])]
  return inRounds<SurvivalJob, Survival, Parts>(
    (jobs) => distinct(jobs, execute),
    [
      (ask) =>
        Promise.all([
          measureChannel(config, 'epsilon', config, ask),
          ...[...new Set(others.channels)].map((name) => measureChannel(config, name, others, ask)),
        ]),
      (ask) => Promise.all(settings.map((setting) => measureThreshold(config, setting, ask))),
      (ask) => measureDiagram(config, ask),
      (ask) => measureLost(config, ask),
      (ask) => measureAcceptance(config, ask),
    ],
  )
}

const costOfAll = (jobs: readonly SurvivalJob[]): number => jobs.reduce((sum, job) => sum + costOf(job), 0)

/** Curves that fall as the measured ones do, only to know how many jobs will follow from them. */
const supposed = ({ noise, depth, rootOnly }: SurvivalJob): Survival => {
  const root = noise.map((at) => 1 / (1 + Math.exp(8 * depth * (at - 0.5))))
  return { levels: root.map((p) => new Array<number>(rootOnly ? 1 : depth + 1).fill(p)), prior: [...root] }
}

/** About the cost of all rounds of a run, before the first has said where to look closely. */
export async function expectedCost(config: Config): Promise<number> {
  let cost = 0
  await measureParts(config, async (jobs) => {
    cost += costOfAll(jobs)
    return jobs.map(supposed)
  })
  return cost
}

/** Measure all parts of the experiment. */
export async function measure(context: RunContext<Config>): Promise<Result> {
  const { config } = context
  checkConfig(config)
  const expected = await expectedCost(config)
  let before = 0
  const execute = async (jobs: readonly SurvivalJob[]): Promise<Survival[]> => {
    const results = await runJobs<SurvivalJob, Survival>(
      {
        ...context,
        // one bar for all rounds
        progress: ({ done, detail }) =>
          context.progress({ done: before + done, total: Math.max(expected, before + done), detail }),
      },
      task,
      jobs,
      { cost: costOf, label: ({ channel, depth, m }) => `${channel} L=${depth} m=${m}` },
    )
    before += costOfAll(jobs)
    return results
  }
  const [channels, thresholds, diagram, lost, acceptance] = await measureParts(config, execute)
  const mixture = measureMixture(config)
  context.progress({ done: expected, total: expected })
  const own = thresholds[0]!
  const { v, m, s } = config.grammar
  const shape = { v, classes: v, m, s, L: 1 }
  const pointStar = pStar(shape)
  return {
    epsStar: own.measured.value,
    epsStarError: own.measured.error,
    epsStarTheory: own.theory,
    magnification: pointStar === undefined ? null : upwardSlope(shape, pointStar),
    thresholds,
    channels,
    diagram,
    lost,
    mixture,
    acceptance,
  }
}
