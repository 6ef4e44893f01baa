/**
 * Disk writes share libuv's thread pool with DNS, crypto and zlib: four stuck writes would freeze them all.
 * libuv reads the size when the pool starts, so this is imported before anything else. Where the ES module loader has
 * used the pool by then (Node 20 and 22), the size only reaches the processes that this one starts.
 */
const wantedThreads = '16'

/** What the user asked for, before our default was put in. */
export const askedThreads = process.env['UV_THREADPOOL_SIZE']

process.env['UV_THREADPOOL_SIZE'] ??= wantedThreads
