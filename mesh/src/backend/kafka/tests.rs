//! What a Kafka target may say.
