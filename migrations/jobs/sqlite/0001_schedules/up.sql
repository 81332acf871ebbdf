-- The last tick of each schedule for which a job was added, so that of many nodes one adds it.
CREATE TABLE schedules (
    name      TEXT PRIMARY KEY,
    last_tick INTEGER NOT NULL
);
