export {
  type CatchUpBenchReport,
  type CatchUpBenchRequest,
  runCatchUpBench,
} from './catch-up/run-catch-up-bench.ts'
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
export {
  type FanOutBenchReport,
  type FanOutBenchRequest,
  type FanOutFigures,
  type FanOutRun,
  runFanOutBench,
} from './fan-out/run-fan-out-bench.ts'
export type { TailLatency } from './latency-at-rate/latency-histogram.ts'
export {
  type LatencyBenchReport,
  type LatencyBenchRequest,
  type LatencyRun,
  runLatencyBench,
} from './latency-at-rate/run-latency-bench.ts'
export { stampBytes } from './latency-at-rate/stamp.ts'
export {
  type GrowthBenchReport,
  type GrowthBenchRequest,
  type GrowthRun,
  runGrowthBench,
} from './growth/run-growth-bench.ts'
export type { Footprint } from './idle/idle-roles.ts'
export { type IdleBenchReport, type IdleBenchRequest, runIdleBench } from './idle/run-idle-bench.ts'
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
export type { MembershipChange } from './rebalance/rebalance-run.ts'
export {
  type ChangeFigures,
  type RebalanceBenchReport,
  type RebalanceBenchRequest,
  runRebalanceBench,
} from './rebalance/run-rebalance-bench.ts'
export type { RecoveryStart } from './recovery/recovery-run.ts'
export {
  type RecoveryBenchReport,
  type RecoveryBenchRequest,
  runRecoveryBench,
  type StartMedians,
} from './recovery/run-recovery-bench.ts'
export { type BenchReport, type BenchRequest, runBench } from './run-bench.ts'
export {
  runSendBench,
  type SendBenchReport,
  type SendBenchRequest,
  type SendRun,
} from './send/run-send-bench.ts'
export type { ServerMemory } from './server-memory.ts'
export type { Summary } from './summary.ts'
export {
  runWakeUpBench,
  type WakeUpBenchReport,
  type WakeUpBenchRequest,
} from './wake-up/run-wake-up-bench.ts'
export { leastSizeBytes, type Settings, type Workload, workloads } from './workload.ts'
