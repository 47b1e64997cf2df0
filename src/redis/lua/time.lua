-- The clock of the node that has a key.
-- KEYS  any key of its
-- Returns { seconds, microseconds } as TIME does
return redis.call('TIME')
