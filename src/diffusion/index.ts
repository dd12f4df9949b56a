/** @file Noise processes, the exact reverse process, forward–backward experiments and their correlations. */
export {
  type Channel,
  type ChannelName,
  channels,
  checkNoise,
  findChannel,
  leafEvidence,
  type Noisy,
  type ReverseStep,
} from './channels.ts'
