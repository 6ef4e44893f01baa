/** All who take part: their servers are started once each, and closed behind their clients. */
import { isMqError } from '@popmq/client'
import { type Closable, closeAll } from '@popmq/kit'
import type { Contender, PeersSettings } from './contender.ts'
import { openPeer } from './peer-contender.ts'
import type { AbsentPeer, Peer } from './peer-list.ts'
import type { Installed, Say } from './installed.ts'
import { installClients, installServer } from './peer-packages.ts'
import type { PeerServer, PeerServerName } from './servers/peer-server.ts'
import { startServer } from './servers/start-server.ts'
import { type ServerProgram, serverPrograms, tooOld, versionsText } from './versions.ts'

/** A peer without numbers, and why. */
export interface NotRun {
  readonly path: string
  readonly notRun: string
}

/** How what is missing is installed. */
export interface Installing {
  readonly clients: (say: Say) => Promise<string | undefined>
  readonly server: (program: ServerProgram, say: Say) => Promise<Installed>
}

const forReal: Installing = { clients: installClients, server: installServer }

export class Field implements Closable {
  readonly #settings: PeersSettings & { readonly say: Say }
  readonly #data: string
  readonly #installing: Installing
  readonly #opened: Closable[] = []
  readonly #contenders: Contender[] = []
  readonly #peers = new Set<Contender>()
  readonly #notRun: NotRun[] = []
  readonly #installed = new Map<ServerProgram['name'], Promise<Installed>>()
  readonly #servers = new Map<PeerServerName, Promise<PeerServer>>()
  #clients: Promise<string | undefined> | undefined

  /** Servers keep their data in folders of their own in `data`. */
  constructor(
    settings: PeersSettings & { readonly say: Say },
    data: string,
    installing: Installing = forReal,
  ) {
    this.#settings = settings
    this.#data = data
    this.#installing = installing
  }

  /** In the order of the table. */
  get contenders(): readonly Contender[] {
    return [...this.#contenders]
  }

  get notRun(): readonly NotRun[] {
    return this.#notRun
  }

  add(contender: Contender): void {
    this.#contenders.push(contender)
    this.#opened.push(contender)
  }

  isPeer(contender: Contender): boolean {
    return this.#peers.has(contender)
  }

  /** Has a peer take part, or says in `notRun` why it does not. */
  async open(peer: Peer): Promise<void> {
    try {
      const outcome = await this.#tryOpen(peer)
      if ('notRun' in outcome) {
        this.miss({ name: peer.name, notRun: outcome.notRun })
        return
      }
      this.add(outcome)
      this.#peers.add(outcome)
    } catch (error) {
      this.miss({ name: peer.name, notRun: reason(error) })
    }
  }

  /** A peer that does not take part. */
  miss({ name, notRun }: AbsentPeer): void {
    this.#notRun.push({ path: name, notRun })
  }

  /** A peer that failed takes part no more. */
  async drop(contender: Contender, error: unknown): Promise<void> {
    this.#contenders.splice(this.#contenders.indexOf(contender), 1)
    this.miss({ name: contender.name, notRun: `it failed: ${reason(error)}` })
    await contender.close()
  }

  close(): Promise<void> {
    return closeAll(this.#opened.splice(0))
  }

  async #tryOpen(peer: Peer): Promise<Contender | { readonly notRun: string }> {
    const { say, ...settings } = this.#settings
    const use = peer.workloads[settings.workload]
    if ('notRun' in use) return use
    const program = serverPrograms[peer.server]
    this.#clients ??= this.#installing.clients(say)
    const noClients = await this.#clients
    if (noClients !== undefined) return { notRun: noClients }
    const installing = this.#installed.get(program.name) ?? this.#installing.server(program, say)
    this.#installed.set(program.name, installing)
    const installed = await installing
    if ('notRun' in installed) return installed
    const { version } = installed
    const unable = tooOld(peer.client, version)
    if (unable !== undefined) return { notRun: unable }
    const versions = await versionsText(program, { version, client: peer.client })
    const server = await this.#server(peer.server)
    return openPeer({ peer, use, server, versions }, settings)
  }

  #server(name: PeerServerName): Promise<PeerServer> {
    const known = this.#servers.get(name)
    if (known !== undefined) return known
    const starting = startServer(name, this.#data).then((server) => {
      this.#opened.push(server)
      return server
    })
    this.#servers.set(name, starting)
    return starting
  }
}

/** One line of it. */
function reason(error: unknown): string {
  const text = isMqError(error) ? error.what : String(error)
  return text.split('\n', 1)[0] ?? text
}
