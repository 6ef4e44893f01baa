export { encodeCheckpoint, decodeCheckpoint } from './log/checkpoint.ts'
export { type LogOptions, logOptions } from './options.ts'
export { RecoveredSet } from './recovered-set.ts'
export { ReplicaSet } from './replica-set.ts'
