//! Rules of faults, and scenarios.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| transfer_fuzz::run("rules", input));
