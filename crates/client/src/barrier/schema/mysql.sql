-- What was called, one row for each branch. In the database that the service's work changes.
CREATE TABLE IF NOT EXISTS handfast_barrier (
    -- Binary: other collations take different names for one.
    gid varbinary(64) NOT NULL,
    branch varbinary(64) NOT NULL,
    -- What became of do or try, and its answer.
    begun varchar(16) CHARACTER SET ascii COLLATE ascii_bin
        CHECK (begun IN ('done', 'refused', 'barred')),
    begun_answer mediumblob,
    -- How the branch ended, and the answer to that.
    ended varchar(16) CHARACTER SET ascii COLLATE ascii_bin
        CHECK (ended IN ('undone', 'empty', 'confirmed')),
    ended_answer mediumblob,
    -- How many calls came; when the last one came, in ms since 1970.
    calls bigint NOT NULL DEFAULT 1,
    seen_ms bigint NOT NULL,
    PRIMARY KEY (gid, branch),
    KEY handfast_barrier_seen (seen_ms)
) ENGINE = InnoDB;
