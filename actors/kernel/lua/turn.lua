-- turn: gives turns to a tenant's held jobs after its limit was raised.
--
-- ARGV 7  tenant
-- Reply   the ids that were queued
-- Repeat  harmless. Without it `reconcile` gives them their turns within a round.

shrink_first()
refill_all(ARGV[7])
flush()
return released
