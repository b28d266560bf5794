"""Downloads: the published outputs of a job, whole or in ranges."""
