"""The cluster side of Reelway: the kernel, what a media job is, and the actors that work on it."""
