"""The risk kill: a latch on disk that survives crashes and bad disks, and the state machine around it."""
