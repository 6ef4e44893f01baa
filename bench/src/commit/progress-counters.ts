import { MqError } from '@popmq/client'

const names = ['rounds', 'seconds', 'commits', 'nodes'] as const

/** What the coordinator has written of progress, as its metrics tell. */
export class ProgressCounters {
  readonly rounds: number
  readonly seconds: number
  readonly commits: number
  readonly nodes: number

  constructor([rounds = 0, seconds = 0, commits = 0, nodes = 0]: readonly number[]) {
    this.rounds = rounds
    this.seconds = seconds
    this.commits = commits
    this.nodes = nodes
  }

  since(before: ProgressCounters): ProgressCounters {
    return new ProgressCounters(names.map((name) => this[name] - before[name]))
  }
}

/** Takes the counters out of a page in the format of Prometheus. @throws MqError `internal` when one is missing */
export function parseCounters(page: string): ProgressCounters {
  return new ProgressCounters(
    names.map((name) => {
      const line = new RegExp(`^popmq_coordinator_progress_${name}_total (\\S+)$`, 'm').exec(page)
      if (line === null) throw new MqError('internal', `the coordinator has no metric for ${name}`)
      return Number(line[1])
    }),
  )
}

export async function readCounters(coordinator: string): Promise<ProgressCounters> {
  const answer = await fetch(`http://${coordinator}/metrics`)
  return parseCounters(await answer.text())
}
