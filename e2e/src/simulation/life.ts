import type { Clock, Timer } from '@popmq/kit'

/** One process of a node, from its start to its end; what it still has planned then never happens. */
export interface Life {
  isOver: boolean
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
    after: (delayMs: number, callback: () => void): Timer =>
      world.after(delayMs, () => {
        if (!life.isOver) callback()
      }),
  }
}
