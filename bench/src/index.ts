export {
  type CommitBenchReport,
  type CommitBenchRequest,
  runCommitBench,
} from './commit/run-commit-bench.ts'
export type { Machine } from './machine.ts'
export type { Run } from './measure.ts'
export type { HotFunction } from './profile.ts'
export { type BenchReport, type BenchRequest, type Profiled, runBench } from './run-bench.ts'
export type { Summary } from './summary.ts'
export { leastSizeBytes, type Settings, type Workload, workloads } from './workload.ts'
