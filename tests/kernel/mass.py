"""Very many jobs in a short time: jobs that the verbs brought into a state are copied inside Redis.

A copy has every key, row and entry that its original has, under its own id; nothing about their shape is known here
but the names of the keys. So a test begins with one job that went through the verbs, and needs a second for a hundred
thousand.
"""

from collections.abc import Sequence

import redis.asyncio

from actors.kernel import Partitions

COPIES_PER_CALL = 500

# ARGV: prefix of the partition, id of the original, ids of the copies.
COPY = """
local root, original = ARGV[1], ARGV[2]
local pattern = string.gsub(original, '[%-%.]', '%%%0')
local function named(text, id) return (string.gsub(text, pattern, id)) end

local job = {}
local fields = redis.call('HGETALL', root .. 'job:' .. original)
for index = 1, #fields, 2 do job[fields[index]] = fields[index + 1] end
local log = redis.call('LRANGE', root .. 'log:' .. original, 0, -1)
local queue = job.stage .. ':' .. job.lane .. ':' .. job.tenant

local rows, members = {}, {}
for _, name in ipairs({ 'leases', 'due', 'active', 'deadlines', 'dead', 'jobs:' .. job.tenant }) do
  rows[root .. name] = redis.call('ZSCORE', root .. name, original) or nil
end
for _, name in ipairs({ 'ready:' .. queue, 'run:' .. job.tenant }) do
  members[root .. name] = redis.call('SISMEMBER', root .. name, original) == 1 or nil
end
local grave = job.grave and job.grave ~= ''
  and redis.call('XRANGE', root .. 'dead:' .. job.stage, job.grave, job.grave)[1][2]

for index = 3, #ARGV do
  local id = ARGV[index]
  local copy = {}
  for place, value in ipairs(fields) do copy[place] = place % 2 == 0 and named(value, id) or value end
  redis.call('HSET', root .. 'job:' .. id, unpack(copy))
  local lines = {}
  for place, line in ipairs(log) do lines[place] = named(line, id) end
  redis.call('RPUSH', root .. 'log:' .. id, unpack(lines))
  if job.state == 'held' then redis.call('ZADD', root .. 'hold:' .. job.tenant, 0, named(job.turn, id)) end
  if job.entry and job.entry ~= '' then
    local entry = redis.call('XADD', root .. job.inbox, '*', 'job', id)
    redis.call('HSET', root .. 'job:' .. id, 'entry', entry)
    if job.state == 'running' then
      redis.call('XREADGROUP', 'GROUP', 'rw', job.owner, 'COUNT', 1, 'STREAMS', root .. job.inbox, '>')
    end
  end
  if grave then
    local letter = {}
    for place, value in ipairs(grave) do letter[place] = named(value, id) end
    local entry = redis.call('XADD', root .. 'dead:' .. job.stage, '*', unpack(letter))
    redis.call('HSET', root .. 'job:' .. id, 'grave', entry)
  end
end
for key, score in pairs(rows) do
  local scores = {}
  for index = 3, #ARGV do
    scores[#scores + 1] = score
    scores[#scores + 1] = ARGV[index]
  end
  redis.call('ZADD', key, unpack(scores))
end
for key in pairs(members) do redis.call('SADD', key, unpack(ARGV, 3)) end
return #ARGV - 2
"""


async def copy_job(client: redis.asyncio.Redis, partitions: Partitions, original: str, count: int) -> list[str]:
    """Makes `count` jobs that stand where `original` stands; returns their ids, in order."""
    keys = partitions.keys_of_job(original)
    copies = [f"{original}x{number:06d}" for number in range(count)]
    digest = await client.script_load(COPY)
    for first in range(0, count, COPIES_PER_CALL):
        await client.evalsha(digest, 0, keys.root, original, *copies[first : first + COPIES_PER_CALL])
    return copies


async def copy_each(
    client: redis.asyncio.Redis, partitions: Partitions, originals: Sequence[str], count: int
) -> list[str]:
    """The same for several originals, `count` copies in all, shared out equally."""
    copies: list[str] = []
    for original in originals:
        copies += await copy_job(client, partitions, original, count // len(originals))
    return copies
