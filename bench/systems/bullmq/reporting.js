// What a worker or client of BullMQ is told by the bench, and how it reports.
'use strict';

const fs = require('node:fs');

const settings = JSON.parse(process.env.BENCH);
const address = new URL(settings.redis);

// Stages of a chain in their order; each has a queue of its own.
const STAGES = ['a', 'b', 'c', 'd'];
const TOTAL_EVERY_MS = 50;

// A worker waits for a lost server as long as it takes, a producer does not: so the documentation wants it.
const connection = { host: address.hostname, port: Number(address.port || 6379), maxRetriesPerRequest: null };

const fifo = fs.openSync(settings.report, fs.constants.O_WRONLY | fs.constants.O_APPEND);

// Nanoseconds of CLOCK_MONOTONIC, as every other process of the bench counts them.
const now = () => process.hrtime.bigint();

// One line in one write, so that lines of several processes do not mix. A BigInt becomes a plain number in the text.
function tell(event, said) {
  const fields = Object.entries({ event, ...said }).map(
    ([name, value]) => `${JSON.stringify(name)}:${typeof value === 'bigint' ? value : JSON.stringify(value)}`,
  );
  fs.writeSync(fifo, `{${fields.join(',')}}\n`);
}

// Counts in the handlers when the first job began and the last one ended.
class Counter {
  jobs = 0;
  first = 0n;
  last = 0n;
  untold = false;

  began() {
    if (this.first === 0n) this.first = now();
  }

  // Told at once when it was the last job of all, else within 50 ms.
  ended() {
    this.last = now();
    if (this.first === 0n) this.first = this.last;
    this.jobs += 1;
    if (this.jobs === settings.jobs) {
      this.tell();
    } else if (!this.untold) {
      this.untold = true;
      setTimeout(() => this.untold && this.tell(), TOTAL_EVERY_MS);
    }
  }

  tell() {
    this.untold = false;
    tell('ended', { process: process.pid, first_ns: this.first, last_ns: this.last, jobs: this.jobs });
  }
}

module.exports = { Counter, STAGES, connection, now, settings, tell };
