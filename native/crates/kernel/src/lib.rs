//! The worker's half of the kernel.
