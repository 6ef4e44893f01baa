export { type ExitCode, run, type RunOptions } from './run.ts'
export type { Surroundings } from './surroundings.ts'
