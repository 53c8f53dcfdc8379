//! Any request to the service.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| transfer_fuzz::run("api", input));
