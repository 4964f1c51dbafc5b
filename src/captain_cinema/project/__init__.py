"""The film folder (design section 7): what is done, what is stale and why, writes that no kill can spoil."""
