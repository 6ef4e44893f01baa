import type { Client, ConnectOptions } from './api/client.ts'

/**
 * Connects to a cluster through its coordinators: `host:port`, several separated by commas or as a list.
 * @throws MqError `unreachable` when none answers within `connectWithinMs`, `invalid_request`, `aborted`
 */
export declare function connect(servers: string | readonly string[], options?: ConnectOptions): Promise<Client>
