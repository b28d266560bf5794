// One process that works: one queue, or one for each stage of a chain with a Worker each.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { Worker } = require('bullmq');
const { Redis } = require('ioredis');
const { Counter, STAGES, connection, now, settings, tell } = require('./reporting.js');

const counter = new Counter();

async function count(job) {
  counter.began();
  counter.ended();
  return job.data.n;
}

// In a flow the deepest child runs first: stage a has no children, stage d is the root.
const STAGE = {
  a: async (job) => {
    counter.began();
    return job.data.n;
  },
  b: async (job) => job.data.n,
  c: async (job) => job.data.n,
  d: async (job) => {
    counter.ended();
    return job.data.n;
  },
};

async function start(job) {
  const at = now();
  tell('started', { job: job.data.n, at_ns: at, latency_ns: at - BigInt(job.data.stamp) });
  return job.data.n;
}

async function rest(job) {
  tell('started', { job: job.data.n, at_ns: now(), process: process.pid });
  await sleep(settings.sleep_s * 1000);
  tell('finished', { job: job.data.n, at_ns: now(), process: process.pid });
  return job.data.n;
}

// One connection for all Workers; each makes a second one of its own to wait on.
const options = { connection: new Redis(connection), concurrency: settings.concurrency };
if (settings.variant === 'fast') Object.assign(options, { lockDuration: 10_000, stalledInterval: 5_000 });

const handlers =
  settings.mode === 'chain' ? STAGE : { jobs: { noop: count, latency: start, sleep: rest }[settings.mode] };
const workers = Object.entries(handlers).map(([queue, handler]) => new Worker(queue, handler, options));

for (const worker of workers) worker.on('error', (error) => console.error(error));

async function end() {
  await Promise.all(workers.map((worker) => worker.close()));
  process.exit(0);
}
process.on('SIGTERM', end);
process.on('SIGINT', end);

Promise.all(workers.map((worker) => worker.waitUntilReady())).then(() => tell('ready', { pid: process.pid }));
