//! Any replies of a Keystone to each use of its client.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| transfer_fuzz::run("keystone", input));
