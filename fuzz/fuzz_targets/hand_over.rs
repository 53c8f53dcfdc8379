//! Any sequence of events on any hand-over.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| transfer_fuzz::run("hand_over", input));
