//! Any requests to the simulated Keystone.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| transfer_fuzz::run("simulated_keystone", input));
