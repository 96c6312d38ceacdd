/**
 * `flott/testing`: user functions run as they do in a slot, without a cluster, one call at a time: real state, real timers, a clock
 * that the test moves. A snapshot is what a checkpoint would hold, and another harness starts from it.
 */
export { type Harness, type HarnessOptions, harness, keyedHarness } from './harness.js'
