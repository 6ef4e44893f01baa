import { assert } from '@popmq/kit'
import type { Epoch, Move, PartitionNumber } from '@popmq/protocol'
import type { Member } from './members.ts'
import type { Reading } from './reading.ts'

/**
 * One partition in a reading. It is
 *    free       nobody may handle it; `target` gets it as soon as that is written
 *    held       `owner` handles it under `epoch`
 *    revoking   `owner` still may commit, and is to release it for `target`
 * granted   free → held           what was written before: epoch + 1
 * revoke    held → revoking       once; a change of plan only changes `target`
 * freed     revoking → free       released, drain over, or as below
 *           held → free           its member has left, its session is over, another took its static name
 * renewed   held → held, free → free        a reset, written before: epoch + 1, and the old grant is void; what was
 *                                           being revoked is freed first
 * The epoch only grows. It stays while nobody holds the partition.
 */
export interface GrantRow {
  readonly reading: Reading
  readonly partition: PartitionNumber
  state: 'free' | 'held' | 'revoking'
  epoch: number
  owner: Member | undefined
  target: Member | undefined
  /** When the owner was told to release it, and by when it must. */
  toldMs: number | undefined
  /** Of the owner's assignment that told it. */
  toldVersion: number | undefined
  drainEndsMs: number | undefined
  /** Since when nobody handles it, or whoever does is to stop. */
  darkSinceMs: number | undefined
  /** Who had it before nobody did. */
  lastOwner: string | undefined
  /** The latest recorded move of it, until it is granted. */
  move: RecordedMove | undefined
}

/** A move of a rebalance, still to be completed. */
export type RecordedMove = { -readonly [K in keyof Move]: Move[K] }

export function newRow(reading: Reading, partition: PartitionNumber): GrantRow {
  return {
    reading,
    partition,
    state: 'free',
    epoch: 0,
    owner: undefined,
    target: undefined,
    toldMs: undefined,
    toldVersion: undefined,
    drainEndsMs: undefined,
    darkSinceMs: undefined,
    lastOwner: undefined,
    move: undefined,
  }
}

/** A grant found in the registry. */
export function restoreRow(row: GrantRow, epoch: number, owner: Member | undefined): void {
  row.epoch = epoch
  if (owner === undefined) return
  row.state = 'held'
  hold(row, owner)
}

export function grantRow(row: GrantRow, owner: Member, epoch: number): void {
  assert(row.state === 'free', 'only a free partition is granted')
  assert(epoch === row.epoch + 1, 'an epoch grows by one with each grant')
  row.state = 'held'
  row.epoch = epoch
  row.target = undefined
  hold(row, owner)
}

export function revokeRow(row: GrantRow, target: Member | undefined): void {
  assert(row.state === 'held', 'only a held partition is revoked')
  row.state = 'revoking'
  row.target = target
}

/**
 * The owner has been told to release it, and has `drainMs` from the first time. Until it is heard to know of it the
 * answer may be lost, and the owner handle the partition until its own clock ends its session: that long at least.
 */
export function tellRow(row: GrantRow, nowMs: number, sessionMs: number): void {
  const { owner } = row
  assert(row.state === 'revoking' && owner !== undefined, 'an owner is told to release')
  if (row.toldMs !== undefined) return
  row.toldMs = nowMs
  row.toldVersion = owner.version
  row.drainEndsMs = nowMs + Math.max(owner.drainMs, sessionMs)
  row.darkSinceMs = nowMs
}

/** The owner has an assignment of this version: it handles what it was told to release only to its end. */
export function hearRow(row: GrantRow, version: number): void {
  const { owner, toldMs, toldVersion } = row
  if (owner === undefined || toldMs === undefined || toldVersion === undefined) return
  if (toldVersion <= version) row.drainEndsMs = toldMs + owner.drainMs
}

/** Its owner has it no longer. `target` stays. */
export function freeRow(row: GrantRow, nowMs: number): void {
  assert(row.state !== 'free' && row.owner !== undefined, 'a partition is freed of its owner')
  row.owner.rows.delete(row)
  row.lastOwner = row.owner.id
  row.owner = undefined
  row.state = 'free'
  row.darkSinceMs ??= nowMs
  row.toldMs = undefined
  row.toldVersion = undefined
  row.drainEndsMs = undefined
}

/** A reset gave it a new epoch. */
export function renewRow(row: GrantRow, epoch: number): void {
  assert(row.state !== 'revoking', 'what is being revoked is freed before it is renewed')
  assert(epoch === row.epoch + 1, 'an epoch grows by one with each reset')
  row.epoch = epoch
}

export function epochOf(row: GrantRow): Epoch {
  assert(row.epoch >= 1, 'a grant has an epoch')
  return row.epoch as Epoch
}

function hold(row: GrantRow, owner: Member): void {
  row.owner = owner
  row.lastOwner = undefined
  owner.rows.add(row)
}
