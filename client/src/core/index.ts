export { Batcher, type BatcherDeps, type BatcherOptions } from './batcher.ts'
export { Partitioner } from './partitioner.ts'
export { RouteTable } from './route-table.ts'
export { RunSequence, type RunSequenceDeps } from './run-sequence.ts'
