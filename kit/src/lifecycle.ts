/** What can be closed: idempotent, awaited, and usable with `await using`. */
export interface Closable {
  close(): Promise<void>
}

/** Closes in reverse order of opening, each even if an earlier one failed; then throws the first failure. */
export async function closeAll(opened: readonly Closable[]): Promise<void> {
  const failures: unknown[] = []
  for (const part of opened.toReversed()) {
    try {
      await part.close()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'closing failed')
}
