//! Comparisons of entities that can have only one result: `!=` between two types is always true.
