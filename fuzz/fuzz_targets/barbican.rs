//! Any replies of a Barbican to each call of its client.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| transfer_fuzz::run("barbican", input));
