-- Nothing: on SQLite positions alone order the log, and they go with the file.
SELECT 1;
