-- What was called, one row for each branch. In the database that the service's work changes.
CREATE TABLE IF NOT EXISTS handfast_barrier (
    gid varchar(64) COLLATE "C" NOT NULL,
    branch varchar(64) COLLATE "C" NOT NULL,
    -- What became of do or try, and its answer.
    begun varchar(16) COLLATE "C" CHECK (begun IN ('done', 'refused', 'barred')),
    begun_answer bytea,
    -- How the branch ended, and the answer to that.
    ended varchar(16) COLLATE "C" CHECK (ended IN ('undone', 'empty', 'confirmed')),
    ended_answer bytea,
    -- How many calls came; when the last one came, in ms since 1970.
    calls bigint NOT NULL DEFAULT 1,
    seen_ms bigint NOT NULL,
    PRIMARY KEY (gid, branch)
);
CREATE INDEX IF NOT EXISTS handfast_barrier_seen ON handfast_barrier (seen_ms);
