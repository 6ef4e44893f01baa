import { mkdirSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import type { NodeFlags } from './path.ts'
import { type HotFunction, hottest, readProfile, type Span } from './profile.ts'

/** What one process was busy with. */
export interface Profiled {
  readonly process: string
  readonly file: string
  readonly hottest: readonly HotFunction[]
}

const shownFunctions = 15

/** Flags that have a process write its profile into `folder`; none without one. */
export function profileFlags(folder: string | undefined): NodeFlags {
  if (folder === undefined) return () => []
  mkdirSync(folder, { recursive: true })
  return (process) => [
    '--cpu-prof',
    `--cpu-prof-dir=${folder}`,
    `--cpu-prof-name=${process}.cpuprofile`,
  ]
}

/**
 * Those written since `startedAt`: the folder may hold others of an earlier measurement. With `during`, functions count
 * only while one of these spans lasted.
 */
export function readProfiles(
  folder: string | undefined,
  { startedAt, during }: { startedAt: number; during?: readonly Span[] },
): readonly Profiled[] {
  if (folder === undefined) return []
  return readdirSync(folder)
    .filter(
      (name) =>
        name.endsWith('.cpuprofile') && statSync(path.join(folder, name)).mtimeMs >= startedAt,
    )
    .toSorted()
    .map((name) => {
      const file = path.join(folder, name)
      return {
        process: name.replace('.cpuprofile', ''),
        file,
        hottest: hottest(readProfile(file), shownFunctions, during),
      }
    })
}
