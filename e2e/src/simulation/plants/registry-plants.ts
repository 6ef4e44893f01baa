import type { Registry, RegistrySession } from '@popmq/coordinator'
import type { Plant } from './plant.ts'

/** Bugs between a coordinator and its registry. */
export const registryPlants: readonly Plant[] = [
  {
    name: 'unknown-taken-for-applied',
    what: 'a registry commit without a certain answer counts as made',
    wrapRegistry: (registry) =>
      withSessions(registry, (session) => ({
        commit: async (ops) => {
          const outcome = await session.commit(ops)
          return outcome.kind === 'unknown' ? { kind: 'applied' } : outcome
        },
      })),
  },
]

function withSessions(
  registry: Registry,
  change: (session: RegistrySession) => Partial<RegistrySession>,
): Registry {
  return {
    openSession: async (lost) => {
      const session = await registry.openSession(lost)
      return { ...bound(session), ...change(session) }
    },
    close: () => registry.close(),
  }
}

function bound(session: RegistrySession): RegistrySession {
  return {
    read: (path) => session.read(path),
    children: (path) => session.children(path),
    commit: (ops) => session.commit(ops),
    watch: (path, onChange) => session.watch(path, onChange),
    close: () => session.close(),
  }
}
