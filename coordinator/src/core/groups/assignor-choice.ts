import { MqError } from '@popmq/protocol'
import { type AssignorInput, type Placement, readersByTopic } from './assignors/assignor.ts'
import { assignors } from './assignors/assignors.ts'
import { sticky } from './assignors/sticky.ts'

/**
 * Assignors that users brought, by name. Each settles within 50 ms: it gives a result, which is checked here, or
 * rejects with the reason.
 */
export type AssignorModules = ReadonlyMap<string, (input: AssignorInput) => Promise<unknown>>

export interface Assigned {
  readonly placements: readonly Placement[]
  /** Why the assignor asked for was not used; `sticky` was. */
  readonly fallback?: string
}

/** The result of a built-in assignor, at once; undefined when `name` is not one. */
export function assignBuiltIn(name: string, input: AssignorInput): Assigned | undefined {
  const assignor = assignors.get(name)
  return assignor === undefined ? undefined : { placements: assignor(input) }
}

/** The result of a user's own module, or that of `sticky` with the reason. */
export async function assignByModule(
  name: string,
  input: AssignorInput,
  modules: AssignorModules,
): Promise<Assigned> {
  const instead = (reason: string): Assigned => ({
    placements: sticky(input),
    fallback: `${name}: ${reason}`.slice(0, 250),
  })
  const assign = modules.get(name)
  if (assign === undefined) return instead('this coordinator has no such assignor')
  try {
    return { placements: checkedPlacements(input, await assign(input)) }
  } catch (error) {
    return instead(error instanceof MqError ? error.what : String(error))
  }
}

/** A module's result if it gives each partition that somebody reads once, to a reader. @throws Error with the reason */
function checkedPlacements(input: AssignorInput, result: unknown): Placement[] {
  if (!Array.isArray(result)) throw refusal('gave no list')
  const readers = readersByTopic(input)
  const partitions = new Map(input.topics.map(({ topicId, partitions: n }) => [topicId, n]))
  const byReader = new Map(
    [...readers].map(([id, members]) => [id, new Set(members.map(({ memberId }) => memberId))]),
  )
  const seen = new Set<string>()
  const placements = result.map((row: unknown): Placement => {
    const { topicId, partition, memberId } = (row ?? {}) as Partial<Placement>
    const isThere =
      topicId !== undefined &&
      Number.isSafeInteger(partition) &&
      partition !== undefined &&
      partition >= 0 &&
      partition < (partitions.get(topicId) ?? 0)
    if (!isThere) throw refusal(`names partition ${partition} of topic ${topicId}`)
    const name = `partition ${partition} of topic ${topicId}`
    if (memberId === undefined || byReader.get(topicId)?.has(memberId) !== true)
      throw refusal(`gave ${name} to ${memberId}, which does not read it`)
    if (seen.has(name)) throw refusal(`gave ${name} twice`)
    seen.add(name)
    return { topicId, partition, memberId }
  })
  let wanted = 0
  for (const [topicId, members] of readers)
    if (members.length > 0) wanted += partitions.get(topicId) ?? 0
  if (placements.length !== wanted)
    throw refusal(`gave ${placements.length} of ${wanted} partitions`)
  return placements
}

function refusal(what: string): MqError {
  return new MqError('invalid_request', `the assignor ${what}`)
}
