"""The user side of Reelway: the HTTP gateway, the `reelway` command and the embedded cluster."""
