//! The inspection API: the actor tree, top lists, crashes and dead letters of a running node.
