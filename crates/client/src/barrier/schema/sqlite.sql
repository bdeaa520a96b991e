-- What was called, one row for each branch. In the database that the service's work changes.
CREATE TABLE IF NOT EXISTS handfast_barrier (
    gid TEXT NOT NULL,
    branch TEXT NOT NULL,
    -- What became of do or try, and its answer.
    begun TEXT CHECK (begun IN ('done', 'refused', 'barred')),
    begun_answer BLOB,
    -- How the branch ended, and the answer to that.
    ended TEXT CHECK (ended IN ('undone', 'empty', 'confirmed')),
    ended_answer BLOB,
    -- How many calls came; when the last one came, in ms since 1970.
    calls INTEGER NOT NULL DEFAULT 1,
    seen_ms INTEGER NOT NULL,
    PRIMARY KEY (gid, branch)
);
CREATE INDEX IF NOT EXISTS handfast_barrier_seen ON handfast_barrier (seen_ms);
