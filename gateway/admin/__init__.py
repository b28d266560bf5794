"""The operator's surface: dead letters, workers, stages, tenants. It sees every tenant."""
