//! Wire types of Latchwork's own protocols, generated from `latchwork/**/*.proto` and committed.

/// Any function by its name.
pub mod invoke {
    /// Version 1.
    #[expect(missing_docs, reason = "generated: prost documents no `oneof`")]
    #[rustfmt::skip]
    pub mod v1 {
        include!("gen/latchwork.invoke.v1.rs");
    }
}
