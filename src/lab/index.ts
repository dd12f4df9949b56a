/** @file The laboratory: experiments as data, runs as folders, reports as pages. */

export { type Json, prettyJson, toJson } from '../base/index.ts'
export { lockFolder, lockHolder } from '../base/lock.ts'
export { packageVersion } from '../base/version.ts'
export { parseWritten, readWritten, type WrittenFile } from '../base/written.ts'
export { canonicalJson, contentHash } from './canonical.ts'
export { type Cell, type Column, sortRuns, type Table, type TableOptions, tableOf } from './collect/table.ts'
export { checkTablePath, csvText, parquetBytes, writeTable } from './collect/write.ts'
export {
  type Assignment,
  assignmentsIn,
  type ConfigRequest,
  changedFields,
  completeConfig,
  composeConfig,
  configHash,
  configRows,
  fileAssignments,
  mergeConfig,
  reproduceCommand,
  resumeCommand,
  seedField,
} from './config.ts'
export type { Progress, RunContext, RunListeners } from './context.ts'
export {
  channelNames,
  type Derivation,
  derivationFigure,
  growDerivation,
  type Noise,
  type Posterior,
} from './derivation.ts'
export { executeRun, isInterruption, type RunOptions, type RunOutcome } from './execute.ts'
export {
  type AnyExperiment,
  type BaseConfig,
  type Conclusion,
  defineExperiment,
  type Experiment,
  type PartialConfig,
  type ReportTable,
  type RunGroup,
  type RunView,
  type Verdict,
} from './experiment.ts'
export { type ExportedRun, exportRun } from './exportRun.ts'
export * from './figures/index.ts'
export { groupRuns, type OverSeeds, overSeeds, varyingFields } from './groups.ts'
export { importExperiment, isModule } from './importExperiment.ts'
export { type JobsOptions, runJobs } from './jobs.ts'
export { experimentNamed, experimentOf } from './known.ts'
export { type Machine, thisMachine } from './machine.ts'
export { appendMetric, type Metric, readMetrics, truncateMetrics } from './metrics.ts'
export { carriedExecutor } from './remote/carried.ts'
export type { Carrier } from './remote/carrier.ts'
export { cellsAway } from './remote/cells.ts'
export { type AwayPlan, jobsOfStudy, type PlannedJob, planAway } from './remote/plan.ts'
export { type WorkerOptions, workQueue } from './remote/queueWorker.ts'
export { redisAddress } from './remote/redisAddress.ts'
export { slurmSeconds } from './remote/slurmTime.ts'
export { workTask } from './remote/task.ts'
export { measuredMarkdown, putMeasured } from './report/markdown.ts'
export { type ReportFiles, writeReport, writingReport } from './report/report.ts'
export {
  type ConfigFile,
  type FinishedRun,
  findRunFolders,
  isFinished,
  loadingRuns,
  loadRun,
  loadRuns,
  readConfigFile,
  runFolder,
  type Summary,
} from './runFolder.ts'
export { describeField, type FieldSchema, fieldSchema } from './schema.ts'
export {
  crossing,
  fallsBelow,
  geometricMean,
  mean,
  meanOf,
  powerOf,
  rootMean,
  shown,
  slopeOf,
  spreadOf,
} from './statistics.ts'
export * from './stopping/index.ts'
export * from './study/index.ts'
export { type CostEstimate, estimateCosts, wallSeconds, weights } from './sweep/cost.ts'
export type {
  Ending,
  Executor,
  Handle,
  RunEvents,
  RunOrder,
} from './sweep/executor.ts'
export {
  type CarrierSettings,
  type CarryingExecutor,
  defaultQueue,
  executors,
  findExecutor,
} from './sweep/executors.ts'
export { type Expression, parseExpression } from './sweep/expression.ts'
export { localExecutor } from './sweep/local.ts'
export {
  type Plan,
  type PlannedRun,
  type PlanOptions,
  planBlocks,
  planSweep,
  type Refusal,
} from './sweep/plan.ts'
export {
  runSweep,
  type SweepOptions,
  type SweepOutcome,
  type SweepRun,
  type SweepRunState,
  workDone,
} from './sweep/runSweep.ts'
export { sweepFileSchema } from './sweep/schema.ts'
export { type Axis, type Block, type FindExperiment, readSweepFile } from './sweep/sweepFile.ts'
export { type TourOptions, type TourProgress, type TourStop, tour } from './tour.ts'
