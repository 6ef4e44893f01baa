#!/usr/bin/env node
// libuv reads the size of its thread pool once, and the loader of ES modules starts the pool: so this file is CommonJS
// and sets it first. With the default of four, four stuck disk writes would freeze DNS, crypto and zlib too.
process.env.UV_THREADPOOL_SIZE ??= '16'
// A broker's heap is small and its garbage is buffers, which V8 counts against the size of the heap: under load it collected
// the whole heap about nine times a second, with helper threads, for a third of the broker's processor time. Let it
// grow to four times what lives, V8's own upper limit, before it collects.
require('node:v8').setFlagsFromString('--heap-growing-percent=300')
void import('../dist/main.js')
