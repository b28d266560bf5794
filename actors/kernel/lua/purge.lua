-- purge: terminal jobs become due for `retention` now. The reaper sweeps their files and then forgets them.
--
-- KEYS 9+  job:<id>, one an item
-- ARGV 7+  ids
-- Reply    the ids it took; a job that has not ended stays
-- Repeat   harmless.

local taken = {}
shrink_first()

for index = FIRST, #ARGV do
  local job = read(ARGV[index])
  if job and TERMINAL[job.state] then
    row('deadlines', job.id, NOW)
    taken[#taken + 1] = job.id
  end
end
flush()
return taken
