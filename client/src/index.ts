export type {
  Admin,
  CallOptions,
  ClusterDescription,
  PartitionDescription,
  PartitionOffsets,
  TopicConfig,
  TopicDescription,
} from './api/admin.ts'
export type {
  DeadLetter,
  DeadLetterAdmin,
  DeadLetterSummary,
  FailedAttempt,
  LetterResult,
  LetterSelection,
  ShownLetter,
} from './api/dead-letters.ts'
export type {
  DelayAdmin,
  DelayedList,
  DelayedMessage,
  DelayResult,
  ShownDelay,
} from './api/delays.ts'
export type {
  InflightList,
  InflightMessage,
  MessageStates,
  ReleaseResult,
  RetryChangeResult,
  RetryList,
  WaitingRetryMessage,
} from './api/group-waiting.ts'
export type { Client, ConnectOptions } from './api/client.ts'
export type {
  GroupAdmin,
  GroupConfig,
  GroupDescription,
  GroupMember,
  GroupMove,
  GroupOverview,
  GroupPolicyDescription,
  GroupRebalance,
  GroupStates,
  GroupTopic,
  HeldTopicPartition,
  PartitionLag,
  PartitionProgress,
  ProgressMove,
  ResetOptions,
} from './api/group-admin.ts'
export type {
  GroupBatch,
  GroupConsumer,
  GroupConsumerOptions,
  MemberState,
  RetryOptions,
  RetryResult,
} from './api/group-consumer.ts'
export type { Message, TopicPartition } from './api/message.ts'
export type { OutgoingMessage, Receipt, SendResult } from './api/outgoing-message.ts'
export type {
  ExtendOptions,
  Failure,
  Handle,
  Handles,
  NackOptions,
  PopConsumer,
  PopConsumerOptions,
  PopReason,
  PopReceiveOptions,
  PoppedMessage,
  Settled,
  SettleOptions,
  SettleResult,
} from './api/pop-consumer.ts'
export type {
  PostedMessage,
  Producer,
  ProducerOptions,
  ProducerStats,
  SendOptions,
} from './api/producer.ts'
export type {
  Jump,
  MessageBatch,
  PartitionMessages,
  PartitionOffset,
  PartitionPosition,
  PullConsumer,
  PullConsumerOptions,
  ReadFrom,
  ReceiveOptions,
} from './api/pull-consumer.ts'
export type {
  WorkContext,
  Worker,
  WorkerOptions,
  WorkerState,
  WorkerStats,
  WorkHandler,
} from './api/worker.ts'
export { connect } from './connect.ts'
export { type AckLevel, type ErrorName, isMqError, MqError, type Retriable } from '@popmq/protocol'
