export {
  type CommitBenchReport,
  type CommitBenchRequest,
  runCommitBench,
} from './commit/run-commit-bench.ts'
export {
  type DelayedBenchReport,
  type DelayedBenchRequest,
  runDelayedBench,
} from './delayed/run-delayed-bench.ts'
export type { Latency } from './latency.ts'
export type { Machine } from './machine.ts'
export type { Run } from './measure.ts'
export type { HotFunction } from './profile.ts'
export type { PopRun } from './pop/pop-runs.ts'
export { type PopBenchReport, type PopBenchRequest, runPopBench } from './pop/run-pop-bench.ts'
export { type PeerWorkload, peerWorkloads } from './peers/contender.ts'
export type { MeasuredRow, PeerRow } from './peers/peer-rows.ts'
export {
  type PeersBenchReport,
  type PeersBenchRequest,
  runPeersBench,
} from './peers/run-peers-bench.ts'
export type { Profiled } from './profiled.ts'
export { type BenchReport, type BenchRequest, runBench } from './run-bench.ts'
export type { Summary } from './summary.ts'
export {
  runWakeUpBench,
  type WakeUpBenchReport,
  type WakeUpBenchRequest,
} from './wake-up/run-wake-up-bench.ts'
export { leastSizeBytes, type Settings, type Workload, workloads } from './workload.ts'
