-- submit: accepts one job.
--
-- KEYS 9   job:<id>
--      10  idem:<tenant>:<key>, only with an idempotency key
-- ARGV 7   id   8 tenant   9 kind   10 stage   11 lane   12 rescue (1: may be moved from gpu to cpu)   13 priority
--      14  listed (1 or 0)   15 life (ms from the start until the deadline)   16 when to start (server ms, 0: now)
--      17  digest of the request   18 life of the idempotency key (ms)   19 most held jobs of a tenant
--      20  most unfinished jobs of the partition   21 spec   22 input   23 refs (JSON array)
-- Replies  {OK, id, state}        accepted
--          {EXISTS, id, state}    this id, or this idempotency key with this digest, was accepted before
--          {CONFLICT, id, state}  the idempotency key belongs to another request
--          {BUSY, id, ''}         as many jobs of the tenant are held as may be
--          {CROWDED, id, ''}      the partition has as many unfinished jobs as it may have
--          an OOM error           Redis is full: nothing was written, since the first write may grow
-- Repeat   the same id answers EXISTS, so a lost reply costs nothing.

local id, tenant, start_at, digest = ARGV[7], ARGV[8], tonumber(ARGV[16]), ARGV[17]

if KEYS[10] then
  local claim = redis.call('GET', KEYS[10])
  if claim then
    local owner, asked = string.match(claim, '^(%S+) (.*)$')
    local job = read(owner)
    return { asked == digest and 'EXISTS' or 'CONFLICT', owner, job and job.state or 'gone' }
  end
end
local known = read(id)
if known then return { 'EXISTS', id, known.state } end
if redis.call('ZCARD', held_by(tenant)) >= tonumber(ARGV[19]) then return { 'BUSY', id, '' } end
if redis.call('ZCARD', ROWS.active) >= tonumber(ARGV[20]) then return { 'CROWDED', id, '' } end

local job = newborn(id, { tenant = tenant, kind = ARGV[9], stage = ARGV[10], lane = ARGV[11], rescue = ARGV[12],
  priority = ARGV[13], listed = ARGV[14], parent = '', deadline = math.max(NOW, start_at) + tonumber(ARGV[15]) })
create(job, ARGV[21], ARGV[22], ARGV[23])
if start_at > NOW then
  local at = timestamp(start_at)
  job.state = 'delayed'
  job.reason = '{"code":"SCHEDULED","message":"It starts at the time it was asked to.","until":"' .. at .. '"}'
  row('due', id, start_at)
  event(job, 'job.queued', '{"stage":"' .. job.stage .. '","start_at":"' .. at .. '"}')
else
  enqueue(job, 'job.queued', '{"stage":"' .. job.stage .. '"}')
end
write(job)
if KEYS[10] then redis.call('SET', KEYS[10], id .. ' ' .. digest, 'PX', ARGV[18]) end
flush()
return { 'OK', id, job.state }
