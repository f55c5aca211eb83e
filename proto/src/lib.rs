//! Wire types of Latchwork's own protocols, generated from `latchwork/**/*.proto` and committed.

/// Any function by its name.
pub mod invoke {
    /// Version 1.
    #[expect(
        missing_docs,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        reason = "generated: prost writes its own attributes and documents no enum of a `oneof`"
    )]
    #[rustfmt::skip]
    pub mod v1 {
        include!("gen/latchwork.invoke.v1.rs");
    }
}
