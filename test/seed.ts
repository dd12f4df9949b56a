/**
 * @file Property tests draw other cases each time. With TREELINE_TEST_SEED they draw the same ones, as CI does, so that what turns
 * it red is the change and not the draw.
 */
import fc from 'fast-check'

const { TREELINE_TEST_SEED: seed } = process.env
if (seed) fc.configureGlobal({ seed: Number(seed) })
