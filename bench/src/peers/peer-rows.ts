/** The table: a row for each who took part, and for each who did not. */
import { rounded, type Summary, summarize } from '../summary.ts'
import type { Contender } from './contender.ts'
import type { NotRun } from './field.ts'

export interface MeasuredRow extends Summary {
  readonly path: string
  /** What it measured, and how often PopMQ's median is its own. */
  readonly messages: number
  readonly ratio: number
  readonly acknowledged: Contender['acknowledged']
  readonly settings: string
  readonly versions: string
}

export type PeerRow = MeasuredRow | NotRun

export interface Took {
  /** The first is what the others are compared with. */
  readonly contenders: readonly Omit<Contender, 'lost' | 'measure' | 'close'>[]
  readonly notRun: readonly NotRun[]
}

export function peerRows(
  { contenders, notRun }: Took,
  turns: readonly { readonly path: string; readonly messagesPerSecond: number }[],
): readonly PeerRow[] {
  const summaryOf = (path: string): Summary =>
    summarize(turns.filter((turn) => turn.path === path).map((turn) => turn.messagesPerSecond))
  const first = summaryOf(contenders[0]?.name ?? '')
  const measured = contenders.map(({ name, messages, acknowledged, settings, versions }) => {
    const summary = summaryOf(name)
    const ratio = rounded(first.messagesPerSecond / summary.messagesPerSecond)
    return { path: name, ...summary, messages, ratio, acknowledged, settings, versions }
  })
  return [...measured, ...notRun]
}
