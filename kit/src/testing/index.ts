export { Scheduler } from './scheduler.ts'
export { SeededRandom } from './seeded-random.ts'
