import fc from 'fast-check'

/** What happens to a membership, one step at a time. */
export type Step =
  | {
      readonly kind: 'assign'
      readonly picks: readonly (readonly [Pick, number])[]
      readonly paused: boolean
    }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'deliver' | 'fence'; readonly partition: number; readonly count: number }
  | { readonly kind: 'commit'; readonly how: 'taken' | 'failed' | 'fenced' }
  | { readonly kind: 'asked' | 'release' | 'renew' | 'late' | 'unknown' }

export type Pick = 'keep' | 'renew' | 'revoke' | 'drop' | 'restore'

const unknown = fc.constant<Step>({ kind: 'unknown' })

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: unknown },
  ...often(
    fc.record({
      kind: fc.constant('assign' as const),
      picks: fc.array(
        fc.tuple(
          fc.constantFrom<Pick>('keep', 'keep', 'renew', 'revoke', 'drop', 'restore'),
          fc.nat(20),
        ),
        { minLength: 4, maxLength: 4 },
      ),
      paused: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.boolean()),
    }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(2_000) }),
    fc.record({
      kind: fc.constantFrom(
        'deliver' as const,
        'deliver' as const,
        'deliver' as const,
        'fence' as const,
      ),
      partition: fc.nat(3),
      count: fc.integer({ min: 1, max: 5 }),
    }),
    fc.record({
      kind: fc.constant('commit' as const),
      how: fc.constantFrom(
        'taken' as const,
        'taken' as const,
        'taken' as const,
        'failed' as const,
        'fenced' as const,
      ),
    }),
    fc.record({
      kind: fc.constantFrom(
        'asked' as const,
        'release' as const,
        'renew' as const,
        'late' as const,
      ),
    }),
  ),
)

function often(...steps: fc.Arbitrary<Step>[]) {
  return steps.map((arbitrary) => ({ weight: 8, arbitrary }))
}
