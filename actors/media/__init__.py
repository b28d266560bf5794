"""What a media job is: formats, task bodies, plans and errors. Pure: no Redis, no HTTP."""
