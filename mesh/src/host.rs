//! Runs function processes on this machine: starts them on demand, stops them when idle, leaves none behind.
