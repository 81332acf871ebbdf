//! Logs, metrics, health and the error bus of a node.
