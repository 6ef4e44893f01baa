import { assert } from '@popmq/kit'
import { logPosition, offset, type PartitionKey, producerId } from '@popmq/protocol'
import { type HeldRun, runBytes, RunWindows, type Slot } from './run-windows.ts'
import { windowHeadBytes, windowRuns } from './run-windows.ts'
import { isRunCount, lastSequence } from './run.ts'
import { SnapshotReader, SnapshotWriter } from './snapshot-bytes.ts'

/** Snapshot: version u8 | windows u32 | the windows in order of their last append, as RunWindows draws them. */
export function encodeRunWindows(windows: RunWindows): Uint8Array {
  let size = 1 + 4
  for (const slot of inOrder(windows)) size += windows.bytesOf(slot).length
  const writer = new SnapshotWriter(size, version)
  writer.u32(windows.size)
  for (const slot of inOrder(windows)) writer.bytes(windows.bytesOf(slot))
  return writer.finish()
}

/** @throws as `Sequencer.restore` */
export function decodeRunWindows(bytes: Uint8Array): RunWindows {
  const reader = new SnapshotReader(bytes, version)
  const size = reader.u32()
  const leastBytes = windowHeadBytes + runBytes
  assert(size * leastBytes <= bytes.length, 'a snapshot holds as many as it says')
  const windows = new RunWindows()
  for (let index = 0; index < size; index += 1) readWindow(reader, windows)
  reader.finish()
  return windows
}

function* inOrder(windows: RunWindows): IterableIterator<Slot> {
  let slot = windows.oldest
  while (slot !== undefined) {
    yield slot
    slot = windows.after(slot)
  }
}

const version = 1

function readWindow(reader: SnapshotReader, windows: RunWindows): void {
  const producer = producerId(reader.u48())
  const producerEpoch = reader.u16()
  const key = reader.u48() as PartitionKey
  const held = reader.u16()
  assert(producer > 0 && held >= 1 && held <= windowRuns, 'a window is of a producer and has runs')
  const slot = windows.add(producer, key)
  windows.begin(slot, producerEpoch)
  let next: number | undefined
  for (let index = 0; index < held; index += 1) {
    const run = readRun(reader)
    assert(next === undefined || run.base === next, 'the runs of a window follow one another')
    assert(isRunCount(run.count) && run.appended <= run.count, 'a run has 1 to 65,535 records')
    next = run.base + run.count
    assert(next <= lastSequence, 'a sequence fits in 32 bits')
    windows.push(slot, run)
  }
}

/** In the order that RunWindows draws. */
function readRun(reader: SnapshotReader): HeldRun {
  return {
    base: reader.u32(),
    crc: reader.u32(),
    count: reader.u16(),
    appended: reader.u16(),
    appendedAt: reader.u48(),
    baseOffset: offset(reader.u64()),
    end: logPosition(reader.u64()),
  }
}
