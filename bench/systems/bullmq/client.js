// Hands in every job and ends.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { FlowProducer, Queue } = require('bullmq');
const { STAGES, connection, now, settings, tell } = require('./reporting.js');

// Jobs in one call of addBulk, which is one transaction. Flows are handed in faster so than by larger ones.
const BULK = 100;

const numbers = Array.from({ length: settings.jobs }, (_, index) => settings.first + index);

// Stage d is the root and waits for its child, stage c, and so on down to stage a, which runs first.
function flow(n) {
  const [first, ...later] = STAGES;
  return later.reduce((child, stage) => ({ name: stage, queueName: stage, data: { n }, children: [child] }), {
    name: first,
    queueName: first,
    data: { n },
  });
}

// Numbers from 0 to 1 that depend on the seed alone.
function* chances(seed) {
  let state = seed >>> 0;
  for (;;) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    yield ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}

async function inBulk(producer, describe) {
  for (let start = 0; start < numbers.length; start += BULK) {
    await producer.addBulk(numbers.slice(start, start + BULK).map(describe));
  }
}

// One job after the other, each at its own moment however long the others take to start.
async function inOpenLoop(queue) {
  const { gap_min_s: least, gap_max_s: most } = settings;
  const chance = chances(settings.seed);
  let due = performance.now();
  for (const n of numbers) {
    due += 1000 * (least + (most - least) * chance.next().value);
    await sleep(Math.max(0, due - performance.now()));
    await queue.add('job', { n, stamp: String(now()) });
  }
}

async function main() {
  const producer = settings.mode === 'chain' ? new FlowProducer({ connection }) : new Queue('jobs', { connection });
  await producer.waitUntilReady();
  const begun = now();
  if (settings.mode === 'chain') await inBulk(producer, flow);
  else if (settings.mode === 'latency') await inOpenLoop(producer);
  else await inBulk(producer, (n) => ({ name: 'job', data: { n } }));
  tell('submitted', { jobs: settings.jobs, seconds: Number(now() - begun) / 1e9 });
  await producer.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
