export * from './storage-port.ts'
