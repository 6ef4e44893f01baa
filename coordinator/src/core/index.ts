export * from './cluster.ts'
export * from './registry-port.ts'
export * from './registry-tree.ts'
