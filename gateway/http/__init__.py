"""The HTTP server: its service, routes, problems, authentication, health and metrics."""
