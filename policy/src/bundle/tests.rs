//! Loading policies, good and broken.

use super::*;
