//! Wire types of Latchwork's own protocols and of those it speaks, generated from `**/*.proto` and committed.

/// Descriptions of every service here, for reflection: an encoded `FileDescriptorSet`, files after those they import.
pub const DESCRIPTORS: &[u8] = include_bytes!("gen/descriptors.bin");

/// Any function by its name.
pub mod invoke {
    /// Version 1.
    #[expect(missing_docs, reason = "generated: prost documents no `oneof`")]
    #[rustfmt::skip]
    pub mod v1 {
        include!("gen/latchwork.invoke.v1.rs");
    }
}

/// What administrators ask a running gateway.
pub mod admin {
    /// Version 1.
    #[expect(clippy::large_enum_variant, reason = "generated: messages are made, sent and dropped one by one")]
    #[rustfmt::skip]
    pub mod v1 {
        include!("gen/latchwork.admin.v1.rs");
    }
}

/// The error model of gRPC: what a status says beyond its code.
pub mod rpc {
    #[rustfmt::skip]
    mod generated {
        include!("gen/google.rpc.rs");
    }
    pub use generated::{ErrorInfo, RetryInfo, Status};
}

/// Whether a server serves.
pub mod health {
    /// Version 1.
    #[rustfmt::skip]
    pub mod v1 {
        include!("gen/grpc.health.v1.rs");
    }
}

/// Which services there are. Version 1 alpha has other names and the same bytes.
pub mod reflection {
    /// Version 1.
    #[expect(missing_docs, reason = "generated: prost documents no `oneof`")]
    #[rustfmt::skip]
    pub mod v1 {
        include!("gen/grpc.reflection.v1.rs");
    }
}

/// The quickstart's sample service.
pub mod shop {
    /// Version 1.
    #[rustfmt::skip]
    pub mod v1 {
        include!("gen/shop.v1.rs");
    }
}

pub use prost;
pub use prost_types as well_known;
