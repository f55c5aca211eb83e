//! What detectors find in seeded traffic, and what they do not.
