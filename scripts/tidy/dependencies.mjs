// @ts-check
/** Rules about what is installed: how many packages, from where, and what runs on the way. */

/** @typedef {import('./layers.mjs').Workspace} Workspace */
/** @typedef {{ packages: Record<string, { resolved?: string, link?: boolean, hasInstallScript?: boolean, optional?: boolean, dev?: boolean }> }} Lockfile */

const mostRuntimeDependencies = 15
const clientDependencies = ['cbor-x', 'ws']

/**
 * @param {Workspace[]} workspaces
 * @returns {string[]}
 */
export function checkRuntimeDependencies(workspaces) {
  const names = new Set(workspaces.map(({ manifest }) => manifest.name))
  const external = new Set(
    workspaces
      .flatMap(({ manifest }) => Object.keys(manifest.dependencies ?? {}))
      .filter((name) => !names.has(name)),
  )
  if (external.size <= mostRuntimeDependencies) return []
  const list = [...external].toSorted().join(', ')
  return [`${external.size} runtime dependencies, ${mostRuntimeDependencies} are allowed: ${list}.`]
}

/**
 * What a user of the client installs: its own third-party packages and those of the packages inside it.
 * @param {Workspace[]} workspaces
 * @returns {string[]}
 */
export function checkClientDependencies(workspaces) {
  const client = workspaces.find(({ folder }) => folder === 'client')
  if (client === undefined) return ['the workspace "client" is missing.']
  const problems = []
  const declared = thirdParty(client, workspaces)
  if (declared.join() !== clientDependencies.join()) {
    const found = declared.join(', ') || 'nothing'
    problems.push(
      `client depends on ${found}; it must be ${clientDependencies.join(' and ')} alone.`,
    )
  }
  return problems
}

/**
 * A package that bundles workspace packages must itself list what those need: the bundled copies bring nothing along.
 * @param {Workspace[]} workspaces
 * @returns {string[]}
 */
export function checkBundles(workspaces) {
  return workspaces
    .filter(({ manifest }) => manifest.bundleDependencies !== undefined)
    .flatMap((outer) => {
      const inside = closure(outer, workspaces)
      const bundled = (outer.manifest.bundleDependencies ?? []).toSorted()
      const needed = inside.map(({ manifest }) => manifest.name ?? '').toSorted()
      const problems = []
      if (bundled.join() !== needed.join()) {
        problems.push(
          `${outer.folder}/package.json bundles [${bundled.join()}], it needs [${needed.join()}].`,
        )
      }
      for (const inner of inside) {
        for (const name of thirdParty(inner, workspaces)) {
          const wanted = inner.manifest.dependencies?.[name]
          if (outer.manifest.dependencies?.[name] === wanted) continue
          problems.push(
            `${outer.folder}/package.json must list ${name} ${wanted}: ${inner.folder} does.`,
          )
        }
      }
      return problems
    })
}

/**
 * @param {Lockfile} lockfile
 * @returns {string[]}
 */
export function checkLockfile(lockfile) {
  return Object.entries(lockfile.packages).flatMap(([name, entry]) => {
    const problems = []
    if (entry.link !== true && /^\w+:\/\//.test(entry.resolved ?? '')) {
      problems.push(
        `package-lock.json: ${name} is resolved to an address; run npm install with our .npmrc.`,
      )
    }
    if (entry.hasInstallScript === true && entry.optional !== true && entry.dev !== true) {
      problems.push(`package-lock.json: ${name} needs an install script and is not optional.`)
    }
    return problems
  })
}

/**
 * The workspaces inside `outer`, itself not counted.
 * @param {Workspace} outer
 * @param {Workspace[]} workspaces
 * @returns {Workspace[]}
 */
function closure(outer, workspaces) {
  /** @type {Set<Workspace>} */
  const inside = new Set()
  const pending = [outer]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const wanted = Object.keys(next.manifest.dependencies ?? {})
    for (const inner of workspaces.filter(({ manifest }) => wanted.includes(manifest.name ?? ''))) {
      if (inner === outer || inside.has(inner)) continue
      inside.add(inner)
      pending.push(inner)
    }
  }
  return [...inside]
}

/**
 * @param {Workspace} workspace
 * @param {Workspace[]} workspaces
 */
function thirdParty({ manifest }, workspaces) {
  const names = new Set(workspaces.map((other) => other.manifest.name))
  return Object.keys(manifest.dependencies ?? {})
    .filter((name) => !names.has(name))
    .toSorted()
}
