/**
 * Every error that leaves a process, once. The name is the contract, the number is for the wire, `retriable` is data:
 * `yes` nothing was done, the same call may succeed later; `no` the call itself must change; `unknown` it may have been done.
 * `mend` is the sentence that says what to do. docs/errors.md is checked against this table.
 */
export const errorTable = {
  malformed_frame: {
    number: 1001,
    retriable: 'no',
    mend: 'speak the PopMQ protocol on this port: a 12-byte header, then a CBOR body of the length it names',
  },
  unsupported_version: {
    number: 1002,
    retriable: 'no',
    mend: 'use a client and a server whose protocol versions overlap',
  },
  unknown_request: {
    number: 1003,
    retriable: 'no',
    mend: 'send this request to the role that answers it, or upgrade the server',
  },
  malformed_body: {
    number: 1004,
    retriable: 'no',
    mend: 'send a body of plain CBOR: definite lengths, text keys that occur once, no tags, within the limits',
  },
  invalid_request: {
    number: 1005,
    retriable: 'no',
    mend: 'correct the field that the message names',
  },
  hello_required: {
    number: 1006,
    retriable: 'no',
    mend: 'send hello as the first request of a connection',
  },
  too_many_requests: {
    number: 1007,
    retriable: 'yes',
    mend: 'wait for answers before sending more on this connection',
  },
  connection_lost: {
    number: 1101,
    retriable: 'unknown',
    mend: 'check that the server runs; the request may have been carried out',
  },
  timed_out: {
    number: 1102,
    retriable: 'unknown',
    mend: 'raise the time limit or look at the load of the server; the request may have been carried out',
  },
  closed: { number: 1103, retriable: 'no', mend: 'do not use a client after closing it' },
  unreachable: {
    number: 1104,
    retriable: 'yes',
    mend: 'check the address and that the server runs there',
  },
  shutting_down: {
    number: 1105,
    retriable: 'yes',
    mend: 'try again: the server is stopping and another takes over or it returns',
  },
  aborted: {
    number: 1106,
    retriable: 'unknown',
    mend: 'nothing: the caller asked to stop waiting',
  },
  invalid_name: {
    number: 2001,
    retriable: 'no',
    mend: 'use 1 to 127 of A-Z a-z 0-9 . _ - and start with a letter or digit',
  },
  topic_not_found: {
    number: 2002,
    retriable: 'no',
    mend: 'create the topic first: popmq topic create NAME',
  },
  topic_exists: {
    number: 2003,
    retriable: 'no',
    mend: 'choose another name, or delete the topic first',
  },
  partition_not_found: {
    number: 2004,
    retriable: 'no',
    mend: 'name a partition from 0 to the number of partitions of the topic less one',
  },
  invalid_config: {
    number: 2005,
    retriable: 'no',
    mend: 'correct the key or value that the message names',
  },
  not_leader: {
    number: 2006,
    retriable: 'yes',
    mend: 'refresh the route and send to the broker that leads the partition',
  },
  no_brokers: { number: 2007, retriable: 'yes', mend: 'start a broker: popmq broker --id 1 …' },
  topic_busy: {
    number: 2008,
    retriable: 'yes',
    mend: 'try again: another change of this topic is under way',
  },
  broker_not_found: {
    number: 2009,
    retriable: 'no',
    mend: 'name a broker that popmq cluster status lists',
  },
  message_not_found: {
    number: 2010,
    retriable: 'no',
    mend: 'look whether retention or a purge removed the message',
  },
  message_too_large: {
    number: 3001,
    retriable: 'no',
    mend: 'make the message smaller, or raise maxMessageBytes of the topic',
  },
  corrupt_record: {
    number: 3002,
    retriable: 'no',
    mend: 'look at the memory and network of both machines: the bytes are not those that were written',
  },
  quorum_unavailable: {
    number: 3003,
    retriable: 'no',
    mend: 'use acks disk, or give the topic more replicas',
  },
  sequence_gap: {
    number: 3004,
    retriable: 'yes',
    mend: 'send the runs of a partition again in order',
  },
  producer_unknown: { number: 3005, retriable: 'no', mend: 'go on under a new producer epoch' },
  producer_fenced: {
    number: 3006,
    retriable: 'no',
    mend: 'make a new producer: a newer epoch of this one is in use',
  },
  sequence_reused: {
    number: 3007,
    retriable: 'no',
    mend: 'never send other bytes under a sequence that was used',
  },
  sequence_too_old: {
    number: 3008,
    retriable: 'no',
    mend: 'treat the message as unknown: the run is older than the five that are remembered',
  },
  disk_full: {
    number: 3009,
    retriable: 'yes',
    mend: 'free disk space or lower retention; reads go on',
  },
  broker_busy: {
    number: 3010,
    retriable: 'yes',
    mend: 'send slower: the broker holds as many unsynced bytes as it may',
  },
  outcome_unknown: {
    number: 3011,
    retriable: 'unknown',
    mend: 'read the topic, or send with a dedupId so that sending again is harmless',
  },
  buffer_full: {
    number: 3012,
    retriable: 'yes',
    mend: 'await earlier sends, or raise bufferBytes of the producer',
  },
  offset_out_of_range: {
    number: 3101,
    retriable: 'no',
    mend: 'seek to an offset within the bounds that the message names',
  },
  lease_lost: {
    number: 3201,
    retriable: 'no',
    mend: 'let the handler stop when its signal is aborted, or raise invisible of the group; the message went to another consumer',
  },
  foreign_cluster: {
    number: 4001,
    retriable: 'no',
    mend: 'use the data directory of this cluster, or an empty one',
  },
  data_directory_locked: {
    number: 4002,
    retriable: 'no',
    mend: 'stop the process that uses this data directory, or name another one',
  },
  newer_format: {
    number: 4003,
    retriable: 'no',
    mend: 'run the PopMQ version that wrote this data directory, or a later one',
  },
  damaged_log: {
    number: 4004,
    retriable: 'no',
    mend: 'restore the file that the message names from a copy: acknowledged messages stand in the damaged part',
  },
  unknown_record_kind: {
    number: 4005,
    retriable: 'no',
    mend: 'run the PopMQ version that wrote this log, or a later one',
  },
  broker_id_in_use: {
    number: 4006,
    retriable: 'no',
    mend: 'give each broker an --id of its own, or wait until the session of the stopped one has ended',
  },
  broker_fenced: {
    number: 4007,
    retriable: 'no',
    mend: 'restart the broker: it takes a new epoch',
  },
  port_in_use: {
    number: 4008,
    retriable: 'no',
    mend: 'stop the program that listens there, or choose other ports with --port-base or --listen',
  },
  disk_failed: {
    number: 4009,
    retriable: 'no',
    mend: 'look at the disk, then restart: what was not acknowledged as synced is unknown',
  },
  registry_behind: {
    number: 4010,
    retriable: 'no',
    mend: 'restore the newest copy of the registry: later changes than it holds have been seen',
  },
  registry_unavailable: {
    number: 4011,
    retriable: 'unknown',
    mend: 'look at the registry behind the coordinator',
  },
  not_coordinator: { number: 4012, retriable: 'yes', mend: 'send to the coordinator that leads' },
  data_directory_invalid: {
    number: 4013,
    retriable: 'no',
    mend: 'name a directory that PopMQ made, or an empty one',
  },
  data_missing: {
    number: 4014,
    retriable: 'no',
    mend: 'start the broker on the directory that holds its data; if that is lost, delete the topics it led and give it a new --id',
  },
  group_not_found: {
    number: 5001,
    retriable: 'no',
    mend: 'check the name with: popmq group list; a group is made by its first consumer or by: popmq group config',
  },
  group_in_use: {
    number: 5002,
    retriable: 'yes',
    mend: 'stop the members of the group first: popmq group members lists them',
  },
  member_unknown: {
    number: 5003,
    retriable: 'yes',
    mend: 'join the group again: the session was over, and nothing is held any more',
  },
  member_in_use: {
    number: 5004,
    retriable: 'yes',
    mend: 'give each process a --member name of its own, or wait until the session of the other one is over',
  },
  subscription_conflict: {
    number: 5005,
    retriable: 'no',
    mend: 'let all members of a group read a topic in the same way, or use another group',
  },
  grant_fenced: {
    number: 5006,
    retriable: 'no',
    mend: 'stop handling this partition: it was given to another member or reset; what was not committed comes again there',
  },
  offset_below_progress: {
    number: 5007,
    retriable: 'no',
    mend: 'commit the next offset to read, which only grows; to go back use: popmq group reset',
  },
  group_too_large: {
    number: 5008,
    retriable: 'no',
    mend: 'read fewer topics in one group',
  },
  internal: {
    number: 9001,
    retriable: 'unknown',
    mend: 'this is a defect of PopMQ: report it with the message',
  },
} as const satisfies Record<string, { number: number; retriable: Retriable; mend: string }>

export type Retriable = 'yes' | 'no' | 'unknown'
