import type { Clock, Timer } from '@popmq/kit'

/**
 * One process of a node, from its start to its end; what it still has planned then never happens.
 *    runs ⇄ paused, as SIGSTOP and SIGCONT do it; both → over
 */
export interface Life {
  isOver: boolean
  /** What reached it while it is paused, in order; absent while it runs. */
  held?: (() => void)[] | undefined
}

/** Something comes to a process from outside: now, or when it wakes. */
export function reach(life: Life, run: () => void): void {
  if (life.isOver) return
  if (life.held === undefined) run()
  else life.held.push(run)
}

/** The process does nothing until `wake`. */
export function pause(life: Life): void {
  life.held ??= []
}

/** The process goes on, with all that came meanwhile, and knows nothing of the time between but by its clock. */
export function wake(world: Clock, life: Life): void {
  const held = life.held ?? []
  life.held = undefined
  for (const run of held) world.after(0, () => reach(life, run))
}

/** What the clocks of a node read: each has a wall clock of its own that may jump; durations are the world's. */
export interface WallSkew {
  skewMs: number
}

/** The clock of one process. */
export function lifeClock(world: Clock, life: Life, wall: WallSkew): Clock {
  return {
    now: () => Math.floor(world.now() + wall.skewMs),
    monotonic: () => world.monotonic(),
    after: (delayMs: number, callback: () => void): Timer => {
      let isCancelled = false
      // One that is due while the process is paused may still be cancelled before its turn comes.
      const run = (): void => {
        if (!isCancelled) callback()
      }
      const timer = world.after(delayMs, () => reach(life, run))
      return {
        cancel: () => {
          isCancelled = true
          timer.cancel()
        },
      }
    },
  }
}
