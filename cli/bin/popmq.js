#!/usr/bin/env node
// libuv reads the size of its thread pool once, and the loader of ES modules starts the pool: so this file is CommonJS
// and sets it first. With the default of four, four stuck disk writes would freeze DNS, crypto and zlib too.
process.env.UV_THREADPOOL_SIZE ??= '16'
void import('../dist/main.js')
