export { assert, AssertionError, present, unreachable } from './assert.ts'
export { Backoff } from './backoff.ts'
export type { Branded } from './brand.ts'
export { type Clock, sleep, systemClock, type Timer } from './clock.ts'
export { type Deferred, deferred } from './deferred.ts'
export { msOf } from './duration.ts'
export { Heap } from './heap.ts'
export { type Closable, closeAll } from './lifecycle.ts'
export { lineLog, type Log, type LogFields, type LogLevel, logLevels, silentLog } from './log.ts'
export { between, type Random, systemRandom } from './random.ts'
export {
  dropFront,
  readWhole,
  replaceFile,
  type Storage,
  StorageError,
  type StorageFile,
  writeAll,
} from './storage.ts'
export { nearest } from './words.ts'
