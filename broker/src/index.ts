export { Broker, type BrokerOptions, type BrokerPorts } from './broker.ts'
export { brokerProcess, type BrokerProcessOptions, type RunningBroker } from './broker-process.ts'
export { type LogOptions, logOptions } from './core/options.ts'
