import { parentPort, workerData } from 'node:worker_threads'
import { plantNamed } from './plants/index.ts'
import { runSeed } from './seed-run.ts'

/** One thread that runs the seeds it is given, one at a time, under the plant that it was started with. */
const plant = plantNamed((workerData as { readonly plant: string }).plant)
await plant?.patch?.()
parentPort?.on('message', (seed: number) => {
  void runSeed(seed, { plant }).then((outcome) => parentPort?.postMessage(outcome))
})
