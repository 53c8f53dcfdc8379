//! The simulator as its clients see it. What the tables expect was recorded from Keystone 30 and
//! Barbican 23, the latter with either of its default policies.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cloud;

mod barbican_acls;
mod barbican_consumers;
mod barbican_containers;
mod barbican_metadata;
mod barbican_orders;
mod barbican_policy;
mod barbican_quotas;
mod barbican_secrets;
mod console;
mod control;
mod discovery;
mod faults;
mod keystone;
mod keystone_ends;
mod keystone_keeps;
mod keystone_registry;
mod keystone_sweep;
mod lists;
mod policy;
mod restart;
mod scenario;
mod sockets;

#[test]
fn the_readme_shows_the_python_that_is_tested() {
    let tested =
        [include_str!("../../pytest/conftest.py"), include_str!("../../pytest/test_example.py")];
    let page = include_str!("../../README.md");
    let blocks = page.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let shown: Vec<_> = blocks.collect();
    assert_eq!(shown.len(), 2);
    for block in shown {
        assert!(tested.iter().any(|file| file.contains(block)), "not as it is tested: {block}");
    }
}
