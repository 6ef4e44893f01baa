export {
  type CrashCheck,
  type CrashPointOptions,
  type CrashProgress,
  type CrashScript,
  enumerateCrashPoints,
} from './crash-points.ts'
export { type CrashMode, crashModes } from './memory-file.ts'
export { type Crash, MemoryStorage, type MemoryStorageOptions } from './memory-storage.ts'
export { Scheduler } from './scheduler.ts'
export { SeededRandom } from './seeded-random.ts'
export {
  randomLatency,
  type StorageFault,
  type StorageOperation,
  type StorageOperationsOptions,
} from './storage-operations.ts'
