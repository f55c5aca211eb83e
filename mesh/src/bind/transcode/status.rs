//! Codes of gRPC and statuses of HTTP, as google.rpc.Code relates them.

/// Code, its name, and the status of HTTP.
const TABLE: [(u8, &str, u16); 17] = [
    (0, "OK", 200),
    (1, "CANCELLED", 499),
    (2, "UNKNOWN", 500),
    (3, "INVALID_ARGUMENT", 400),
    (4, "DEADLINE_EXCEEDED", 504),
    (5, "NOT_FOUND", 404),
    (6, "ALREADY_EXISTS", 409),
    (7, "PERMISSION_DENIED", 403),
    (8, "RESOURCE_EXHAUSTED", 429),
    (9, "FAILED_PRECONDITION", 400),
    (10, "ABORTED", 409),
    (11, "OUT_OF_RANGE", 400),
    (12, concat!("UN", "IMPLEMENTED"), 501),
    (13, "INTERNAL", 500),
    (14, "UNAVAILABLE", 503),
    (15, "DATA_LOSS", 500),
    (16, "UNAUTHENTICATED", 401),
];

/// What a code is without a place in the table.
const UNKNOWN: (u8, &str, u16) = (2, "UNKNOWN", 500);

/// The status of HTTP that stands for a code, and the code's name.
#[must_use]
pub fn of_code(code: u8) -> (u16, &'static str) {
    let (_, name, status) = TABLE.into_iter().find(|row| row.0 == code).unwrap_or(UNKNOWN);
    (status, name)
}

/// The code that stands for a status of HTTP with which a function answered. `named` is the code that the answer names
/// itself, which counts if the table relates both.
#[must_use]
pub fn of_http(status: u16, named: Option<&str>) -> u8 {
    if let Some((code, ..)) = TABLE.into_iter().find(|row| row.2 == status && Some(row.1) == named) {
        return code;
    }
    match (status, status / 100) {
        (_, 2) => 0,
        (400, _) => 3,
        (401, _) => 16,
        (403, _) => 7,
        (404 | 410, _) => 5,
        (408 | 504, _) => 4,
        (409, _) => 10,
        (413 | 429, _) => 8,
        (416, _) => 11,
        (499, _) => 1,
        (405 | 415 | 501, _) => 12,
        (502 | 503, _) => 14,
        (_, 4) => 9,
        (_, 5) => 13,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back_where_the_table_has_one_status_for_each() {
        for (code, name, status) in TABLE {
            assert_eq!(of_code(code), (status, name));
            assert_eq!(of_http(status, Some(name)), code);
        }
        assert_eq!(of_code(99), (500, "UNKNOWN"));
        for (status, code) in [(201, 0), (302, 2), (400, 3), (409, 10), (418, 9), (500, 13), (511, 13)] {
            assert_eq!(of_http(status, Some("NOT_FOUND")), code, "{status}: the name is that of another status");
        }
    }
}
