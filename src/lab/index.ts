/** @file The laboratory: experiments as data, runs as folders, reports as pages. */
export { canonicalJson, contentHash, type Json, prettyJson, toJson } from './canonical.ts'
export {
  type ConfigRequest,
  changedFields,
  completeConfig,
  composeConfig,
  configHash,
  configRows,
  mergeConfig,
  reproduceCommand,
  seedField,
} from './config.ts'
export type { Progress, RunContext, RunListeners } from './context.ts'
export { executeRun, isInterruption, type RunOptions, type RunOutcome } from './execute.ts'
export {
  channelNames,
  type Derivation,
  derivationFigure,
  growDerivation,
  type Noise,
  type Posterior,
} from './derivation.ts'
export {
  type AnyExperiment,
  type BaseConfig,
  type Conclusion,
  defineExperiment,
  type Experiment,
  type PartialConfig,
  type ReportTable,
  type RunView,
  type Verdict,
} from './experiment.ts'
export { type ExportedRun, exportRun } from './exportRun.ts'
export * from './figures/index.ts'
export { type JobsOptions, runJobs } from './jobs.ts'
export { lockFolder } from './lock.ts'
export { type Machine, packageVersion, thisMachine } from './machine.ts'
export { type Metric, readMetrics } from './metrics.ts'
export { experimentOf, experiments, findExperiment, importExperiment } from './registry.ts'
export { type ReportFiles, writeReport } from './report/report.ts'
export {
  type ConfigFile,
  type FinishedRun,
  findRunFolders,
  isFinished,
  loadRun,
  loadRuns,
  readConfigFile,
  runFolder,
  type Summary,
} from './runFolder.ts'
export { describeField, type FieldSchema, fieldSchema } from './schema.ts'
export { type TourOptions, type TourStop, tour } from './tour.ts'
