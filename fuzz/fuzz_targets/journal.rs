//! Any text as a journal row.

#![no_main]

libfuzzer_sys::fuzz_target!(|row: &str| transfer_fuzz::check_row(row));
